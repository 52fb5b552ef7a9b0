"""Links of batches against the tokens that they join: whatever stands around the words, a link meets its two words."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.data import (
    AppendTokenDataset,
    ConcatDataset,
    Dictionary,
    LanguagePairDataset,
    ListDataset,
    PrependTokenDataset,
    StripTokenDataset,
    TruncateDataset,
)

import fairseq_guided_align
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks

fairseq_guided_align.register()

from fairseq_guided_align.links.sources import ConcatenatedLinks  # noqa: E402
from fairseq_guided_align.training.dataset import GuidedPairDataset, pair_counts, token_counts  # noqa: E402

WORDS = 40
"""Source word k of sentence i is the token FIRST + 1000 i + k, and likewise on the target side."""
FIRST = 10


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    found = Dictionary()
    for number in range(6000):
        found.add_symbol(f"w{number}")
    return found


def side(lengths: list[int], eos: int) -> ListDataset:
    items = [torch.tensor([*range(FIRST + 1000 * i, FIRST + 1000 * i + n), eos]) for i, n in enumerate(lengths)]
    return ListDataset(items, np.array([len(item) for item in items]))


SOURCE_LENGTHS, TARGET_LENGTHS = [3, 6, 1, 4], [5, 2, 4, 3]
LINKS = [
    SentenceLinks.from_pairs([(0, 0), (2, 4), (1, 4)]),
    SentenceLinks.from_pairs([(5, 1), (0, 0), (5, 0)], weights=[0.5, 1.0, 0.25]),
    SentenceLinks.from_pairs([]),
    SentenceLinks.from_pairs([(3, 2)]),
]


def joined_words(batch: dict[str, Any]) -> list[tuple[int, int]]:
    """The (source token, target token) pairs that the links of a batch join."""
    source, target = batch["net_input"]["src_tokens"], batch["target"]
    width = target.size(1)
    found = []
    for column, row in batch["alignments"].tolist():
        sentence, position = divmod(row, width)
        found.append((int(source[sentence, column]), int(target[sentence, position])))
    return sorted(found)


def expected_words(links: list[SentenceLinks], kept: int = WORDS) -> list[tuple[int, int]]:
    return sorted(
        (FIRST + 1000 * i + s, FIRST + 1000 * i + t) for i, one in enumerate(links) for s, t in one.pairs() if s < kept
    )


@pytest.mark.parametrize(
    ("left_source", "left_target", "decoration"),
    [
        *itertools.product((True, False), (True, False), ("plain", "append_bos")),
        (True, False, "bos"),
        (False, True, "language"),
        (True, True, "no-source-eos"),
        (True, True, "buckets"),
        (False, False, "no token"),
    ],
)
def test_links_join_their_words(
    dictionary: Dictionary, left_source: bool, left_target: bool, decoration: str, request: pytest.FixtureRequest
) -> None:
    if decoration == "buckets":
        request.getfixturevalue("old_numpy")
    eos, bos = dictionary.eos(), dictionary.bos()
    source: Any = side(SOURCE_LENGTHS, eos)
    target: Any = side(TARGET_LENGTHS, eos)
    options: dict[str, Any] = {}
    if decoration == "bos":
        source, target = PrependTokenDataset(source, bos), PrependTokenDataset(target, bos)
    elif decoration == "language":
        source, target = AppendTokenDataset(source, 6000), AppendTokenDataset(target, 6001)
        options["eos"] = 6001
    elif decoration == "no token":
        source, target = PrependTokenDataset(source, None), AppendTokenDataset(target, None)
    elif decoration == "append_bos":
        options["append_bos"] = True
    elif decoration == "no-source-eos":
        options["remove_eos_from_source"] = True
    elif decoration == "buckets":
        options["num_buckets"] = 2
    pairs = LanguagePairDataset(
        source,
        source.sizes,
        dictionary,
        target,
        target.sizes,
        dictionary,
        left_pad_source=left_source,
        left_pad_target=left_target,
        **options,
    )
    data = GuidedPairDataset(pairs, LINKS)
    batch = data.collater([data[index] for index in (2, 0, 3, 1)])
    assert joined_words(batch) == expected_words(LINKS)
    assert batch["link_counts"] == {"links": 7, "dropped": 0}
    assert batch["link_weights"].dtype == torch.float64
    sums: dict[int, float] = {}
    for (_, row), share in zip(batch["alignments"].tolist(), batch["align_weights"].tolist()):
        sums[row] = sums.get(row, 0.0) + share
    assert list(sums.values()) == pytest.approx([1.0] * len(sums))
    assert sorted(batch["link_weights"].tolist()) == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    # fairseq-generate --replace-unk reads both sides
    assert data.src is pairs.src
    assert data.tgt is pairs.tgt
    assert (data.left_pad_source, data.left_pad_target) == (left_source, left_target)


def test_truncation_drops_the_links_beyond_the_cut_and_no_others(dictionary: Dictionary) -> None:
    eos = dictionary.eos()
    source = AppendTokenDataset(
        TruncateDataset(StripTokenDataset(side(SOURCE_LENGTHS, eos), eos), truncation_length=3), eos
    )
    target = side(TARGET_LENGTHS, eos)
    pairs = LanguagePairDataset(source, source.sizes, dictionary, target, target.sizes, dictionary)
    data = GuidedPairDataset(pairs, LINKS)
    batch = data.collater([data[index] for index in range(4)])
    assert joined_words(batch) == expected_words(LINKS, kept=3)
    assert batch["link_counts"] == {"links": 4, "dropped": 3}
    counts, _ = pair_counts(pairs)
    assert counts.written.tolist() == SOURCE_LENGTHS
    assert counts.kept.tolist() == [3, 3, 1, 3]


def test_links_outside_their_sentences_go_and_are_counted(dictionary: Dictionary) -> None:
    source, target = side([2], dictionary.eos()), side([2], dictionary.eos())
    pairs = LanguagePairDataset(source, source.sizes, dictionary, target, target.sizes, dictionary)
    data = GuidedPairDataset(pairs, [SentenceLinks.from_pairs([(0, 0), (2, 0), (0, 2), (1, 1)])])
    batch = data.collater([data[0]])
    assert joined_words(batch) == [(FIRST, FIRST), (FIRST + 1, FIRST + 1)]
    assert batch["link_counts"] == {"links": 2, "dropped": 2}


def test_an_empty_sentence_has_no_links(dictionary: Dictionary) -> None:
    source, target = side([0], dictionary.eos()), side([1], dictionary.eos())
    pairs = LanguagePairDataset(source, source.sizes, dictionary, target, target.sizes, dictionary)
    data = GuidedPairDataset(pairs, [SentenceLinks.from_pairs([(0, 0)])])
    assert data[0]["links_dropped"] == 1


def test_shards_and_upsampling_keep_text_and_links_together(dictionary: Dictionary) -> None:
    eos = dictionary.eos()
    first, second = side([2, 3], eos), side([4], eos)
    source, target = ConcatDataset([first, second], [3, 1]), ConcatDataset([first, second], [3, 1])
    pairs = LanguagePairDataset(source, source.sizes, dictionary, target, target.sizes, dictionary)
    corpora = [
        CorpusLinks.from_sentences([SentenceLinks.from_pairs([(i, i)]) for i in (0, 1)]),
        CorpusLinks.from_sentences([SentenceLinks.from_pairs([(3, 3)])]),
    ]
    data = GuidedPairDataset(pairs, ConcatenatedLinks(corpora, [3, 1]))
    assert len(data) == 7
    met = [joined_words(data.collater([data[index]])) for index in range(7)]
    one, two, three = [(FIRST, FIRST)], [(FIRST + 1001, FIRST + 1001)], [(FIRST + 3, FIRST + 3)]
    assert met == [one, two, one, two, one, two, three]
    assert data._source.written.tolist() == [2, 3, 2, 3, 2, 3, 4]
    cut = [TruncateDataset(StripTokenDataset(one, eos), 2) for one in (first, second)]
    counts = token_counts(ConcatDataset(cut, [3, 1]))
    assert counts.written.tolist() == [2, 3, 2, 3, 2, 3, 4]
    assert counts.kept.tolist() == [2] * 7


def test_no_items_give_an_empty_batch(dictionary: Dictionary) -> None:
    source, target = side([2], dictionary.eos()), side([2], dictionary.eos())
    pairs = LanguagePairDataset(source, source.sizes, dictionary, target, target.sizes, dictionary)
    assert GuidedPairDataset(pairs, LINKS[:1]).collater([]) == {}


def test_a_batch_without_links_has_empty_tensors(dictionary: Dictionary) -> None:
    source, target = side([1], dictionary.eos()), side([4], dictionary.eos())
    pairs = LanguagePairDataset(source, source.sizes, dictionary, target, target.sizes, dictionary)
    data = GuidedPairDataset(pairs, [SentenceLinks.from_pairs([])])
    batch = data.collater([data[0]])
    assert batch["alignments"].shape == (0, 2)
    assert batch["align_weights"].shape == batch["link_weights"].shape == (0,)
