"""Every choice of the example in one place: text, subwords, model, training, guidance."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

SOURCE, TARGET = "grc", "en"
FAIRSEQ = (
    "--arch transformer_align --criterion label_smoothed_cross_entropy_with_alignment --alignment-layer 0 "
    "--alignment-heads 1"
)
"""fairseq's own way, as its examples/joint_alignment_translation has it: one head of the last layer but one, and the
criterion's default weight."""


@dataclass(frozen=True)
class Settings:
    """What is trained on what.

    made_up_sentences: sentences of made-up text, 0 for the real one; subwords: options of preprocess; aligner_pieces:
    numbers of pieces, for ``--also-pieces`` of the aligner; updates: of each model; updates_between_checkpoints: the
    most that an interruption costs; model, optimisation, guidance: options of fairseq-train; weight: of the
    guided-alignment cost; threads: of torch, 0 for as many as it likes; picture: line of the test text whose attention
    is drawn.
    """

    made_up_sentences: int
    subwords: str
    aligner_pieces: str
    updates: int
    updates_between_checkpoints: int
    model: str
    optimisation: str
    guidance: str
    weight: float
    threads: int
    picture: int

    def training(self, stage: str) -> list[str]:
        """Options of the trainings ``guided``, ``unguided`` (differs in the weight alone) and ``fairseq``."""
        weight = 0 if stage == "unguided" else self.weight
        guidance = f"{self.guidance} --guided-alignment-weight {weight:g}"
        if stage == "fairseq":
            guidance = FAIRSEQ
        return [*f"{self.model} {self.optimisation} {guidance}".split(), "--max-update", str(self.updates)]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


MAIN = Settings(
    made_up_sentences=0,
    subwords="--sentencepiece-vocab-size 4000 --sentencepiece-model-type bpe",
    aligner_pieces="8000,4000,2000",
    updates=1400,
    updates_between_checkpoints=200,
    model=(
        "--arch transformer --encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 256 --decoder-embed-dim 256 "
        "--encoder-ffn-embed-dim 512 --decoder-ffn-embed-dim 512 --encoder-attention-heads 4 "
        "--decoder-attention-heads 4 --share-decoder-input-output-embed"
    ),
    optimisation=(
        "--optimizer adam --adam-betas (0.9,0.98) --lr 0.002 --lr-scheduler polynomial_decay --warmup-updates 200 "
        "--total-num-update 1400 --label-smoothing 0.1 --dropout 0.2 --max-tokens 1024 --seed 1"
    ),
    guidance=(
        "--criterion guided_alignment_ce --guided-alignment-layers=-2 --guided-alignment-position next "
        "--guided-alignment-unlinked eos"
    ),
    weight=1,
    threads=0,
    picture=1,
)

# Better links and a better translation, for twice the time. Two layers are guided: one point of AER less, and the same
# BLEU (benchmarks/README.md).
THOROUGH = replace(
    MAIN,
    updates=3000,
    guidance=MAIN.guidance.replace("--guided-alignment-layers=-2", "--guided-alignment-layers=-1,-2"),
    optimisation=MAIN.optimisation.replace("--total-num-update 1400", "--total-num-update 3000").replace(
        "--dropout 0.2", "--dropout 0.3"
    ),
)

# Every step on a few hundred sentences in well under a minute: it shows that all works, its figures mean little.
QUICK = Settings(
    made_up_sentences=440,
    subwords="--sentencepiece-vocab-size 120",
    aligner_pieces="120",
    updates=100,
    updates_between_checkpoints=40,
    model=(
        "--arch transformer --encoder-layers 1 --decoder-layers 2 --encoder-embed-dim 64 --decoder-embed-dim 64 "
        "--encoder-ffn-embed-dim 128 --decoder-ffn-embed-dim 128 --encoder-attention-heads 2 "
        "--decoder-attention-heads 2 --share-decoder-input-output-embed"
    ),
    optimisation=(
        "--optimizer adam --adam-betas (0.9,0.98) --lr 0.003 --lr-scheduler inverse_sqrt --warmup-updates 20 "
        "--label-smoothing 0.1 --dropout 0.1 --max-tokens 1024 --seed 1"
    ),
    guidance=MAIN.guidance,
    weight=1,
    # More threads than one only get into each other's way in a model this small.
    threads=1,
    picture=1,
)
