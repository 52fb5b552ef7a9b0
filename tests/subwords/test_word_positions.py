"""Links between words beside text in subword pieces: told by check and before training, and nothing else is."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import binarise
from tasks import make_task

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.subwords.word_positions import WordPositions, word_ends

Made = Any
"""``conftest.MadeUpData``."""


def with_at_signs(word: str) -> list[str]:
    parts = [word[i : i + 2] for i in range(0, len(word), 2)]
    return [part + "@@" for part in parts[:-1]] + parts[-1:]


def with_space_marks(word: str) -> list[str]:
    return ["▁", *(word[i : i + 2] for i in range(0, len(word), 2))]


@pytest.fixture
def in_pieces(made_up: Made, tmp_path: Path) -> Callable:
    """Writes the made-up text in pieces, its links between words or between pieces, and binarises both."""

    def write(cut: Callable[[str], list[str]], level: str) -> Path:
        folder = tmp_path / "text"
        folder.mkdir()
        for split in ("train", "valid", "test"):
            spans = []
            for side in ("src", "tgt"):
                lines = [
                    [cut(word) for word in line.split()]
                    for line in (made_up.text / f"{split}.{side}").read_text(encoding="utf-8").splitlines()
                ]
                text = "".join(" ".join(piece for word in words for piece in word) + "\n" for words in lines)
                (folder / f"{split}.{side}").write_text(text, encoding="utf-8")
                starts = [np.cumsum([0, *map(len, words)]) for words in lines]
                spans.append([[range(a, b) for a, b in zip(one, one[1:])] for one in starts])
            links = [one.pairs() for one in read_links(made_up.text / f"{split}.align")]
            if level == "pieces":
                links = [
                    [(i, j) for s, t in one for i in spans[0][row][s] for j in spans[1][row][t]]
                    for row, one in enumerate(links)
                ]
            pharaoh = "".join(" ".join(f"{s}-{t}" for s, t in one) + "\n" for one in links)
            (folder / f"{split}.align").write_text(pharaoh)
        binarise(folder, tmp_path / "bin")
        return folder

    return write


def warnings_of(data: Path, caplog: pytest.LogCaptureFixture, **options: Any) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "fairseq_guided_align.training.link_warnings"):
        make_task(data, **options).load_dataset("train", combine=True)
    return [
        record.getMessage() for record in caplog.records if record.name == "fairseq_guided_align.training.link_warnings"
    ]


@pytest.mark.parametrize("cut", [with_at_signs, with_space_marks])
@pytest.mark.parametrize("level", ["words", "pieces"])
def test_links_of_words_beside_pieces_are_told(
    in_pieces: Callable, cut: Callable, level: str, tmp_path: Path, caplog: Any, capsys: Any
) -> None:
    text = in_pieces(cut, level)
    told = warnings_of(tmp_path / "bin", caplog)
    assert main(["check", str(text / "train"), "-s", "src", "-t", "tgt"]) == 0
    checked = capsys.readouterr().out
    if level == "pieces":
        assert not told
        assert "warning" not in checked
    else:
        assert len(told) == 1
        assert "'train' seem to count words, but the source and the target text is in subword pieces" in told[0]
        assert "warning: the text is in subword pieces" in checked


@pytest.mark.parametrize("implementation", ["lazy", "cached", None])
def test_files_that_workers_would_share_are_not_opened(
    in_pieces: Callable, tmp_path: Path, implementation: str | None, caplog: Any
) -> None:
    """Nothing is told of them, though these links are of words."""
    text = in_pieces(with_at_signs, "words")
    binarise(text, tmp_path / "old", "--dataset-impl", implementation or "lazy")
    assert not warnings_of(tmp_path / "old", caplog, dataset_impl=implementation)


def test_positions_from_1_and_links_outside_are_told_before_training(
    made_up: Made, tmp_path: Path, caplog: Any
) -> None:
    lines = (made_up.text / "train.align").read_text().splitlines()
    shifted = tmp_path / "shifted.align"
    pairs = [[tuple(map(int, link.split("-"))) for link in line.split()] for line in lines]
    shifted.write_text("".join(" ".join(f"{s + 1}-{t + 1}" for s, t in one) + "\n" for one in pairs))
    told = warnings_of(made_up.binarised, caplog, alignment_files=f"train={shifted}")
    assert any(
        "links of 'train': none of 400 sentence pairs with links has a link at position 0" in one for one in told
    )
    assert not warnings_of(made_up.binarised, caplog, alignment_files=f"train={shifted}", alignment_one_based=True)

    far = tmp_path / "far.align"
    far.write_text("\n".join([*lines[:6], lines[6] + " 99-0", *lines[7:]]) + "\n")
    (told_far,) = warnings_of(made_up.binarised, caplog, alignment_files=f"train={far}")
    assert "the first is on line 7: 99-0 (from 0)" in told_far


def test_pieces_that_count_as_a_word() -> None:
    assert word_ends(["<s>", "house", "the"]) is None
    for symbols, wanted in (["<s>", "▁", "▁the", "ho"], [0, 1, 1, 0]), (["ho@@", "use", "@@"], [0, 1, 1]):
        found = word_ends(symbols)
        assert found is not None
        assert found.tolist() == wanted


def test_a_full_stop_without_a_link_is_no_sign() -> None:
    seen = WordPositions()
    seen.add(np.full(50, 6), np.full(50, 5), np.repeat(np.arange(50), 2), np.tile([0, 4], 50))
    assert not seen.suspicious


def test_how_many_sentences_and_pieces_make_a_sign() -> None:
    """20 sentences of 5 words and 3 pieces more, and no link at position 5."""
    for sentences, more, position, suspicious in (
        (20, 3, 4, True), (19, 3, 4, False), (20, 2, 4, False), (20, 3, 5, False),
    ):  # fmt: skip
        seen = WordPositions()
        words = np.full(sentences, 5)
        seen.add(words + more, words, np.arange(sentences), np.full(sentences, position))
        assert seen.suspicious == suspicious, (sentences, more, position)


def test_the_first_link_outside_is_told_with_its_shard(made_up: Made, tmp_path: Path, caplog: Any) -> None:
    folder = tmp_path / "bin"
    shutil.copytree(made_up.binarised, folder)
    for path in made_up.binarised.glob("valid.src-tgt.*"):
        shutil.copy(path, folder / path.name.replace("valid", "train1"))
    far = tmp_path / "far.align"
    far.write_text("0-0\n" * 3 + "0-77\n" + "0-0\n" * 36)
    told = warnings_of(folder, caplog, alignment_files=f"train={made_up.text / 'train.align'},train1={far}")
    assert len(told) == 1
    assert "the first is on line 4 of shard 2: 0-77 (from 0)" in told[0]
