"""Binary files of links: what was written comes back, also in another process; anything else is refused."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentStoreError, GuidedAlignError
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.store import HEADER, LinkStore, StoreCounts, links_path, write_links

SENTENCE = st.lists(
    st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 9), st.sampled_from([0.5, 1.0]), st.booleans()), max_size=5
)
PLAIN = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.just(1.0), st.just(True)), max_size=5)


def made(rows: list[tuple[int, int, float, bool]]) -> SentenceLinks:
    return SentenceLinks.from_pairs([row[:2] for row in rows], [row[2] for row in rows], [row[3] for row in rows])


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.lists(SENTENCE, max_size=8), st.lists(PLAIN, max_size=8)), st.integers(0, 8))
def test_comes_back(
    tmp_path_factory: pytest.TempPathFactory, corpus: list[list[tuple[int, int, float, bool]]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "train.links.a-b"
    sentences = [made(rows) for rows in corpus]
    # The first part by sentences, the rest at once.
    counts = write_links(path, [*sentences[:cut], CorpusLinks.from_sentences(sentences[cut:])])
    store = LinkStore(path)
    assert list(store) == sentences
    assert store[: len(sentences)] == CorpusLinks.from_sentences(sentences)
    assert (
        store.counts
        == counts
        == StoreCounts(
            len(sentences),
            sum(map(len, sentences)),
            max((int(links.source.max()) for links in sentences if len(links)), default=-1),
            max((int(links.target.max()) for links in sentences if len(links)), default=-1),
        )
    )
    assert (store.weight is None) == all((links.weight == 1).all() for links in sentences)
    assert (store.sure is None) == all(links.sure.all() for links in sentences)
    assert list(pickle.loads(pickle.dumps(store))) == sentences
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_the_layout(tmp_path: Path, flags: int) -> None:
    """Files that are there already must stay readable: byte for byte as the module's docstring says, spelt out here."""
    weight, sure = (0.5, 1.0) if flags & 1 else (1.0, 1.0), (True, False) if flags & 2 else (True, True)
    sentences = [SentenceLinks.from_pairs([(258, 0), (3, 7)], weight, sure), made([]), made([(4, 1, 1.0, True)])]
    path = tmp_path / "links"
    write_links(path, sentences)
    header = b"FSGALNK\0" + struct.pack("<IIQQii", 1, flags, 3, 3, 258, 7) + bytes(24)
    assert len(header) == 64
    offsets = struct.pack("<4q", 0, 2, 2, 3)
    source, target = struct.pack("<3i", 258, 3, 4) + bytes(4), struct.pack("<3i", 0, 7, 1)
    columns = header + offsets + source + target
    if flags & 1:
        columns += bytes(4) + struct.pack("<3f", *weight, 1.0)
    if flags & 2:
        columns += bytes(4) + struct.pack("<3?", *sure, True)
    assert path.read_bytes() == columns
    assert list(LinkStore(path)) == sentences


def test_read_by_another_process(tmp_path: Path) -> None:
    links = [SentenceLinks.from_pairs([(0, 1), (2, 3)]), SentenceLinks.from_pairs([])]
    path = tmp_path / "train.links.a-b"
    write_links(path, links)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(len, [LinkStore(path)]) == [2]
        assert pool.apply(LinkStore(path).__getitem__, (0,)) == links[0]


def test_path_beside_fairseqs_files() -> None:
    assert links_path("data-bin", "train1", "grc", "en") == Path("data-bin/train1.links.grc-en")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "train.links.a-b"
    write_links(path, [SentenceLinks.from_pairs([(0, 1), (2, 3)], [1.0, 0.5]), SentenceLinks.from_pairs([(1, 1)])])
    return path


def test_refuses_every_truncation_and_extension(stored: Path) -> None:
    data = stored.read_bytes()
    for size in [*range(len(data)), len(data) + 1]:
        stored.write_bytes((data + b"\x00")[:size])
        with pytest.raises(AlignmentStoreError, match=r"train\.links\.a-b: (expected|truncated)"):
            LinkStore(stored)


@settings(max_examples=200, deadline=None)
@given(header=st.binary(min_size=0, max_size=HEADER.size + 40), keep=st.integers(0, 16))
def test_refuses_foreign_bytes(tmp_path_factory: pytest.TempPathFactory, header: bytes, keep: int) -> None:
    path = tmp_path_factory.mktemp("foreign") / "f.links.a-b"
    write_links(path, [SentenceLinks.from_pairs([(0, 1)])])
    data = path.read_bytes()
    changed = data[:keep] + header
    path.write_bytes(changed)
    if changed == data:
        return
    with pytest.raises(AlignmentStoreError, match=r"f\.links\.a-b"):
        LinkStore(path)


def test_refuses_offsets_in_disorder(tmp_path: Path) -> None:
    path = tmp_path / "f.links.a-b"
    write_links(path, [SentenceLinks.from_pairs([(0, 1)])] * 3)
    data = path.read_bytes()
    offsets = np.arange(4).astype("<i8")
    assert data.count(offsets.tobytes()) == 1
    for wrong in ([0, 2, 1, 3], [0, -1, 2, 3], [0, 4, 3, 3]):
        path.write_bytes(data.replace(offsets.tobytes(), np.array(wrong, "<i8").tobytes()))
        with pytest.raises(AlignmentStoreError, match="offsets from 0 to 3, none below the one before"):
            LinkStore(path)


def test_refuses_another_version(stored: Path) -> None:
    data = bytearray(stored.read_bytes())
    data[8] = 2
    stored.write_bytes(bytes(data))
    with pytest.raises(AlignmentStoreError, match=r"expected version 1 .* got version 2.*binarize"):
        LinkStore(stored)


def test_refuses_text_and_nothing(tmp_path: Path) -> None:
    text = tmp_path / "train.align"
    text.write_text("0-0 1-1\n")
    with pytest.raises(AlignmentStoreError, match=r"train\.align: expected a binary file of links; got .*0-0"):
        LinkStore(text)
    with pytest.raises(AlignmentStoreError, match="No such file"):
        LinkStore(tmp_path / "none")


def test_a_failure_leaves_the_old_file_and_nothing_else(stored: Path) -> None:
    def broken() -> Iterator[SentenceLinks]:
        yield SentenceLinks.from_pairs([(0, 0)])
        raise KeyboardInterrupt

    before = stored.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_links(stored, broken())
    assert stored.read_bytes() == before
    assert os.listdir(stored.parent) == [stored.name]


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(GuidedAlignError, match="cannot be written: No such file"):
        write_links(tmp_path / "none" / "train.links.a-b", [])


def test_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """/dev/full is not seekable, so a limit on the size of files stands in: the error takes the same way."""
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from fairseq_guided_align.links.link import CorpusLinks\n"
        "from fairseq_guided_align.links.store import write_links\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "n = 100000\n"
        "column = np.zeros(n, np.int32)\n"
        "write_links(sys.argv[1], [CorpusLinks(np.arange(n + 1), column, column)])\n"
    )
    assert resource.RLIMIT_FSIZE is not None
    path = tmp_path / "train.links.a-b"
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "GuidedAlignError" in run.stderr
    assert "train.links.a-b: cannot be written: File too large; free some space" in run.stderr
    assert os.listdir(tmp_path) == []


def test_nothing_to_map(tmp_path: Path) -> None:
    for name, chunks in (("none", []), ("empty", [CorpusLinks.from_sentences([made([])] * 3)])):
        counts = write_links(tmp_path / name, chunks)
        store = LinkStore(tmp_path / name)
        assert [len(links) for links in store] == ([] if name == "none" else [0, 0, 0])
        assert store.counts == counts == StoreCounts(len(store), 0, -1, -1)
        assert store.source.dtype == np.int32
