"""OpusTrainer's output into `preprocess`: which of its changes keep the links, as the guide's page 10 says."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pytest
from streams import standard_input

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.store import LinkStore, links_path

pytest.importorskip("fairseq")
pytest.importorskip("sentencepiece")
pytest.importorskip("opustrainer", reason="OpusTrainer is not installed")

from opustrainer.trainer import MODIFIERS

PAGE = Path(__file__).resolve().parents[2] / "examples" / "guide" / "10-changed-text.md"
CONFIG = re.search(r"cat > changed.yml <<'END'\n(.*?)END\n", PAGE.read_text("utf-8"), re.DOTALL)
ALPHABETS = ("abcdef", "ghijkl", "mnopqrs", "tuvwxyz")
"""Of every fourth sentence: where up to four neighbours are joined, each letter still stands for one word."""
PAIRS = 400
TYPOS = (
    "char_swap", "extra_char", "nearby_char", "similar_char", "skipped_space", "random_space", "repeated_char",
    "unichar",
)  # fmt: skip


@dataclass
class Row:
    source: list[str]
    target: list[str]
    links: set[tuple[int, int]]

    @classmethod
    def of(cls, line: str) -> Row:
        source, target, links = line.split("\t")
        pairs = (link.split("-") for link in links.split())
        return cls(source.split(), target.split(), {(int(s), int(t)) for s, t in pairs})

    def outside(self) -> set[tuple[int, int]]:
        return {(s, t) for s, t in self.links if s >= len(self.source) or t >= len(self.target)}

    def wrong(self) -> set[tuple[int, int]]:
        """Links of words without a common letter."""
        inside = self.links - self.outside()
        return {(s, t) for s, t in inside if not set(self.source[s].lower()) & set(self.target[t].lower())}

    def missing(self) -> set[tuple[int, int]]:
        """Words that have a letter in common, three times on both sides, and no link."""
        often = [
            [{letter for letter, count in Counter(word.lower()).items() if count >= 3} for word in side]
            for side in (self.source, self.target)
        ]
        common = {(s, t) for s, one in enumerate(often[0]) for t, other in enumerate(often[1]) if one & other}
        return common - self.links


def corpus(apart: bool = True, short: bool = False) -> str:
    """Each word repeats its letter, and is linked to the word of the same letter. The last has a full stop.

    :param apart: the full stop is a word of its own.
    :param short: some source words have one letter.
    """
    chance = random.Random(4)
    lines = []
    for number in range(PAIRS):
        letters = chance.sample(ALPHABETS[number % 4], chance.randint(3, 6))
        order = chance.sample(range(len(letters)), len(letters))
        source = [letter * (1 if short and chance.random() < 0.3 else chance.randint(6, 8)) for letter in letters]
        target = [letters[s] * 7 for s in order]
        links = [(s, t) for t, s in enumerate(order)]
        if apart:
            links.append((len(source), len(target)))
            source.append(".")
            target.append(".")
        else:
            source[-1] += "."
            target[-1] += "."
        lines.append("\t".join([" ".join(source), " ".join(target), " ".join(f"{s}-{t}" for s, t in sorted(links))]))
    return "".join(line + "\n" for line in lines)


def changed(text: str, modifier: str, **settings: float) -> str:
    """What one of OpusTrainer's modifiers makes of every pair."""
    random.seed(6)
    change = MODIFIERS[modifier](1.0, **settings)
    return "".join(line + "\n" for line in change(text.splitlines()))


def through_the_program(folder: Path, text: str, config: str) -> str:
    """What ``opustrainer-train`` hands on; the order of the pairs stays, so that neighbours are joined."""
    (folder / "linked.tsv").write_text(text, "utf-8")
    (folder / "changed.yml").write_text(config, "utf-8")
    command = [sys.executable, "-m", "opustrainer", "--config", str(folder / "changed.yml"), "--do-not-resume",
               "--no-shuffle", "--sync", "--workers=0", "--batch-size=50", "cat"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def rows(tsv: str) -> list[Row]:
    return [Row.of(line) for line in tsv.splitlines()]


@pytest.mark.parametrize("modifier", ["UpperCase", "TitleCase", "RemoveEndPunct", "Merge", "Noise", *TYPOS])
def test_links_stay_right(modifier: str) -> None:
    text = corpus()
    found = changed(text, "Typos", **{modifier: 1.0}) if modifier in TYPOS else changed(text, modifier)
    assert found != text or modifier == "char_swap"  # All letters of a word are the same
    for row in rows(found):
        assert not row.outside()
        assert not row.wrong()
        assert not row.missing()
    # A word in two pieces has its links twice, a joined one has those of both; a full stop that is gone takes its own.
    before, after = (sum(len(row.links) for row in rows(one)) for one in (text, found))
    assert after >= before - (PAIRS if modifier == "RemoveEndPunct" else 0)


def test_a_last_word_with_its_full_stop_loses_its_links() -> None:
    text = corpus(apart=False)
    found = changed(text, "RemoveEndPunct")
    for before, after in zip(rows(text), rows(found), strict=True):
        last = len(before.source) - 1, len(before.target) - 1
        assert after.links == {(s, t) for s, t in before.links if s != last[0] and t != last[1]}


def word_links(folder: Path, langs: tuple[str, str]) -> list[set[tuple[int, int]]]:
    """The words whose pieces are linked: a word begins at each ``▁``."""
    words = [
        [
            list(accumulate((piece.startswith("▁") for piece in line.split(" ")), initial=-1))[1:]
            for line in (folder / "text" / f"train.pieces.{lang}").read_text("utf-8").split("\n")[:-1]
        ]
        for lang in langs
    ]
    store = LinkStore(links_path(folder, "train", *langs))
    return [{(s[i], t[j]) for i, j in links.pairs()} for links, s, t in zip(store, *words)]


def test_the_guides_changes_from_a_pipe(tmp_path: Path) -> None:
    """All changes of the guide at once, more often, in two passes; the links of the data folder, also of sampled cuts,
    join the same words.
    """
    assert CONFIG is not None
    often = re.sub(r"(Case|Punct|Typos): 0\.05", r"\1: 0.4", CONFIG[1]).replace("Merge: 0.01", "Merge: 0.1")
    assert often.count("0.4") == 4
    found = through_the_program(tmp_path, corpus(), often)
    options = ["preprocess", "-s", "de", "-t", "en", "--columns=1,2,3", "--tsv", "train=-",
               "--sentencepiece-vocab-size=60", "--subword-samples=2", f"--destdir={tmp_path / 'bin'}"]  # fmt: skip
    with standard_input(found.encode()):
        assert main(options) == 0
    lines = found.splitlines()
    assert len(lines) > PAIRS
    for folder in (tmp_path / "bin", tmp_path / "bin" / "sample-2"):
        text = [(folder / "text" / f"train.{lang}").read_text("utf-8").split("\n")[:-1] for lang in ("de", "en")]
        assert [[*pair] for pair in zip(*text)] == [line.split("\t")[:2] for line in lines]
        seen = Counter[str]()
        for source, target, links in zip(*text, word_links(folder, ("de", "en")), strict=True):
            row = Row(source.split(), target.split(), links)
            assert not row.outside()
            assert not row.wrong()
            assert not row.missing()
            seen["upper"] += source.isupper()
            seen["title"] += source.istitle()
            seen["joined"] += len(row.target) > 7
            seen["open"] += not source.endswith(".")
        assert min(seen[kind] for kind in ("upper", "title", "joined", "open")) > 20, seen


def test_links_outside_are_counted_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A word of one letter that is deleted gives its links to a neighbour, which may be outside."""
    found = changed(corpus(short=True), "Typos", missing_char=1.0)
    outside = sum(len(row.outside()) for row in rows(found))
    assert outside > 0
    assert sum(len(row.wrong()) for row in rows(found)) > 0
    options = ["preprocess", "-s", "de", "-t", "en", "--columns=1,2,3", "--subwords=words"]
    with standard_input(found.encode()):
        assert main([*options, "--tsv", "train=-", f"--destdir={tmp_path / 'bin'}"]) == 0
    error = capsys.readouterr().err
    assert f"links dropped: {outside} outside their sentence" in error
    assert re.search(r"warning: .*:\d+: link \d+-\d+ \(from 0\) was dropped", error)
    counts = json.loads((tmp_path / "bin" / "guided_alignment.json").read_text())["splits"]["train"]
    assert counts["out_of_range"] == outside


def test_what_has_no_links_to_keep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prefix leaves them as they were, Tags leaves them out."""
    prefixed = rows(changed(corpus(), "Prefix"))
    assert sum(len(row.wrong()) for row in prefixed) > 0.5 * sum(len(row.links) for row in prefixed)
    options = ["preprocess", "-s", "de", "-t", "en", "--columns=1,2,3", "--subwords=words"]
    with standard_input(changed(corpus(), "Tags").encode()):
        assert main([*options, "--tsv", "train=-", f"--destdir={tmp_path / 'bin'}"]) == 2
    assert "expected 3 columns, with tabs between them; got 2" in capsys.readouterr().err
