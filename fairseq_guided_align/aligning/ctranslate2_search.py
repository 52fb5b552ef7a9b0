"""CTranslate2's beam search over a folder that ``ctranslate2_models.convert`` made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_guided_align.aligning.ctranslate2_models import converted_settings, guided_of, translate
from fairseq_guided_align.aligning.search import Hypothesis, check_options
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.settings import subword_settings
from fairseq_guided_align.subwords.special_tokens import spelled_for_fairseq
from fairseq_guided_align.subwords.text_pieces import PiecedSentence

CTRANSLATE2_OPTIONS = {
    "lenpen": "length_penalty", "max_len_b": "max_decoding_length", "min_len": "min_decoding_length",
    "no_repeat_ngram_size": "no_repeat_ngram_size", "sampling_topk": "sampling_topk", "sampling_topp": "sampling_topp",
    "temperature": "sampling_temperature",
}  # fmt: skip
"""fairseq's options of the search that CTranslate2 has, with its names of them."""
FAIRSEQS_LONGEST = 200
"""Tokens of a translation, where ``max_len_b`` does not say otherwise."""
FAIRSEQS_POSITIONS = 1024
"""Tokens of a source that a model takes, where its folder does not say it."""


def is_converted(path: str) -> bool:
    """Whether a model is a folder for CTranslate2."""
    return (Path(path) / "model.bin").is_file()


class CTranslate2Search:
    """A ``search.Search`` with a converted model.

    :param folder: of the model.
    :param data: the data folder; None: the model's own folder, which says how text is cut.
    :param device: such as ``cpu`` or ``cuda:0``; None: a GPU where there is one.
    :raises GuidedAlignError: another converter made the folder, or CTranslate2 is missing or cannot load it.
    """

    def __init__(self, folder: str, data: str | None = None, device: str | None = None) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise GuidedAlignError(f"CTranslate2 is missing: pip install ctranslate2 ({error})") from error
        self.name = folder
        self.guided = guided_of(folder)
        settings = converted_settings(folder)
        self.data = data or folder
        of_data = subword_settings(self.data)
        langs = [str(settings.get(side) or of_data.get(side)) for side in ("source_lang", "target_lang")]
        self.langs = (langs[0], langs[1])
        self._longest = int(settings.get("max_source_positions", FAIRSEQS_POSITIONS))
        kind, _, index = (device or "auto").partition(":")
        try:
            self._translator = ctranslate2.Translator(folder, device=kind, device_index=int(index or 0))
        except (RuntimeError, ValueError) as error:
            raise GuidedAlignError(f"{folder}: CTranslate2 cannot load it on {device or kind!r}: {error}") from error

    def __call__(
        self, sources: Sequence[PiecedSentence], beam: int, nbest: int, max_tokens: int, options: Mapping[str, Any]
    ) -> Iterator[tuple[int, list[Hypothesis]]]:
        check_options(options, tuple(CTRANSLATE2_OPTIONS), "CTranslate2's")
        chosen = {
            "max_decoding_length": FAIRSEQS_LONGEST,
            **{CTRANSLATE2_OPTIONS[name]: one for name, one in options.items()},
        }
        short = [number for number, one in enumerate(sources) if len(one.pieces) < self._longest]
        found = translate(
            self._translator,
            self.guided,
            [[spelled_for_fairseq(piece) for piece in sources[number].pieces] for number in short],
            beam_size=beam,
            num_hypotheses=nbest,
            return_scores=True,
            max_input_length=0,
            max_batch_size=max_tokens,
            batch_type="tokens",
            **chosen,
        )
        for number, hypotheses in zip(short, found):
            yield number, [Hypothesis(one.pieces, one.score, one.attention) for one in hypotheses]
