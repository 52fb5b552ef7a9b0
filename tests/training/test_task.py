"""The task on real data folders: where links are found, what is checked at start-up, what is refused."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairseq_runs import run, train
from tasks import make_task

import fairseq_guided_align
from fairseq_guided_align.errors import AlignmentLengthError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks
from fairseq_guided_align.links.pharaoh import read_links
from fairseq_guided_align.links.store import links_path, write_links

fairseq_guided_align.register()

from fairseq_guided_align.training.task import TranslationGuidedAlignmentTask  # noqa: E402

Made = Any
"""``conftest.MadeUpData``."""


@pytest.fixture
def folder(made_up: Made, tmp_path: Path) -> Path:
    """A copy of the binarised text, with fairseq's own alignments, to be changed."""
    copy = tmp_path / "bin"
    shutil.copytree(made_up.binarised, copy)
    return copy


def links_of(task: TranslationGuidedAlignmentTask, split: str) -> list[list[tuple[int, int]]]:
    dataset = task.dataset(split)
    return [sorted(dataset[index]["links"].pairs()) for index in range(len(dataset))]


def gold(made_up: Made, split: str) -> list[list[tuple[int, int]]]:
    return [sorted(one.pairs()) for one in read_links(made_up.text / f"{split}.align")]


def remove_alignments(folder: Path, *splits: str) -> None:
    for split in splits:
        for path in folder.glob(f"{split}.align.*"):
            path.unlink()


def test_fairseqs_own_alignments_are_read(made_up: Made) -> None:
    task = make_task(made_up.binarised)
    task.load_dataset("train")
    assert links_of(task, "train") == gold(made_up, "train")
    counts = task.link_coverage["train"]
    assert counts.sentences == counts.sentences_with_links == 400
    assert counts.links == sum(map(len, gold(made_up, "train")))


def test_our_binary_links_come_before_fairseqs(made_up: Made, folder: Path) -> None:
    one_link = CorpusLinks.from_columns(40, np.arange(40), np.zeros(40, int), np.ones(40, int))
    write_links(links_path(folder, "valid", "src", "tgt"), [one_link])
    task = make_task(folder)
    task.load_dataset("valid")
    assert links_of(task, "valid") == [[(0, 1)]] * 40


@pytest.mark.parametrize("form", ["ours", "fairseq"])
def test_the_other_direction_reads_the_links_inverted(made_up: Made, folder: Path, form: str) -> None:
    if form == "ours":
        write_links(links_path(folder, "valid", "src", "tgt"), [read_links(made_up.text / "valid.align")])
        remove_alignments(folder, "valid")
    task = make_task(folder, source_lang="tgt", target_lang="src")
    task.load_dataset("valid")
    assert links_of(task, "valid") == [sorted((t, s) for s, t in one) for one in gold(made_up, "valid")]


def test_text_files_on_the_command_line(made_up: Made, tmp_path: Path) -> None:
    text = made_up.text / "valid.align"
    task = make_task(made_up.binarised, alignment_files=f"valid={text}")
    task.load_dataset("valid")
    assert links_of(task, "valid") == gold(made_up, "valid")

    changed = tmp_path / "changed.align"
    changed.write_text("".join(" ".join(f"{t + 1}-{s + 1}" for s, t in one) + "\n" for one in gold(made_up, "valid")))
    task = make_task(
        made_up.binarised,
        alignment_files=f"valid={changed}",
        alignment_one_based=True,
        alignment_inverted=True,
    )
    task.load_dataset("valid")
    assert links_of(task, "valid") == gold(made_up, "valid")


def test_links_of_the_wrong_direction_are_an_error(made_up: Made, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.align"
    wrong.write_text("".join(" ".join(f"{t}-{s}" for s, t in one) + "\n" for one in gold(made_up, "train")))
    task = make_task(made_up.binarised, alignment_files=f"train={wrong}")
    with pytest.raises(AlignmentRangeError, match=r"'train' are of the other direction.*--alignment-inverted"):
        task.load_dataset("train")


@pytest.mark.parametrize("change", ["shorter", "longer"])
def test_another_number_of_lines_is_an_error(made_up: Made, tmp_path: Path, change: str) -> None:
    lines = (made_up.text / "valid.align").read_text().splitlines(keepends=True)
    other = tmp_path / "other.align"
    other.write_text("".join(lines[:-1] if change == "shorter" else [*lines, "0-0\n"]))
    task = make_task(made_up.binarised, alignment_files=f"valid={other}")
    got = 39 if change == "shorter" else 41
    with pytest.raises(AlignmentLengthError, match=rf"other\.align: expected 40 lines.*got {got};"):
        task.load_dataset("valid")


def test_missing_alignments_are_an_error_only_where_they_guide(folder: Path) -> None:
    remove_alignments(folder, "valid")
    with pytest.raises(GuidedAlignError, match=r"no alignments for 'valid' in .*valid\.links\.src-tgt.*--allow"):
        make_task(folder).load_dataset("valid")
    for task in (make_task(folder, guides=False), make_task(folder, allow_missing_alignments=True)):
        task.load_dataset("valid")
        assert "links" not in task.dataset("valid")[0]


def test_alignments_without_a_usable_link_are_an_error(made_up: Made, tmp_path: Path) -> None:
    empty = tmp_path / "empty.align"
    empty.write_text("\n" * 40)
    task = make_task(made_up.binarised, alignment_files=f"valid={empty}")
    with pytest.raises(GuidedAlignError, match="hold no usable link"):
        task.load_dataset("valid")


def test_fairseqs_alignments_that_are_all_empty(made_up: Made, tmp_path: Path) -> None:
    """fairseq writes a data file of no bytes for them, and cannot map it."""
    text = tmp_path / "text"
    shutil.copytree(made_up.text, text)
    (text / "valid.align").write_text("\n" * 40)
    binarised = tmp_path / "bin"
    run(
        "preprocess", "--source-lang", "src", "--target-lang", "tgt", "--destdir", binarised,
        "--trainpref", text / "train", "--validpref", text / "valid", "--align-suffix", "align",
    )  # fmt: skip
    task = make_task(binarised, allow_missing_alignments=True)
    task.load_dataset("valid")
    assert links_of(task, "valid") == [[]] * 40


def add_shard(folder: Path, made_up: Made) -> None:
    """The test text once more, as the second shard of train, without alignments."""
    for path in folder.glob("test.src-tgt.*"):
        shutil.copy(path, folder / path.name.replace("test", "train1", 1))


def test_shards_have_a_file_each_and_upsampling_repeats_the_first(made_up: Made, folder: Path) -> None:
    add_shard(folder, made_up)
    with pytest.raises(GuidedAlignError, match="no alignments for 'train1'"):
        make_task(folder).load_dataset("train", combine=True)
    write_links(links_path(folder, "train1", "src", "tgt"), [read_links(made_up.text / "test.align")])
    task = make_task(folder, upsample_primary=2)
    task.load_dataset("train", combine=True)
    assert links_of(task, "train") == gold(made_up, "train") * 2 + gold(made_up, "test")
    assert task.link_coverage["train"].sentences == 440


def test_a_shard_may_lack_alignments_when_that_is_allowed(made_up: Made, folder: Path) -> None:
    add_shard(folder, made_up)
    task = make_task(folder, allow_missing_alignments=True)
    task.load_dataset("train", combine=True)
    assert links_of(task, "train") == gold(made_up, "train") + [[]] * 40


def test_several_data_folders_take_turns(made_up: Made, folder: Path) -> None:
    for path in folder.glob("train.*"):
        path.unlink()
    for path in folder.glob("test.*"):
        shutil.copy(path, folder / path.name.replace("test", "train", 1))
    task = make_task(f"{made_up.binarised}:{folder}")
    task.load_dataset("train", epoch=2)
    assert links_of(task, "train") == gold(made_up, "test")
    task.load_dataset("train", epoch=3)
    assert links_of(task, "train") == gold(made_up, "train")


def test_every_data_folder_is_checked_before_training(
    made_up: Made, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="fairseq_guided_align")
    task = make_task(f"{made_up.binarised}:{folder}")
    for epoch in (1, 2):
        task.load_dataset("train", epoch=epoch)
        assert sum("links of train" in record.message for record in caplog.records) == 1 + epoch
    remove_alignments(folder, "train")
    with pytest.raises(GuidedAlignError, match=f"no alignments for 'train' in {folder}"):
        make_task(f"{made_up.binarised}:{folder}").load_dataset("train")
    write_links(links_path(folder, "train", "src", "tgt"), [read_links(made_up.text / "valid.align")])
    with pytest.raises(AlignmentLengthError, match=f"{folder}/train.links.src-tgt: expected 400 lines"):
        make_task(f"{made_up.binarised}:{folder}").load_dataset("train")


def test_alignment_files_that_would_not_be_read(made_up: Made, folder: Path) -> None:
    links = made_up.text / "train.align"
    with pytest.raises(GuidedAlignError, match=r"--alignment-files: expected splits of .*, such as train; got 'trian'"):
        make_task(folder, alignment_files=f"trian={links}").load_dataset("train")
    task = make_task(f"{made_up.binarised}:{folder}", alignment_files=f"train={links}")
    with pytest.raises(GuidedAlignError, match="2 data folders take turns, and 'train' names one file"):
        task.load_dataset("train")
    # decoding may have another folder than training had
    make_task(folder, False, alignment_files=f"trian={links}").load_dataset("test")


def test_truncated_sources_lose_the_links_beyond_the_cut(made_up: Made) -> None:
    task = make_task(made_up.binarised, truncate_source=True, max_source_positions=5)
    task.load_dataset("train")
    kept = [[(s, t) for s, t in one if s < 4] for one in gold(made_up, "train")]
    assert links_of(task, "train") == kept
    counts = task.link_coverage["train"]
    assert counts.beyond_cut == sum(map(len, gold(made_up, "train"))) - sum(map(len, kept)) > 0
    assert counts.outside == 0


@pytest.mark.parametrize("implementation", ["mmap", "lazy", "cached", "raw"])
def test_every_dataset_implementation(made_up: Made, tmp_path: Path, implementation: str) -> None:
    binarised = tmp_path / "bin"
    run(
        "preprocess", "--source-lang", "src", "--target-lang", "tgt", "--destdir", binarised,
        "--trainpref", made_up.text / "valid", "--validpref", made_up.text / "valid",
        "--dataset-impl", implementation,
    )  # fmt: skip
    write_links(links_path(binarised, "valid", "src", "tgt"), [read_links(made_up.text / "valid.align")])
    task = make_task(binarised, dataset_impl=implementation)
    task.load_dataset("valid")
    if task.dataset("valid").supports_prefetch:
        task.dataset("valid").prefetch(range(40))
    assert links_of(task, "valid") == gold(made_up, "valid")


def test_one_line_of_coverage_a_split(made_up: Made, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fairseq_guided_align.training.pair_links"):
        make_task(made_up.binarised).load_dataset("valid")
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("links of")]
    assert len(lines) == 1
    assert lines[0].startswith("links of valid: sentences with links 40 of 40 (100.0 %), target tokens with links ")


@pytest.mark.parametrize("text", ["train", "train=", "=x", "train=a,train=b"])
def test_a_malformed_list_of_files_is_refused(made_up: Made, text: str) -> None:
    with pytest.raises(GuidedAlignError, match="--alignment-files: expected SPLIT=FILE"):
        make_task(made_up.binarised, alignment_files=text)


def test_bucketing_is_refused_where_numpy_cannot_do_it(made_up: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(np, "compat", raising=False)
    with pytest.raises(GuidedAlignError, match="--num-batch-buckets"):
        make_task(made_up.binarised, num_batch_buckets=2)


@pytest.mark.usefixtures("old_numpy")
def test_bucketing_works_where_numpy_can_do_it(made_up: Made) -> None:
    task = make_task(made_up.binarised, num_batch_buckets=2)
    task.load_dataset("valid")
    assert links_of(task, "valid") == gold(made_up, "valid")


def test_worker_processes_collate_the_same(made_up: Made, folder: Path, tmp_path: Path) -> None:
    write_links(links_path(folder, "train", "src", "tgt"), [read_links(made_up.text / "train.align")])
    logs = [
        train(folder, tmp_path / str(workers), "--disable-validation", "--no-save", "--num-workers", workers, updates=4)
        for workers in (0, 1)
    ]
    figures = [
        [(one["loss_per_token"], one["alignment_loss"]) for one in log if "loss_per_token" in one] for log in logs
    ]
    assert figures[0] == figures[1]
    assert len(figures[0]) >= 4


def test_sentences_that_are_too_long_are_skipped_with_their_links(made_up: Made, tmp_path: Path) -> None:
    log = train(
        made_up.binarised, tmp_path, "--no-save", "--max-source-positions", 9, "--max-target-positions", 12,
        "--skip-invalid-size-inputs-valid-test", "--validate-interval-updates", 2,
        updates=2,
    )  # fmt: skip
    assert any("valid_alignment_loss" in one for one in log)
