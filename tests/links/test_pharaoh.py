"""Alignment text: a separately written reader, round trips, and files of every broken kind."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentFormatError, AlignmentRangeError, GuidedAlignError
from fairseq_guided_align.links import pharaoh
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks


def slow_read(text: str) -> list[dict[tuple[int, int], tuple[float, bool]]]:
    """What the text says, by regular expression and dictionary."""
    sentences = []
    for line in text.split("\n")[: -1 if text.endswith("\n") or not text else None]:
        links: dict[tuple[int, int], tuple[float, bool]] = {}
        for token in line.split():
            source, kind, target, weight = re.fullmatch(r"(\d+)([-?p])(\d+)(?:[:=](.+))?", token).groups()
            pair = int(source), int(target)
            value = float(np.float32(weight or 1))
            old_weight, old_sure = links.get(pair, (0.0, False))
            links[pair] = (max(value, old_weight), kind == "-" or old_sure)
        sentences.append(links)
    return sentences


def as_dicts(links: CorpusLinks) -> list[dict[tuple[int, int], tuple[float, bool]]]:
    return [
        {pair: (weight, sure) for pair, weight, sure in zip(some.pairs(), some.weight.tolist(), some.sure.tolist())}
        for some in links
    ]


WEIGHT = st.one_of(
    st.just(""),
    st.from_regex(
        r"[:=](0\.[0-9]{0,6}[1-9]|[1-9][0-9]{0,3}|[0-9]\.[0-9]{1,14}[1-9]|[1-9]e-?[0-9]|\.5|3\.)", fullmatch=True
    ),
)
POSITION = st.one_of(st.integers(0, 40), st.integers(0, 2**31 - 1)).map(str)
PLAIN = st.builds("{}-{}".format, st.integers(0, 130), st.integers(0, 130))
ANY = st.builds("{}{}{}{}".format, POSITION, st.sampled_from("-?p"), POSITION, WEIGHT)


def lines(token: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    space = st.sampled_from([" ", " ", " ", "  ", "\t"])
    line = st.lists(st.tuples(space, token).map("".join), max_size=6).map("".join)
    return st.builds(lambda every, end: "\n".join(every) + end, st.lists(line, max_size=6), st.sampled_from(["", "\n"]))


@settings(deadline=None)
@given(st.one_of(lines(PLAIN), lines(ANY)))
def test_reads_what_is_written(text: str) -> None:
    assert as_dicts(pharaoh.parse_block(text.encode())) == slow_read(text)


@settings(deadline=None)
@given(st.one_of(lines(PLAIN), lines(ANY)))
def test_block_by_line_and_as_arrays_agree(text: str) -> None:
    fast = pharaoh._parse_block_as_arrays(text.encode(), 0)
    slow = pharaoh._parse_block_by_line(text.encode(), "text", 1, 0)
    assert fast is None or fast == slow


@settings(deadline=None)
@given(lines(PLAIN))
def test_plain_text_needs_no_second_look(text: str) -> None:
    assert pharaoh._parse_block_as_arrays(text.encode(), 0) is not None


def test_weights_and_possible_links_need_no_second_look() -> None:
    text = b"0-0:0.5 1?1 2p2=0.125\n\n3-4:1 4?3:0.333333\n"
    assert pharaoh._parse_block_as_arrays(text, 0) == pharaoh._parse_block_by_line(text, "text", 1, 0)


@settings(deadline=None)
@given(st.one_of(lines(PLAIN), lines(ANY)), st.booleans())
@example("0-0 9999-9999", False)  # the last numbers that are looked up
@example("0-0 9999-0", True)
@example("0-0 10000-0", False)
@example("0-0 0-10000", False)
def test_written_and_read_again(text: str, one_based: bool) -> None:
    links = pharaoh.parse_block(text.encode())
    if one_based and len(links.source) and max(links.source.max(), links.target.max()) == 2**31 - 1:
        return
    written = pharaoh.format_block(links, one_based)
    assert written.count(b"\n") == len(links)
    assert pharaoh.parse_block(written, one_based=one_based) == links
    assert written == b"".join(pharaoh.format_line(some, one_based).encode() + b"\n" for some in links)


# Pieces of tokens put together at random, and bytes at random: what may come out is links or our errors.
SCRAPS = st.lists(
    st.sampled_from([*"0-1-?p:=.e \n\r\t\x0bé٣", "12", "999999999", "12345678901", "0.5"]), max_size=14
).map(lambda scraps: "".join(scraps).encode())


@settings(max_examples=300, deadline=None)
@given(st.one_of(SCRAPS, st.binary(max_size=24)), st.booleans())
def test_only_our_errors_come_out_and_both_ways_agree(block: bytes, one_based: bool) -> None:
    fast = pharaoh._parse_block_as_arrays(block, int(one_based))
    try:
        slow = pharaoh._parse_block_by_line(block, "some.align", 7, int(one_based))
    except (AlignmentFormatError, AlignmentRangeError) as error:
        assert re.match(r"some\.align:\d+: ", str(error))  # noqa: PT017  # most draws raise nothing
        assert fast is None
    else:
        assert fast is None or fast == slow


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("0-0\n1-1 2:2\n", AlignmentFormatError, r"f\.align:2: expected SOURCE-TARGET, such as 3-5.*got '2:2'"),
        ("0-0\n\n3-\n", AlignmentFormatError, r"f\.align:3: .*got '3-'"),
        ("-1-3", AlignmentFormatError, r"f\.align:1: .*got '-1-3'"),
        ("0-0 1-1-1", AlignmentFormatError, "got '1-1-1'"),
        ("0 - 0", AlignmentFormatError, "got '0'"),
        ("0-0,1-1", AlignmentFormatError, "got '0-0,1-1'"),
        ("0-0:0", AlignmentFormatError, "above 0; got '0-0:0'"),
        ("0-0:nan", AlignmentFormatError, "got '0-0:nan'"),
        ("0-0:1e99", AlignmentFormatError, "finite number"),
        ("0-0:1e-60", AlignmentFormatError, "above 0"),
        ("0-0:", AlignmentFormatError, "got '0-0:'"),
        ("0-0:.", AlignmentFormatError, "got '0-0:.'"),
        ("0-2147483648", AlignmentRangeError, "up to 2147483647; got '0-2147483648'"),
        ("0-" + "9" * 5000, AlignmentRangeError, "up to 2147483647"),
        ("0-0\r1-1\n", AlignmentFormatError, r"got '0-0\\r1-1'"),
        ("٣-٣", AlignmentFormatError, "got '٣-٣'"),
        ("x" * 200, AlignmentFormatError, "x{60}\\.\\.\\."),
    ],
)
def test_errors_name_file_line_and_token(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    path = tmp_path / "f.align"
    path.write_bytes(text.encode())
    with pytest.raises(error, match=says):
        pharaoh.read_links(path)


def test_error_in_a_late_block_has_the_right_line(tmp_path: Path) -> None:
    path = tmp_path / "f.align"
    path.write_text("0-0 1-1\n" * 5000 + "0-0 oops\n" + "0-0\n" * 10)
    with pytest.raises(AlignmentFormatError, match=r"f\.align:5001: "):
        for _ in pharaoh.read_chunks(path, block_bytes=1000):
            pass


@given(text=lines(ANY), block_bytes=st.integers(1, 40), crlf=st.booleans(), bom=st.booleans(), zipped=st.booleans())
@settings(max_examples=50, deadline=None)
def test_files_of_every_kind(
    tmp_path_factory: pytest.TempPathFactory, text: str, block_bytes: int, crlf: bool, bom: bool, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("files") / "f.align"
    data = (text.replace("\n", "\r\n") if crlf else text).encode()
    data = (b"\xef\xbb\xbf" if bom and block_bytes >= 3 else b"") + data
    path.write_bytes(gzip.compress(data) if zipped else data)
    links = CorpusLinks.concatenated(pharaoh.read_chunks(path, block_bytes=block_bytes))
    assert as_dicts(links) == slow_read(text)


def test_one_based(tmp_path: Path) -> None:
    assert pharaoh.parse_line("1-1 2-3:0.5", one_based=True) == SentenceLinks.from_pairs([(0, 0), (1, 2)], [1, 0.5])
    for text in ("1-1 0-2", "1-1 0?2"):
        with pytest.raises(AlignmentRangeError, match=r"count from 1; got '0[-?]2'"):
            pharaoh.parse_block(text.encode(), one_based=True)


def test_possible_and_weighted_tokens() -> None:
    links = pharaoh.parse_line("3-5:0.8 4?6 4p7=0.25 0-0\r\n")
    assert links.pairs() == [(0, 0), (3, 5), (4, 6), (4, 7)]
    assert links.sure.tolist() == [True, True, False, False]
    assert links.weight.tolist() == [1, np.float32(0.8), 1, 0.25]
    assert pharaoh.format_line(links) == "0-0 3-5:0.8 4?6 4?7:0.25"


def test_truncated_gzip_and_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "f.align.gz"
    path.write_bytes(gzip.compress(b"0-0\n" * 10000)[:-20])
    with pytest.raises(GuidedAlignError, match=r"f\.align\.gz: cannot be read"):
        pharaoh.read_links(path)
    with pytest.raises(GuidedAlignError, match=r"none\.align: cannot be read: No such file"):
        pharaoh.read_links(tmp_path / "none.align")
    with pytest.raises(GuidedAlignError, match="cannot be read: Is a directory"):
        pharaoh.read_links(tmp_path)


@settings(deadline=None)
@given(st.integers(1, 2**31 - 1).map(lambda bits: np.uint32(bits).view(np.float32)))
def test_weights_survive_writing(weight: np.float32) -> None:
    if not np.isfinite(weight):
        return
    links = SentenceLinks.from_pairs([(0, 0)], [float(weight)])
    assert pharaoh.parse_line(pharaoh.format_line(links)) == links
