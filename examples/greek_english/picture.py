"""A picture of what models attend to in one sentence pair, with the links made by hand outlined."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from examples.greek_english.settings import SOURCE, TARGET
from fairseq_guided_align.extraction import AlignmentModel
from fairseq_guided_align.pharaoh import read_links
from fairseq_guided_align.plots import Panel, attention_figure, save_figure
from fairseq_guided_align.subwords import word_of_piece


class Reading(NamedTuple):
    """Attention to draw: its title, a checkpoint, and which of its attention (see AlignmentModel)."""

    title: str
    checkpoint: Path
    attention: str


def draw(readings: Sequence[Reading], data: Path, text: Path, number: int, path: Path) -> None:
    """Draws the test sentence `number`, counted from 0, one panel a reading, between words.

    data: binarised data; text: folder of test.{source,target,align}.
    """
    quieten()
    source, target = (line_of(text / f"test.{language}", number).split() for language in (SOURCE, TARGET))
    panels = [
        Panel(word_attention(AlignmentModel(str(r.checkpoint), str(data), r.attention), number), r.title)
        for r in readings
    ]
    gold = read_links(text / "test.align")[number]
    figure = attention_figure(
        panels, [*source, "</s>"], target, gold, f"test sentence {number + 1}", SOURCE, TARGET
    )
    save_figure(figure, path)


def word_attention(model: AlignmentModel, number: int) -> np.ndarray:
    """(target words, source words + 1) probabilities of a test sentence; the last column is that of </s>."""
    pair = next(pair for found, pair in model.align_split("test") if found == number)
    return pair.words(partial(word_of_piece, kind="sentencepiece"))


def quieten() -> None:
    """Some of fairseq's modules set the whole process to tell everything, and matplotlib then does."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")


def line_of(path: Path, number: int) -> str:
    return path.read_text(encoding="utf-8").split("\n")[number]
