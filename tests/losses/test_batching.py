"""Links of a batch against slow loops, in both forms that the criterion understands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_guided_align.errors import AlignmentRangeError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.losses.batching import batch_links, collate_links

CELLS = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.floats(0.125, 4, width=32), max_size=5)


@given(st.lists(st.tuples(CELLS, st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=4))
def test_every_link_is_where_its_sentence_is(
    sentences: list[tuple[dict[tuple[int, int], float], int, int]],
) -> None:
    """Each sentence has its own first column and first position, as padding on the left makes them."""
    width = 7
    batch = collate_links(
        [SentenceLinks.from_pairs(list(cells), list(cells.values())) for cells, _, _ in sentences],
        np.array([column for _, column, _ in sentences]),
        np.array([position for _, _, position in sentences]),
        width,
        dropped=5,
    )
    wanted = {
        (source + column, b * width + target + position): weight
        for b, (cells, column, position) in enumerate(sentences)
        for (source, target), weight in cells.items()
    }
    got = [tuple(row) for row in batch["alignments"].tolist()]
    assert sorted(got) == sorted(wanted)
    assert dict(zip(got, batch["link_weights"].tolist())) == wanted
    for row in {row for _, row in got}:
        total = sum(weight for (_, r), weight in wanted.items() if r == row)
        for (column, r), share in zip(got, batch["align_weights"].tolist()):
            if r == row:
                assert share == pytest.approx(wanted[column, r] / total, rel=1e-12)
    assert batch["link_counts"] == {"links": len(wanted), "dropped": 5}
    # fairseq's half precision rounds float32 and nothing else
    assert batch["align_weights"].dtype == batch["link_weights"].dtype == torch.float64

    sample = {**batch, "target": torch.zeros(len(sentences), width, dtype=torch.int64)}
    links = batch_links(sample, source_width=7)
    assert links.unique
    for b, t, s, weight in zip(links.sentence, links.target, links.source, links.weight):
        assert wanted.pop((int(s), int(b) * width + int(t))) == float(weight)
    assert not wanted


def test_stock_batches_and_batches_without_links() -> None:
    sample = {"target": torch.zeros(2, 3, dtype=torch.int64), "alignments": torch.tensor([[4, 5], [4, 5]])}
    links = batch_links(sample, source_width=5)
    assert not links.unique
    assert (links.sentence.tolist(), links.target.tolist(), links.source.tolist()) == ([1, 1], [2, 2], [4, 4])
    assert links.weight.tolist() == [1, 1]
    del sample["alignments"]
    links = batch_links(sample, source_width=5)
    assert {links.sentence.shape, links.target.shape, links.source.shape, links.weight.shape} == {(0,)}


@pytest.mark.parametrize("pair", [[5, 0], [-1, 0], [0, 6], [0, -1]])
def test_links_outside_the_batch_are_refused(pair: list[int]) -> None:
    sample = {"target": torch.zeros(2, 3, dtype=torch.int64), "alignments": torch.tensor([[1, 1], pair, [2, 2]])}
    with pytest.raises(AlignmentRangeError, match=r"columns 0\.\.4 and the batch target rows 0\.\.5"):
        batch_links(sample, source_width=5)
