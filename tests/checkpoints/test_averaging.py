"""The average of checkpoints: its weights, what it keeps, what is refused, and who reads it."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MadeUpData
from fairseq_runs import GUIDED, USER_DIR, hydra_train, run, train

from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.cli.main import main
from fairseq_guided_align.errors import GuidedAlignError

HEADS = ["--guided-alignment-layers", 0, "--guided-alignment-heads", 1, "--guided-alignment-position", "next"]


@pytest.fixture(scope="module")
def run_of_four(made_up: MadeUpData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of 9, 10, 11 and 12 updates, and of the end of epoch 1; do not write into it."""
    folder = tmp_path_factory.mktemp("run-of-four")
    train(made_up.binarised, folder, *HEADS, "--save-interval-updates", 1, "--keep-interval-updates", 4, updates=12)
    shutil.copyfile(folder / "checkpoint_1_9.pt", folder / "checkpoint1.pt")
    shutil.copyfile(folder / "checkpoint_1_12.pt", folder / "checkpoint10.pt")
    shutil.copyfile(folder / "checkpoint_1_10.pt", folder / "checkpoint9.pt")
    return folder


def loaded(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def means(paths: list[Path]) -> dict[str, list[float]]:
    """One number at a time, with exact sums."""
    models = [loaded(path)["model"] for path in paths]
    return {
        name: [math.fsum(numbers) / len(paths) for numbers in zip(*(one[name].flatten().tolist() for one in models))]
        for name in models[0]
        if not name.endswith("._float_tensor")
    }


def assert_average(output: Path, paths: list[Path]) -> None:
    found = loaded(output)["model"]
    for name, values in means(paths).items():
        wanted = torch.tensor(values, dtype=torch.float64).float()
        assert torch.equal(found[name].flatten(), wanted), name


def test_weights_are_means(run_of_four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [run_of_four / f"checkpoint_1_{updates}.pt" for updates in (12, 9, 10)]
    assert main(["average", *map(str, paths), "--output", str(tmp_path / "a.pt")]) == 0
    assert_average(tmp_path / "a.pt", paths)
    printed = capsys.readouterr().err
    assert f"averaging {paths[0]} (12 updates)\naveraging {paths[1]} (9 updates)\n" in printed
    state, newest = loaded(tmp_path / "a.pt"), loaded(paths[0])
    assert GuidedHeads.stored(state["cfg"]["model"]) == GuidedHeads((0,), (1,), "mean", "next", "ignore")
    assert state["optimizer_history"] == newest["optimizer_history"]
    assert state["task_state"]["finished_updates"] == 11
    assert "last_optimizer_state" not in state
    # Shared embeddings are written once.
    assert (tmp_path / "a.pt").stat().st_size < 0.6 * paths[0].stat().st_size


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--last", "2", "--by", "updates"], ["checkpoint_1_11.pt", "checkpoint_1_12.pt"]),
        (["--last", "4", "--by", "updates"], [f"checkpoint_1_{updates}.pt" for updates in (9, 10, 11, 12)]),
        (["--last", "2", "--by", "epochs"], ["checkpoint9.pt", "checkpoint10.pt"]),
    ],
)
def test_the_last_ones_of_a_folder(run_of_four: Path, tmp_path: Path, options: list[str], names: list[str]) -> None:
    assert main(["average", str(run_of_four), *options, "--output", str(tmp_path / "a.pt")]) == 0
    assert loaded(tmp_path / "a.pt")["extra_state"]["averaged_checkpoints"] == names
    assert_average(tmp_path / "a.pt", [run_of_four / name for name in names])


def test_half_precision_becomes_single(run_of_four: Path, tmp_path: Path) -> None:
    paths = []
    for updates in (11, 12):
        state = loaded(run_of_four / f"checkpoint_1_{updates}.pt")
        state["model"] = {name: weight.half() for name, weight in state["model"].items()}
        paths.append(tmp_path / f"{updates}.pt")
        torch.save(state, paths[-1])
    assert main(["average", *map(str, paths), "--output", str(tmp_path / "a.pt")]) == 0
    assert_average(tmp_path / "a.pt", paths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}/checkpoint9.pt"], "expected at least two checkpoints to average; got 1"),
        (["{run}/checkpoint9.pt", "{run}/../run-of-four0/checkpoint9.pt"], "checkpoint9.pt: named twice"),
        (["{run}", "--last", "3"], "has checkpoints by updates (4) and by epochs (3); choose with --by"),
        (["{run}", "--last", "5", "--by", "updates"], "expected 5 checkpoints by updates; got 4 (checkpoint_1_9.pt, "),
        (["{new}", "--last", "2"], "expected 2 checkpoints by updates; got 0"),
        (["{new}/none", "--last", "2"], "none: expected a folder with checkpoints: No such file or directory"),
        (["{run}", "--last", "1"], "--last: expected at least 2 checkpoints to average; got 1"),
        (["{run}", "{new}", "--last", "2"], "--last: expected one folder of checkpoints; got"),
        (["{run}/checkpoint9.pt", "{run}/checkpoint10.pt", "--by", "epochs"], "--by goes with --last"),
        (["{run}/checkpoint9.pt", "{new}/none.pt"], "none.pt: cannot be read as a checkpoint: [Errno 2] No such file"),
    ],
)  # fmt: skip
def test_wrong_usage(
    run_of_four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    given = [one.format(run=run_of_four, new=tmp_path) for one in arguments]
    assert main(["average", *given, "--output", str(tmp_path / "a.pt")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def refused(run_of_four: Path, folder: Path, state: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of another checkpoint that is to be averaged with one of the run."""
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "other.pt")
    first = str(run_of_four / "checkpoint_1_12.pt")
    assert main(["average", first, str(folder / "other.pt"), "--output", str(folder / "a.pt")]) == 2
    assert not (folder / "a.pt").exists()
    return capsys.readouterr().err


def test_other_models_are_refused(run_of_four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def other() -> Any:
        return loaded(run_of_four / "checkpoint_1_11.pt")

    for name, value in (
        ("guided_alignment_heads", "0"), ("guided_alignment_position", "same"), ("encoder_attention_heads", 4),
        ("guided_alignment_dictionaries", "src=0 tgt=0"), ("arch", "transformer_iwslt_de_en"),
    ):  # fmt: skip
        state = other()
        setattr(state["cfg"]["model"], name, value)
        assert f"other.pt: is of another model than {run_of_four}" in (
            said := refused(run_of_four, tmp_path, state, capsys)
        )
        assert f"expected {name} " in said
        assert f"; got {value}" in said
    state = other()
    state["model"]["decoder.embed_tokens.weight"] = torch.zeros(41, 16)
    said = refused(run_of_four, tmp_path, state, capsys)
    assert "expected decoder.embed_tokens.weight of the sizes [40, 16]; got [41, 16]" in said
    state = other()
    state["model"]["further.weight"] = torch.zeros(3)
    assert "expected further.weight of the sizes none; got [3]" in refused(run_of_four, tmp_path, state, capsys)
    state = other()
    state["model"]["decoder.embed_tokens.weight"][3, 3] = math.nan
    assert "weight holds numbers that are not finite" in refused(run_of_four, tmp_path, state, capsys)
    assert "cannot be read as a checkpoint" in refused(run_of_four, tmp_path, {"weights": 1}, capsys)
    cut = tmp_path / "other.pt"
    cut.write_bytes((run_of_four / "checkpoint_1_11.pt").read_bytes()[:-9])
    first = str(run_of_four / "checkpoint_1_12.pt")
    assert main(["average", first, str(cut), "--output", str(tmp_path / "a.pt")]) == 2
    assert "other.pt: cut off after" in capsys.readouterr().err
    assert main(["average", first, str(run_of_four / "checkpoint9.pt"), "--output", first]) == 2
    assert "is one of the checkpoints to average" in capsys.readouterr().err
    assert "last_optimizer_state" in loaded(Path(first))


@pytest.fixture(scope="module")
def average(run_of_four: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("average") / "average.pt"
    assert main(["average", str(run_of_four), "--last", "3", "--by", "updates", "--output", str(path)]) == 0
    return path


def test_extract_and_generate_read_it(made_up: MadeUpData, average: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    arguments = ["--data", str(made_up.binarised), "--split", "test", "--output", str(links)]
    assert main(["extract", str(average), *arguments]) == 0
    assert len(links.read_text(encoding="utf-8").splitlines()) == 40
    run(
        "generate", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--path", average, "--cpu", "--gen-subset",
        "test", "--results-path", tmp_path, "--beam", 1, "--max-len-b", 5, "--print-alignment", "hard",
    )  # fmt: skip
    (printed,) = tmp_path.glob("generate-*.txt")
    assert sum(line.startswith("A-") for line in printed.read_text(encoding="utf-8").splitlines()) == 40


def test_ctranslate2_reads_it(made_up: MadeUpData, average: Path, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    assert main(["ctranslate2", str(average), str(made_up.binarised), str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "model.bin").exists()


def test_training_does_not_go_on_from_it_but_may_begin_with_it(
    made_up: MadeUpData, average: Path, tmp_path: Path
) -> None:
    shutil.copyfile(average, tmp_path / "checkpoint_last.pt")
    with pytest.raises(GuidedAlignError, match=r"checkpoint_last\.pt: holds weights only"):
        train(made_up.binarised, tmp_path, *HEADS, updates=20)
    train(made_up.binarised, tmp_path / "new", *HEADS, "--finetune-from-model", average, updates=1)


def test_of_hydra(made_up: MadeUpData, tmp_path: Path) -> None:
    hydra_train(made_up.binarised, tmp_path, "checkpoint.save_interval_updates=2", updates=4)
    paths = [tmp_path / f"checkpoint_1_{updates}.pt" for updates in (2, 4)]
    assert main(["average", *map(str, paths), "--output", str(tmp_path / "a.pt")]) == 0
    assert_average(tmp_path / "a.pt", paths)
    arguments = ["--data", str(made_up.binarised), "--split", "test", "--output", str(tmp_path / "links")]
    assert main(["extract", str(tmp_path / "a.pt"), *arguments]) == 0
