"""Files of eflomal's priors: those of its own command, sums of many files, and what concerns a text."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from fairseq_guided_align.errors import AlignmentFormatError
from fairseq_guided_align.links import priors
from fairseq_guided_align.links.priors import (
    Prior,
    count_priors,
    merge_priors,
    priors_of_text,
    read_priors,
    write_priors,
)

WORDS = ["a", "B", "b", "ä", "zz", "10"]


def made_up(seed: int, pairs: int) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """Text, and links of both directions: each target word has one source word or none, and the other way round."""
    chance = random.Random(seed)
    text, forward, reverse = [], [], []
    for _ in range(pairs):
        source, target = (chance.choices(WORDS, k=chance.randint(1, 5)) for _ in range(2))
        text.append((" ".join(source), " ".join(target)))
        forward.append(" ".join(f"{chance.randrange(len(source))}-{j}" for j in range(len(target)) if j % 3 or j < 2))
        reverse.append(" ".join(f"{i}-{chance.randrange(len(target))}" for i in range(len(source)) if i % 4 or i < 2))
    return text, forward, reverse


def counted(*made: object) -> list[Prior]:
    return list(count_priors(pytest.importorskip("eflomal"), *made))  # type: ignore[arg-type]


def test_the_priors_of_eflomals_own_command(tmp_path: Path) -> None:
    """Words, which theirs count in one direction, are the mean of what they count in each."""
    text, forward, reverse = made_up(1, 200)
    write_priors(tmp_path / "ours", counted(text, forward, reverse))
    for name, lines in (("s", [s for s, _ in text]), ("t", [t for _, t in text]), ("f", forward), ("r", reverse)):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    command = [sys.executable, str(Path(sys.executable).with_name("eflomal-makepriors"))]
    words: defaultdict[tuple[str | int, ...], float] = defaultdict(float)
    for names in ("stfrp", "strfp"):
        files = [f"-{option}{tmp_path / name}" for option, name in zip("stfrp", names)]
        subprocess.run([*command, *files], check=True, capture_output=True)
        theirs = list(read_priors(tmp_path / "p"))
        for prior in theirs:
            if prior.kind == "LEX":
                words[prior.about] += prior.seen / 2
        if names == "stfrp":
            others = {prior for prior in theirs if prior.kind != "LEX"}
    ours = list(read_priors(tmp_path / "ours"))
    assert len(others) > 30
    assert {prior.about: prior.seen for prior in ours if prior.kind == "LEX"} == words
    without_links = {prior for prior in ours if prior.kind in ("FERF", "FERR") and prior.about[-1] == 0}
    assert {prior for prior in ours if prior.kind != "LEX"} - without_links == others
    # Theirs do not tell how often a word has no link at all.
    for side, kind in enumerate(("FERF", "FERR")):
        occurs = Counter(word for pair in text for word in pair[side].split())
        linked = {word: sum(prior.seen for prior in ours if prior.kind == kind and prior.about[0] == word)
                  for word in WORDS}  # fmt: skip
        assert linked == occurs
    assert len(without_links) > 6


def test_pairs_without_links_say_nothing() -> None:
    text, forward, reverse = made_up(2, 10)
    more = [*text, ("a b", "c"), ("x", "y")]
    assert counted(more, [*forward, "\n", "0-0"], [*reverse, "0-0", "\n"]) == counted(text, forward, reverse)


@pytest.mark.parametrize("most_open", [2, 3, 200])
def test_the_sum_of_files_is_the_count_of_all_their_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_open: int
) -> None:
    monkeypatch.setattr(priors, "_MOST_OPEN", most_open)
    parts = [made_up(seed, 20 + seed) for seed in range(7)]
    paths = [tmp_path / f"{number}.priors" for number in range(7)]
    for path, part in zip(paths, parts):
        write_priors(path, counted(*part))
    whole = counted(*([row for part in parts for row in part[column]] for column in range(3)))
    assert list(merge_priors(paths, tmp_path)) == whole
    slow: dict[object, float] = defaultdict(float)
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            *about, seen = line.split("\t")
            slow[tuple(about)] += float(seen)
    assert {(prior.kind, *map(str, prior.about)): prior.seen for prior in whole} == slow


def test_large_numbers_keep_their_digits(tmp_path: Path) -> None:
    seen = [Prior("LEX", ("a", "b"), 123456789.0), Prior("HMMF", (-3,), 0.125)]
    write_priors(tmp_path / "priors.gz", seen)
    assert list(read_priors(tmp_path / "priors.gz")) == seen


def test_the_lines_that_concern_a_text(tmp_path: Path) -> None:
    path = tmp_path / "priors"
    path.write_text(
        "LEX\tDer\tthe\t5\nLEX\tder\tcat\t1\nLEX\tHund\tthe\t2\nFERF\tDER\t2\t3\nFERF\thund\t1\t3\nFERR\tthe\t1\t4\n"
        "FERR\tder\t1\t4\nHMMF\t1\t7\nHMMR\t-2\t8\n"
    )
    lines = "".join(priors_of_text(path, ["der Mann", "Man"], ["The man"]))
    assert lines == "LEX\tDer\tthe\t5\nFERF\tDER\t2\t3\nFERR\tthe\t1\t4\nHMMF\t1\t7\nHMMR\t-2\t8\n"


def test_what_is_taken_off(tmp_path: Path) -> None:
    one, other = made_up(3, 30), made_up(4, 40)
    both = counted(*([*one[column], *other[column]] for column in range(3)))
    write_priors(tmp_path / "both", both)
    every = [" ".join(WORDS)]
    lines = list(priors_of_text(tmp_path / "both", every, every, counted(*other)))
    assert lines == [prior.line() for prior in counted(*one)]


@pytest.mark.parametrize("line", ["0-0 1-1", "LEX\ta\t1", "FERF\ta\tx\t1", "HMMF\t1\tmany", "LEX\ta\tb\tc\t1", ""])
def test_what_is_no_prior(tmp_path: Path, line: str) -> None:
    (tmp_path / "priors").write_text("HMMF\t1\t7\n" + line + "\n")
    with pytest.raises(AlignmentFormatError, match=r"priors:2: expected eflomal's priors, such as LEX, word, word"):
        list(read_priors(tmp_path / "priors"))
