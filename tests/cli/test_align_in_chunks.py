"""`align` in chunks: the lines of the input in their order, whatever was interrupted and whoever did which part."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compressed import DECOMPRESS

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links import aligned_block, sampled_priors
from fairseq_guided_align.links.aligner import AlignerSettings
from fairseq_guided_align.links.chunked_text import ChunkedText, Part
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.links.priors import count_priors, priors_of_text, read_priors, write_priors

pytest.importorskip("eflomal")

COMMAND = [sys.executable, "-m", "fairseq_guided_align.cli.main"]
QUICK = ["--samplers=1", "--length=0.05"]
PAIRS = 300


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs whose links tell which pair it is: the order of its words."""
    folder = tmp_path_factory.mktemp("text")
    chance = random.Random(5)
    rows = [chance.sample(range(30), chance.randint(3, 8)) for _ in range(PAIRS)]
    orders = [chance.sample(row, len(row)) for row in rows]
    (folder / "s").write_text("".join(" ".join(f"s{word}" for word in row) + "\n" for row in rows))
    (folder / "t").write_text("".join(" ".join(f"t{word}" for word in order) + "\n" for order in orders))
    gold = [" ".join(f"{row.index(word)}-{at}" for at, word in enumerate(order)) for row, order in zip(rows, orders)]
    (folder / "gold").write_text("".join(line + "\n" for line in gold))
    return folder


def command(text: Path, output: Path, *options: str) -> list[str]:
    return ["align", f"--source={text / 's'}", f"--target={text / 't'}", f"--output={output}", *QUICK, *options]


def wrong(output: Path, text: Path) -> float:
    """Share of the pairs whose links are not nearly those of the pair."""
    made, gold = (path.read_text().splitlines() for path in (output, text / "gold"))
    assert len(made) == len(gold) == PAIRS
    shares = [len({*a.split()} & {*b.split()}) / len({*a.split()} | {*b.split()}) for a, b in zip(made, gold)]
    return sum(share < 0.5 for share in shares) / PAIRS


def parts(output: Path) -> Path:
    return output.with_name(f".{output.name}.parts")


def test_lines_are_those_of_the_input(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    more = ["--forward-output", str(tmp_path / "f.xz"), "--reverse-output", str(tmp_path / "r")]
    assert main(command(text, out, "--chunk-pairs=70", "--sample-pairs=100", "--jobs=2", *more)) == 0
    said = capsys.readouterr().err
    assert "aligning 300 sentence pairs in 5 chunks\nlearning priors from 100 of 300 sentence pairs; eflomal" in said
    assert f"{out}: 300 sentence pairs, 300 with links; {len(read_links(out).source)} links\n" in said
    assert wrong(out, text) < 0.1
    assert len(read_links(tmp_path / "f.xz")) == len(read_links(tmp_path / "r")) == PAIRS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.xz", "out", "r"]


def test_priors_of_old_text_align_new_text(text: Path, tmp_path: Path) -> None:
    """A few pairs alone teach nothing; with the priors of others their links are right. Old priors go on to the new."""
    old, new, first = tmp_path / "old.priors.gz", tmp_path / "new.priors", tmp_path / "first"
    assert main(command(text, tmp_path / "out", "--chunk-pairs=100", f"--save-priors={old}")) == 0
    few = tmp_path / "few"
    few.mkdir()
    for name in ("s", "t", "gold"):
        lines = (text / name).read_text().splitlines(keepends=True)
        (few / name).write_text("".join(lines[:6]))
    assert main(command(few, first, f"--priors={old}", f"--save-priors={new}")) == 0
    gold = {(number, *pair) for number, links in enumerate(read_links(few / "gold")) for pair in links.pairs()}

    def hits(path: Path) -> float:
        found = {(number, *pair) for number, links in enumerate(read_links(path)) for pair in links.pairs()}
        return len(found & gold) / len(found | gold)

    assert main(command(few, tmp_path / "alone")) == 0
    assert hits(first) > 0.9
    assert hits(tmp_path / "alone") < 0.8
    before, after = ({prior[:2]: prior.seen for prior in read_priors(path)} for path in (old, new))
    assert set(before) <= set(after)
    grown = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    words = {word for name in ("s", "t") for word in (few / name).read_text().split()}
    assert {word for (kind, about) in grown if kind == "LEX" for word in about} <= words
    assert sum(seen for (kind, _), seen in grown.items() if kind == "LEX") <= len(gold)
    assert sum(seen for (kind, _), seen in grown.items() if kind == "LEX") >= 0.8 * len(gold)


def test_killed_in_the_middle_it_goes_on(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = [*COMMAND, *command(text, out, "--chunk-pairs=20", "--sample-pairs=20", "--length=0.6")]
    process = subprocess.Popen(run, stderr=subprocess.DEVNULL)
    while len(list(parts(out).glob("*.done"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = sorted(parts(out).glob("*.done"))
    assert 3 <= len(done) < 15
    before = {path: (path.stat().st_mtime_ns, path.with_suffix(".links").read_text()) for path in done}
    # Stopped once more, this time before the end, by a program that is not found.
    stopped = subprocess.run(
        [sys.executable, "-c", STOP_AFTER_TWO, *run[3:]], check=False, capture_output=True, text=True
    )
    assert "stopped" in stopped.stderr
    assert len(list(parts(out).glob("*.done"))) == len(done) + 2
    assert {path: (path.stat().st_mtime_ns, path.with_suffix(".links").read_text()) for path in done} == before
    assert main(run[3:]) == 0
    assert wrong(out, text) < 0.1
    lines = out.read_text().splitlines(keepends=True)
    for path, (_, links) in before.items():
        number = int(path.name.split(".")[0])
        assert "".join(lines[20 * number : 20 * number + 20]) == links
    assert not parts(out).exists()


STOP_AFTER_TWO = """
import sys
from fairseq_guided_align.links import chunks
from fairseq_guided_align.cli.main import main
real, done = chunks._align_chunk, []
def some(task):
    if len(done) == 2:
        raise RuntimeError("stopped")
    done.append(real(task))
    return done[-1]
chunks._align_chunk = some
main(sys.argv[1:])
"""


def test_only_what_changed_is_aligned_anew(text: Path, tmp_path: Path) -> None:
    """The second of two parts is never there, so that the chunks stay."""
    own, out, old = tmp_path / "own", tmp_path / "out", tmp_path / "old"
    own.mkdir()
    for name in ("s", "t"):
        (own / name).write_bytes((text / name).read_bytes())
    assert main(command(own, tmp_path / "whole", f"--save-priors={old}")) == 0
    run = command(own, out, "--chunk-pairs=30", "--part=1/2", f"--priors={old}")

    def made() -> dict[str, int]:
        assert main(run) == 0
        return {path.name: path.stat().st_mtime_ns for path in parts(out).glob("*.links")}

    first = made()
    assert sorted(name[:7] for name in first) == [f"{number:07}" for number in range(5)]
    assert made() == first
    lines = (own / "s").read_text().splitlines(keepends=True)
    lines[65] = lines[65].replace("s", "S", 1)
    (own / "s").write_text("".join(lines))
    second = made()
    (new,) = set(second) - set(first)
    assert new.startswith("0000002.")
    assert {name: second[name] for name in first} == first
    with open(old, "a") as stream:
        stream.write("HMMF\t1\t1\n")
    assert len(made()) == len(second) + 5
    run.append("--model=2")
    assert len(made()) == len(second) + 10
    assert not out.exists()


def test_parts_on_several_machines(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two at once, in any order, one of them told by SLURM; whoever ends last joins them."""
    out = tmp_path / "out.zst"
    run = command(text, out, "--chunk-pairs=40")
    slurm = {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "7", "SLURM_ARRAY_TASK_COUNT": "3"}
    both = [
        subprocess.Popen([*COMMAND, *run, "--part=slurm"], env={**os.environ, **slurm}),
        subprocess.Popen([*COMMAND, *run, "--part=1/3"]),
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert not out.exists()
    assert main([*run, "--part=2/3"]) == 0
    assert "300 sentence pairs, 300 with links" in capsys.readouterr().err
    plain = tmp_path / "plain"
    plain.write_bytes(DECOMPRESS["zstd"](out.read_bytes()))
    assert wrong(plain, text) < 0.1
    for part, message in (
        ("0/3", "expected a part from 1 to 3; got 0"), ("4/3", "expected a part from 1 to 3; got 4"),
        ("3", "expected K/N, such as 3/16, or slurm; got '3'"),
        ("slurm", "slurm: expected SLURM_ARRAY_TASK_ID, _MIN and _COUNT; is it a job array?"),
    ):  # fmt: skip
        with pytest.raises(SystemExit):
            main([*run, f"--part={part}"])
        assert message in capsys.readouterr().err


def test_every_chunk_is_in_one_part_and_parts_are_alike() -> None:
    for number_of_chunks in (1, 2, 7, 16, 100):
        for of in (1, 2, 3, 16, 20):
            shares = [[chunk for chunk in range(number_of_chunks)
                       if Part(number, of).has(chunk, number_of_chunks)]
                      for number in range(1, of + 1)]  # fmt: skip
            assert [chunk for share in shares for chunk in share] == list(range(number_of_chunks))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_from_pipes_to_standard_output(text: Path, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    run = [*COMMAND, *command(text, Path("-"), "--chunk-pairs=100")]
    run[run.index(f"--target={text / 't'}")] = "--target=-"
    with open(text / "t", "rb") as stream, subprocess.Popen(["cat"], stdin=stream, stdout=subprocess.PIPE) as cat:
        done = subprocess.run(run, stdin=cat.stdout, capture_output=True, check=True)
    (tmp_path / "out").write_bytes(done.stdout)
    assert wrong(tmp_path / "out", text) < 0.1


def test_what_is_wrong_is_said(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (tmp_path / "s").write_text("a\n" * 9 + "b\n")
    (tmp_path / "t").write_bytes(b"x\n" * 8 + b"\xff\nx\n")
    (tmp_path / "none").touch()
    for options, message in (
        (["--jobs=2"], "--jobs goes with --chunk-pairs"),
        (["--part=1/2"], "--part goes with --chunk-pairs"),
        (["--sample-pairs=5"], "--sample-pairs goes with --chunk-pairs"),
        (["--chunk-pairs=5", "--sample-pairs=5", f"--priors={tmp_path / 's'}"], "--sample-pairs: of priors that are"),
        (["--chunk-pairs=5", f"--priors={tmp_path / 's'}"], f"{tmp_path / 's'}:1: expected eflomal's priors"),
        (["--chunk-pairs=5", f"--target={text / 't'}"], "expected files with the same number of lines"),
        (["--chunk-pairs=5", f"--source={tmp_path / 'none'}", f"--target={tmp_path / 'none'}"], "both texts are empty"),
        (["--chunk-pairs=3", "--sample-pairs=2"], f"{tmp_path / 't'}:9: expected UTF-8 text; got byte 0xff"),
        (["--chunk-pairs=3", "--sample-pairs=5"], f"{tmp_path / 't'}:9: expected UTF-8 text; got byte 0xff"),
    ):  # fmt: skip
        assert main([*command(tmp_path, out), *options]) == 2, options
        assert message in capsys.readouterr().err, options
        assert not out.exists()
    for option in ("--jobs=0", "--chunk-pairs=-1", "--sample-pairs=many"):
        with pytest.raises(SystemExit):
            main([*command(tmp_path, out), option])
        assert "expected a number of at least 1; got" in capsys.readouterr().err


def test_what_the_sample_learnt_from_a_chunk_is_no_evidence_in_it(text: Path, tmp_path: Path) -> None:
    """A chunk's priors are those of the sample's other pairs, counted here from its links, pair by pair."""
    import eflomal

    rows = [[line.strip() for line in (text / name).read_text().splitlines()] for name in ("s", "t")]
    for sample in (PAIRS, 110, 7):
        settings = AlignerSettings(samplers=1, relative_iterations=0.05)
        whole = ChunkedText(text / "s", text / "t", PAIRS, ("spaces", "spaces"), settings, 50, sample)
        folder = tmp_path / str(sample)
        folder.mkdir()
        work = sampled_priors.with_priors(aligned_block.ChunkWork(folder, whole, None, b"", ()), 1)
        assert work.priors is not None
        chosen = [number * PAIRS // sample for number in range(sample)]
        (priors,) = folder.glob("*.priors")
        links = [priors.with_suffix(f".{kind}").read_text().splitlines() for kind in ("forward", "reverse")]
        assert len(links[0]) == len(links[1]) == sample
        for first in range(0, PAIRS, 50):
            source, target = (side[first : first + 50] for side in rows)
            others = [at for at, number in enumerate(chosen) if not first <= number < first + 50]
            expected = count_priors(
                eflomal, [(rows[0][chosen[at]], rows[1][chosen[at]]) for at in others],
                *([side[at] for at in others] for side in links),
            )  # fmt: skip
            write_priors(tmp_path / "others", expected)
            own = aligned_block.own_priors(work, first + 1, source, target)
            assert list(priors_of_text(work.priors, source, target, own)) == list(
                priors_of_text(tmp_path / "others", source, target)
            )
