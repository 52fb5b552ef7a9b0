"""Outputs that appear complete or not at all: what stays on an error, rights, messages."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fairseq_guided_align.errors import AlignmentFormatError, GuidedAlignError
from fairseq_guided_align.files.atomic import atomic_file, atomic_folder, clear_write_errors


def test_on_an_error_the_file_of_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"whole")
    with pytest.raises(RuntimeError), atomic_file(path) as stream:  # noqa: PT012  # the error comes from inside
        stream.write(b"other")
        stream.flush()
        raise RuntimeError
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["out"]


def test_folders_above_are_made(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "deep" / "deeper" / "out"):
        pass
    assert (tmp_path / "deep" / "deeper" / "out").is_dir()


def test_rights_are_those_of_other_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "file"), atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder")] == [0o640, 0o750]


def test_errors_inside_a_folder_name_it_as_the_user_did(tmp_path: Path) -> None:
    with pytest.raises(GuidedAlignError) as told, atomic_folder(tmp_path / "out") as folder:
        raise AlignmentFormatError(f"{folder / 'x'}: wrong")
    assert (type(told.value), str(told.value)) == (AlignmentFormatError, f"{tmp_path / 'out' / 'x'}: wrong")
    error = GuidedAlignError("elsewhere")
    with pytest.raises(GuidedAlignError) as told, atomic_folder(tmp_path / "out"):
        raise error
    assert told.value is error


@pytest.mark.parametrize("error", [OSError(errno.EIO, "other"), BrokenPipeError(errno.EPIPE, "other")])
def test_errors_of_another_kind_stay_what_they_are(error: OSError) -> None:
    with pytest.raises(OSError, match="other") as told, clear_write_errors("out"):
        raise error
    assert told.value is error
