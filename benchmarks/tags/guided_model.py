"""Links of tagged messages by a small guided model, trained with the package's own commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import fairseq_guided_align
from benchmarks.tags.corpus import Corpus, LinkedMessage, aligned_text, all_messages
from benchmarks.tags.tagged import tagged_message
from fairseq_guided_align.aligning.extraction import AlignmentModel
from fairseq_guided_align.aligning.tag_links import ModelLinker
from fairseq_guided_align.aligning.text_files import cutters_of
from fairseq_guided_align.files.atomic import atomic_file
from fairseq_guided_align.links.pharaoh import format_block
from fairseq_guided_align.markup.segment_links import SegmentTexts

LONGEST = 60
"""Words of a side; a longer message is not trained on."""

TRAINING = (
    "--task", "translation_guided_alignment", "--criterion", "guided_alignment_ce", "--guided-alignment-weight", 1,
    "--guided-alignment-position", "next", "--guided-alignment-unlinked", "eos",
    "--arch", "transformer", "--share-decoder-input-output-embed", "--dropout", 0.2,
    "--encoder-layers", 2, "--encoder-embed-dim", 128, "--encoder-ffn-embed-dim", 512, "--encoder-attention-heads", 4,
    "--decoder-layers", 2, "--decoder-embed-dim", 128, "--decoder-ffn-embed-dim", 512, "--decoder-attention-heads", 4,
    "--optimizer", "adam", "--lr", 0.002, "--lr-scheduler", "inverse_sqrt", "--warmup-updates", 400,
    "--max-tokens", 1500, "--max-epoch", 10, "--no-epoch-checkpoints", "--disable-validation",
    "--cpu", "--num-workers", 0, "--log-format", "simple",
)  # fmt: skip


def with_model_links(corpus: Corpus, language: str, folder: Path) -> Corpus:
    """The tagged messages with links by a model, which was trained on eflomal's links of the untagged ones.

    :param folder: the model is kept in ``folder/guided-LANGUAGE``; a training that was stopped goes on.
    """
    work = folder / f"guided-{language}"
    work.mkdir(exist_ok=True)
    if not (work / "data").exists():
        _write_text(language, folder, work)
        _run(
            work, "fairseq_guided_align.cli.main", "preprocess", "-s", "en", "-t", language, "--trainpref",
            work / "train", "--destdir", work / "data", "--sentencepiece-vocab-size", 4000,
        )  # fmt: skip
    # One that is done already ends at once.
    _run(
        work, "fairseq_cli.train", work / "data", "--user-dir", Path(fairseq_guided_align.__file__).parent, *TRAINING,
        "--save-dir", work,
    )  # fmt: skip
    model = AlignmentModel(str(work / "checkpoint_last.pt"), str(work / "data"), device="cpu")
    linker = ModelLinker(model, cutters_of(model))
    links = linker(_texts(corpus.tagged))
    linked = [replace(message, links=found.links) for message, found in zip(corpus.tagged, links)]
    return Corpus(corpus.messages, linked)


def _texts(messages: list[LinkedMessage]) -> Iterator[SegmentTexts]:
    for number, message in enumerate(messages, start=1):
        yield SegmentTexts(number, *map(aligned_text, (message.tagged.message.source, message.tagged.message.target)))


def _write_text(language: str, folder: Path, work: Path) -> None:
    """The messages without tags, which are not measured, and their links."""
    messages, links = all_messages(language, folder)
    sides: list[list[str]] = [[], []]
    kept = []
    for number, message in enumerate(messages):
        texts = [aligned_text(message.source), aligned_text(message.target)]
        if tagged_message(message) is None and all(0 < len(text.split()) <= LONGEST for text in texts):
            kept.append(number)
            for side, text in zip(sides, texts):
                side.append(text + "\n")
    for end, lines in (("en", sides[0]), (language, sides[1])):
        (work / f"train.{end}").write_text("".join(lines), encoding="utf-8")
    with atomic_file(work / "train.align") as stream:
        stream.write(format_block(links.select(np.array(kept))))


def _run(work: Path, module: str, *arguments: object) -> None:
    """:raises SystemExit: the command failed, with the log to read."""
    log = work / "log.txt"
    with log.open("a", encoding="utf-8") as stream:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{module} failed with exit code {done.returncode}: see {log}")
