"""How many sentence pairs a second a trained model aligns, and translates with links.

    python -m benchmarks.gpu.extraction --data DATA-BIN --work FOLDER --name NAME [--device cuda] [--json FILE]

With the checkpoint that ``benchmarks.gpu.translation`` left in FOLDER/NAME: links of the training text at several
sizes of a batch, start-up excluded; translations of the test verses with their links, by the Python API and, where
it is installed, by CTranslate2.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.translation import add_data_options
from benchmarks.results import write_json
from examples.greek_english.settings import SOURCE, TARGET

MAX_TOKENS = (4000, 16000, 64000)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.extraction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_options(parser)
    parser.add_argument("--sentences", type=int, help="only so many (default: all)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    from fairseq_guided_align.api import load

    checkpoint = args.work / args.name / "checkpoint_last.pt"
    found: dict[str, Any] = {}

    def note(name: str, sentences: int, work: Callable[[], object]) -> None:
        found[name] = rate(sentences, work)
        print(f"{name}: {found[name]['pairs_a_second']:,.0f} sentences a second", flush=True)
        if args.json:
            write_json(args.json, found)

    model = load(str(checkpoint), str(args.data), device=args.device)
    source, target = (lines(args.data, "train", lang)[: args.sentences] for lang in (SOURCE, TARGET))
    for size in MAX_TOKENS:
        note(
            f"links, {size:,} tokens a batch",
            len(source),
            lambda size=size: model.align(source, target, max_tokens=size),
        )  # type: ignore[misc]
    verses = lines(args.data, "test", SOURCE)[: args.sentences]
    longest = {} if args.sentences is None else {"max_len_b": 5}
    note("translation with links, beam 4", len(verses), lambda: model.translate(verses, beam=4, **longest))
    if importlib.util.find_spec("ctranslate2") is None:
        found["CTranslate2"] = {"skipped": "ctranslate2 is not installed"}
        print("CTranslate2: not installed")
    else:
        ctranslate2(args, checkpoint, verses, note)
    if args.json:
        write_json(args.json, found)
    print(json.dumps(found))
    return 0


def ctranslate2(args: argparse.Namespace, checkpoint: Path, verses: Sequence[str], note: Callable[..., None]) -> None:
    import ctranslate2
    import sentencepiece

    from fairseq_guided_align.aligning.ctranslate2_models import convert, guided_of, translate

    folder = str(args.work / args.name / "ctranslate2")
    convert(str(checkpoint), str(args.data), folder, force=True)
    translator = ctranslate2.Translator(folder, device=args.device)
    cutter = sentencepiece.SentencePieceProcessor(model_file=str(args.data / f"sentencepiece.{SOURCE}.model"))
    pieces = [cutter.encode(verse, out_type=str) for verse in verses]
    longest = {} if args.sentences is None else {"max_decoding_length": 5}
    note(
        "CTranslate2, beam 4",
        len(verses),
        lambda: translate(translator, guided_of(folder), pieces, beam_size=4, **longest),
    )


def lines(data: Path, split: str, lang: str) -> list[str]:
    """Text that ``preprocess`` keeps in the data folder."""
    return (data / "text" / f"{split}.{lang}").read_text(encoding="utf-8").splitlines()


def rate(sentences: int, work: Callable[[], object]) -> dict[str, float]:
    """Of the faster of two runs; the first one also sets up what the device needs."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return {"sentences": sentences, "seconds": min(seconds), "pairs_a_second": sentences / min(seconds)}


if __name__ == "__main__":
    sys.exit(main())
