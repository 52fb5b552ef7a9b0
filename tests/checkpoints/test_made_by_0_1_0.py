"""Data folders and checkpoints that version 0.1.0 made: of its first day, and of the day before the package had rooms.

``data``: what ``preprocess`` made of 32, 4 and 8 sentence pairs, with possible links and weights. ``checkpoint.pt``: a
model after 60 updates, layer 0 and head 1 guided, position ``next``. ``stored.align``: the training split's links as
text. ``extracted.align`` and ``generated.txt``: what ``extract`` and ``fairseq-generate`` made of the test split.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from fairseq_runs import GUIDED, USER_DIR, run, train

from fairseq_guided_align.cli.main import main
from fairseq_guided_align.links.pharaoh import format_line
from fairseq_guided_align.links.store import LinkStore, links_path

FOLDERS = Path(__file__).parent.parent / "data" / "made_by_0_1_0"
MODEL = [
    *(f"--{side}{part}-embed-dim=8" for side in ("encoder", "decoder") for part in ("", "-ffn")),
    "--guided-alignment-layers=0", "--guided-alignment-heads=1", "--guided-alignment-position=next",
]  # fmt: skip


@pytest.fixture(params=["first_day", "before_rooms"])
def made(request: pytest.FixtureRequest) -> Path:
    return FOLDERS / request.param


def test_stored_links(made: Path) -> None:
    stored = LinkStore(links_path(made / "data", "train", "src", "tgt"))
    assert [format_line(links) for links in stored] == (made / "stored.align").read_text().splitlines()


def test_extract_and_generate_give_what_they_gave(made: Path, tmp_path: Path) -> None:
    data, checkpoint, links = made / "data", made / "checkpoint.pt", tmp_path / "links"
    assert main(["extract", str(checkpoint), "--data", str(data), "--split", "test", "--output", str(links)]) == 0
    assert links.read_text() == (made / "extracted.align").read_text()
    run(
        "generate", data, "--user-dir", USER_DIR, *GUIDED[:2], "--path", checkpoint, "--cpu", "--gen-subset", "test",
        "--results-path", tmp_path, "--beam", 2, "--max-len-b", 5, "--print-alignment", "hard",
    )  # fmt: skip
    printed = (tmp_path / "generate-test.txt").read_text("utf-8").splitlines()
    assert without_scores(printed) == without_scores((made / "generated.txt").read_text("utf-8").splitlines())


def without_scores(lines: list[str]) -> list[tuple[str, str]]:
    """Numbers and texts of translations, and links."""
    return sorted((line.split("\t")[0], line.split("\t")[-1]) for line in lines if line[:2] in ("D-", "A-"))


def test_training_goes_on(made: Path, tmp_path: Path) -> None:
    shutil.copyfile(made / "checkpoint.pt", tmp_path / "checkpoint_last.pt")
    options = [*MODEL, "--lr", 0.03, "--disable-validation", "--no-epoch-checkpoints"]
    log = train(made / "data", tmp_path, *options, updates=62)
    assert [record["num_updates"] for record in log if record["logger"] == "train_inner"] == ["61", "62"]
    states = [torch.load(path, weights_only=True) for path in (made / "checkpoint.pt", tmp_path / "checkpoint_last.pt")]
    weights = [state["model"]["decoder.embed_tokens.weight"] for state in states]
    # The learning rate and the optimizer's state went on: two updates change little.
    assert 0 < (weights[0] - weights[1]).abs().max() < 0.07
