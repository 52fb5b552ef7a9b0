"""``NAME=FILE``, ``A,B`` and numbers of sentences: what is taken apart, and what is refused."""

from __future__ import annotations

import pytest

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import between_commas, files_by_name, name_and_file, sentence_numbers


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


def test_a_comma_in_a_name_that_is_there_separates_nothing() -> None:
    there = {"a,b", "c,,d", "e"}
    assert between_commas("a,b,c,,d,x, e,", there.__contains__) == ["a,b", "c,,d", "x", "e"]
    assert between_commas("a,b", set().__contains__) == ["a", "b"]
    assert between_commas("", there.__contains__) == []


def test_sentence_numbers() -> None:
    assert sentence_numbers("9, 1,20-22", "--n") == [9, 1, 20, 21, 22]
    for text in ("", "0", "1,", "1,,2", "2-1", "3,2-1", "1,1", "2,1-3", "a", "1-", "-1"):
        with pytest.raises(GuidedAlignError, match="--n: expected numbers of sentences from 1, each once"):
            sentence_numbers(text, "--n")
