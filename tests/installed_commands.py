"""The main commands, as they are installed, on a text with words that SentencePiece cuts or spells otherwise.

Run by ``tests/installed.sh`` with the interpreter of that environment: nothing of the tests' own packages is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "examples"))
from made_up_text import Pair, make_text

PROGRAMS = Path(sys.executable).parent
RARE = ("\u200b", "\u00ad", "\u2060", "\ufeff", "\u00a0", "½", "ﬁ", "㎏", "´")
"""Characters that SentencePiece's usual normaliser takes out, or spells with others or with spaces."""

TRAINING = (
    "--arch transformer --share-decoder-input-output-embed --encoder-layers 1 --decoder-layers 1"
    " --encoder-embed-dim 16 --decoder-embed-dim 16 --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16"
    " --encoder-attention-heads 2 --decoder-attention-heads 2 --optimizer adam --lr 0.005 --batch-size 32"
    " --max-update 6 --cpu --no-progress-bar --num-workers 0"
)
TASK = ["--task", "translation_guided_alignment"]


class Failed(Exception):
    """A command that does other than it should."""


def run(*command: object, code: int = 0) -> str:
    """Run a program of the environment; what it said on both outputs.

    :raises Failed: it exits with another code, or shows a traceback.
    """
    started = time.monotonic()
    words = [str(word) for word in command]
    environment = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(PROGRAMS / words[0]), *words[1:]], env=environment, encoding="utf-8", check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != code or "Traceback" in done.stdout:
        raise Failed(f"{' '.join(words)}: expected exit code {code}; got {done.returncode}\n{done.stdout}")
    print(f"  {' '.join(words[:2])}: {time.monotonic() - started:.1f} s", flush=True)
    return done.stdout


def expect(wanted: str, said: str) -> None:
    """:raises Failed: the text is not in what was said."""
    if wanted not in said:
        raise Failed(f"expected {wanted!r} in what was said; got\n{said}")


def with_rare_characters(pairs: list[Pair]) -> list[tuple[list[str], list[str], str]]:
    """Source words, target words and links, with one rare character inside a word of every other sentence."""
    text = []
    for number, pair in enumerate(pairs):
        source, target = list(pair.source), list(pair.target)
        if number % 2:
            rare = RARE[number // 2 % len(RARE)]
            side = (source, target)[number // 2 % 2]
            side[0] = side[0][:1] + rare + side[0][1:]
        text.append((source, target, " ".join(f"{s}-{t}" for s, t in pair.links)))
    return text


def write_text(folder: Path) -> dict[str, list[tuple[list[str], list[str], str]]]:
    """``{split}.de``, ``{split}.en`` and ``{split}.align``; what is in them."""
    pairs = with_rare_characters(make_text(300, words=30))
    splits = {"train": pairs[60:], "valid": pairs[:30], "test": pairs[30:60]}
    for split, part in splits.items():
        for suffix, lines in (
            ("de", [" ".join(source) for source, _, _ in part]),
            ("en", [" ".join(target) for _, target, _ in part]),
            ("align", [links for _, _, links in part]),
        ):
            (folder / f"{split}.{suffix}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return splits


def main(folder: Path) -> None:
    """Each command once, as the README has them.

    :raises Failed: one of them does other than it should.
    """
    folder.mkdir(parents=True)
    os.chdir(folder)
    test = write_text(folder)["test"]
    expect("no problems", run("fairseq-guided-align", "check", "train", "valid", "test", "-s", "de", "-t", "en"))
    said = run(
        "fairseq-guided-align", "preprocess", "-s", "de", "-t", "en", "--trainpref", "train", "--validpref", "valid",
        "--testpref", "test", "--sentencepiece-vocab-size", 120, "--destdir", "data",
    )  # fmt: skip
    # Of every split, so that no link of a word with a rare character is lost.
    if said.count("links dropped: none") != 3 or "differ" in said:
        raise Failed(f"expected no links dropped in 3 splits; got\n{said}")
    words_that_differ(folder)

    user_dir = run("fairseq-guided-align", "user-dir").strip()
    run(
        "fairseq-train", "data", "--user-dir", user_dir, *TASK, "--criterion", "guided_alignment_ce",
        *TRAINING.split(), "--save-dir", "model",
    )  # fmt: skip
    checkpoint = Path("model/checkpoint_last.pt")
    said = run(
        "fairseq-generate", "data", "--user-dir", user_dir, *TASK, "--path", checkpoint, "--beam", 2, "--cpu",
        "--max-len-b", 10, "--remove-bpe", "sentencepiece", "--print-alignment", "hard", "--alignment-level", "words",
    )  # fmt: skip
    if sum(line.startswith("A-") for line in said.splitlines()) != len(test):
        raise Failed(f"expected a line A- for each of {len(test)} sentences; got\n{said}")

    run(
        "fairseq-guided-align", "extract", checkpoint, "--data", "data", "--source", "test.de", "--target", "test.en",
        "--output", "test.links",
    )  # fmt: skip
    found = Path("test.links").read_text(encoding="utf-8").split("\n")[:-1]
    for (source, target, _), line in zip(test, found, strict=True):
        links = [tuple(map(int, link.split("-"))) for link in line.split()]
        # argmax: each target word has a link
        if [t for _, t in links] != list(range(len(target))) or max(s for s, _ in links) >= len(source):
            raise Failed(f"expected a link for each of {len(target)} target words; got {line!r}")
    expect("pairs:30", run("fairseq-guided-align", "aer", "test.align", "test.links"))
    run("fairseq-guided-align", "plot", checkpoint, "--data", "data", "--sentences", "2", "--out", "two.pdf")
    if not Path("two.pdf").read_bytes().startswith(b"%PDF"):
        raise Failed("two.pdf: expected a PDF file")
    source = test[1][0]
    said = run(
        "python", "-c",
        "import fairseq_guided_align.api as api\n"
        f"model = api.load({str(checkpoint)!r}, 'data', device='cpu')\n"
        f"((best,),) = model.translate([{' '.join(source)!r}])\n"
        "print('columns:', best.attention.shape[1])",
    )  # fmt: skip
    # one of them of </s>
    expect(f"columns: {len(source) + 1}\n", said)


def words_that_differ(folder: Path) -> None:
    """Words that the pieces do not spell are a message, or counted."""
    model = folder / "data/sentencepiece.de.model"
    words = (folder / "test.de").read_text(encoding="utf-8").split("\n")
    (folder / "other.de").write_text("\n".join(["xx yy", *words[1:]]), encoding="utf-8")
    command = (
        "fairseq-guided-align", "project", "--links", "test.align", "--source-words", "other.de",
        "--source-pieces", "data/text/test.pieces.de", "--target-words", "test.en",
        "--target-pieces", "data/text/test.pieces.en", "--source-sentencepiece-model", model, "--output", "other.links",
    )  # fmt: skip
    expect("expected pieces that spell the words", run(*command, code=2))
    expect("; 1 pairs whose words and pieces differ", run(*command, "--on-mismatch", "drop-links"))


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}, sentencepiece {version('sentencepiece')}", flush=True)
    try:
        main(Path(sys.argv[1]).resolve())
    except Failed as error:
        sys.exit(f"error: {error}")
