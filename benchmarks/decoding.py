"""Time of decoding with alignments against decoding without, for this package and for stock fairseq.

    python -m benchmarks.decoding [--dim 256] [--layers 3] [--sentences 64] [--beam 5] [--repeats 5] [--device cpu]

An untrained Transformer translates made-up sentences; each translation is as long as allowed, so the same work is
measured in every run. The runs take turns, and the median of each is printed, with ratios against decoding without
alignments. Stock fairseq makes a second, forced pass over every hypothesis of the beam.
"""

from __future__ import annotations

import argparse
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import fairseq_guided_align
from benchmarks.results import write_json


def models(dim: int, layers: int, heads: int, device: str) -> Any:
    """(task of ours, model)"""
    fairseq_guided_align.register()
    from fairseq.data import Dictionary
    from fairseq.models.transformer import TransformerConfig
    from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
    from omegaconf import OmegaConf

    from fairseq_guided_align.attention.guided_heads import GuidedHeads

    torch.manual_seed(1)
    dictionary = Dictionary()
    for k in range(8000):
        dictionary.add_symbol(f"w{k}")
    name = "translation_guided_alignment"
    task = TASK_REGISTRY[name](OmegaConf.structured(TASK_DATACLASS_REGISTRY[name]), dictionary, dictionary)
    config = TransformerConfig(_name="transformer", share_all_embeddings=True, max_source_positions=256)
    config.decoder.input_dim = config.decoder.output_dim = dim
    for side in (config.encoder, config.decoder):
        side.embed_dim, side.ffn_embed_dim = dim, 4 * dim
        side.layers, side.attention_heads = layers, heads
    config.max_target_positions = 256
    from fairseq.models.transformer import TransformerModelBase

    model = TransformerModelBase.build_model(config, task).eval().to(device)
    model.guided_heads = GuidedHeads((layers - 2,), (0,))
    return task, model


def sample_of(sentences: int, length: int, dictionary: Any, device: str) -> dict[str, Any]:
    tokens = torch.randint(4, len(dictionary), (sentences, length), generator=torch.Generator().manual_seed(2))
    tokens[:, -1] = dictionary.eos()
    lengths = torch.full((sentences,), length)
    return {"net_input": {"src_tokens": tokens.to(device), "src_lengths": lengths.to(device)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--sentences", type=int, default=16)
    parser.add_argument("--length", type=int, default=25, help="tokens of a source sentence and of its translation")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = parser.parse_args()

    task, model = models(args.dim, args.layers, args.heads, args.device)
    from fairseq.tasks.fairseq_task import FairseqTask

    sample = sample_of(args.sentences, args.length, task.source_dictionary, args.device)
    search = {"beam": args.beam, "max_len_b": args.length, "min_len": args.length}

    def ours(form: str | None) -> Callable[[], Any]:
        generator = task.build_generator([model], Namespace(print_alignment=form, **search))

        def decode() -> None:
            for hypotheses in generator.generate([model], sample):
                alignment = hypotheses[0]["alignment"]
                if form:
                    assert len(list(alignment)) >= args.length

        return decode

    def stock() -> Callable[[], Any]:
        generator = FairseqTask.build_generator(task, [model], Namespace(print_alignment="hard", **search))

        # Its forced pass needs the encoder's input as the training batches give it
        return lambda: generator.generate([model], {**sample, "target": None})

    ways = {
        "without alignments": ours(None),
        "hard, guided heads": ours("hard"),
        "soft, guided heads": ours("soft"),
        "hard, stock fairseq's second pass": stock(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(args.repeats + 1):
        for name, decode in ways.items():
            started = time.perf_counter()
            decode()
            if args.device != "cpu":
                torch.cuda.synchronize()
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["without alignments"])
    shown = torch.cuda.get_device_name() if args.device != "cpu" else "CPU"
    print(
        f"{shown}, torch {torch.__version__}, {torch.get_num_threads()} threads; {args.layers} layers of {args.dim}, "
        f"{args.sentences} sentences of {args.length} tokens, beam {args.beam}"
    )
    figures: dict[str, dict[str, float]] = {}
    for name, times in seconds.items():
        median = statistics.median(times)
        # Ratios of runs that followed each other: the machine's other load changes slowly
        pairs = [mine / bare for mine, bare in zip(times, seconds["without alignments"])]
        figures[name] = {"seconds": median, "ratio": statistics.median(pairs)}
        print(
            f"{name:36} {1000 * median:9.1f} ms   ratio of medians {median / base:5.3f}, "
            f"median of ratios {figures[name]['ratio']:5.3f}"
        )
    if args.json:
        write_json(args.json, figures)


if __name__ == "__main__":
    main()
