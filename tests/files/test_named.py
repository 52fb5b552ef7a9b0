"""``NAME=FILE``: what is taken apart, and what is refused."""

from __future__ import annotations

import pytest

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.named import files_by_name, name_and_file


def test_the_first_equals_sign_ends_the_name() -> None:
    assert name_and_file("a=b=c") == ("a", "b=c")
    assert name_and_file("a") == ("", "a")
    assert name_and_file("a=") == ("a", "")


def test_files_by_name() -> None:
    assert list(files_by_name(["b=x", "a=y"], "NAME", "a=x").items()) == [("b", "x"), ("a", "y")]
    for wrong in (["x"], ["=x"], ["a="], ["a=x", "a=y"]):
        with pytest.raises(GuidedAlignError) as error:
            files_by_name(wrong, "SPLIT", "train=x", "--files")
        assert str(error.value) == (
            f"--files: expected SPLIT=FILE, each split once, such as train=x; got {wrong[-1]!r}"
        )
