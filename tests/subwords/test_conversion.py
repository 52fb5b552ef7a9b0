"""Word links to subword links and back, against sets made character by character, and on real SentencePiece models."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scripts import ANY_SCRIPT, MODELS, SCRIPTS, encoder

from fairseq_guided_align.errors import (
    AlignmentLengthError,
    AlignmentRangeError,
    GuidedAlignError,
    SubwordMismatchError,
)
from fairseq_guided_align.links.link import CorpusLinks, SentenceLinks
from fairseq_guided_align.links.words import has_rare_space
from fairseq_guided_align.subwords import same_spelling, spelling
from fairseq_guided_align.subwords.conversion import (
    corpus_subword_links_to_word_links,
    subword_links_to_word_links,
    word_links_to_subword_links,
)
from fairseq_guided_align.subwords.pieces import word_of_piece
from fairseq_guided_align.subwords.sentencepiece_models import OLDEST, PieceEncoder, train_model
from fairseq_guided_align.subwords.spelling import match_lines, match_sentence
from fairseq_guided_align.subwords.word_pieces import WordPieces

sentencepiece = pytest.importorskip("sentencepiece")


def as_sets(side: WordPieces) -> list[list[set[int]]]:
    """For each sentence and word the set of its pieces."""
    return [
        [
            set(range(int(start), int(start + count)))
            for start, count in zip(side.start[first:last], side.count[first:last])
        ]
        for first, last in zip(side.word_offsets[:-1], side.word_offsets[1:])
    ]


def by_characters(words: list[str], pieces: list[str], marks: str) -> list[set[int]]:
    """The pieces of each word, by the owner of each character; a piece without characters goes to the next one."""
    word_of = [index for index, word in enumerate(words) for _ in word]
    found: list[set[int]] = [set() for _ in words]
    position = 0
    for index, piece in enumerate(pieces):
        size = len(re.sub(marks, "", piece))
        if not size and position < len(word_of):
            found[word_of[position]].add(index)
        for owner in word_of[position : position + size]:
            found[owner].add(index)
        position += size
    assert position == len(word_of)
    return found


WORD = st.text(st.sampled_from("abcπδ語ก😀é"), min_size=1, max_size=5)
WORDS = st.lists(WORD, max_size=5)


@st.composite
def words_and_pieces(draw: st.DrawFn, kind: str) -> tuple[list[str], list[str]]:
    """A sentence and pieces that spell it: along its words, or cut anywhere."""
    words = draw(WORDS)
    pieces: list[str] = []
    if kind == "words":
        return words, list(words)
    if kind == "sentencepiece" and draw(st.booleans()):
        text = "▁" + "▁".join(words) if words else ""
        cuts = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)))))
        return words, [part for part in (text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])) if part]
    for word in words:
        cuts = sorted(draw(st.sets(st.integers(1, max(1, len(word) - 1)))))
        parts = [part for part in (word[a:b] for a, b in zip([0, *cuts], [*cuts, len(word)])) if part]
        if kind == "bpe":
            pieces += [part + "@@" for part in parts[:-1]] + parts[-1:]
        elif draw(st.booleans()):
            pieces += ["▁", *parts]
        else:
            pieces += ["▁" + parts[0], *parts[1:]]
    return words, pieces


MARKS = {"sentencepiece": "▁", "bpe": "@@$", "words": "$"}


@pytest.mark.parametrize("kind", ["sentencepiece", "bpe", "words"])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_pieces_of_each_word(kind: str, data: st.DataObject) -> None:
    corpus = data.draw(st.lists(words_and_pieces(kind), min_size=1, max_size=5))
    expected = [by_characters(words, pieces, MARKS[kind]) for words, pieces in corpus]
    block = match_lines(
        "".join(" ".join(words) + "\n" for words, _ in corpus).encode(),
        "".join(" ".join(pieces) + "\n" for _, pieces in corpus).encode(),
        kind,
    )
    assert as_sets(block) == expected
    assert block.pieces.tolist() == [len(pieces) for _, pieces in corpus]
    for number, sets in enumerate(expected):
        owners = [min((w for w, own in enumerate(sets) if i in own), default=-1) for i in range(block.pieces[number])]
        assert block.word_of_piece(number).tolist() == owners
    for (words, pieces), sets in zip(corpus, expected):
        one = match_sentence(words, pieces, kind)
        assert as_sets(one) == [sets]
        for first, own in zip(one.first.tolist(), sets):
            assert first == min((i for i in own if pieces[i].strip("▁")), default=min(own))


@settings(deadline=None)
@pytest.mark.parametrize("kind", ["sentencepiece", "bpe", "words"])
@given(data=st.data())
def test_word_of_piece_is_the_word_that_it_spells(kind: str, data: st.DataObject) -> None:
    words, pieces = data.draw(words_and_pieces(kind))
    found = word_of_piece(pieces, kind).tolist()
    sets = by_characters(words, pieces, MARKS[kind])
    assert found == [min((w for w, own in enumerate(sets) if i in own), default=-1) for i in range(len(pieces))]


def test_word_of_piece() -> None:
    for pieces, kind, expected in (
        (["▁", "A", "b", "▁was", "▁", "x"], "sentencepiece", [0, 0, 0, 1, 2, 2]),
        (["A", "▁b"], "sentencepiece", [0, 1]),
        (["▁", "▁a", "▁", "▁", "b", "▁"], "sentencepiece", [0, 0, 1, 1, 1, -1]),
        (["a", "b▁", "c▁"], "sentencepiece", [0, 0, 1]),
        (["▁the▁fa", "ther", "▁of"], "sentencepiece", [0, 1, 2]),
        (["▁"], "sentencepiece", [-1]),
        ([], "sentencepiece", []),
        (["a@@", "b", "c", "d@@", "e@@", "f"], "bpe", [0, 0, 1, 2, 2, 2]),
        (["a@@", "▁b"], "words", [0, 1]),
    ):
        assert word_of_piece(pieces, kind).tolist() == expected, (pieces, kind)


def test_other_kinds_and_policies_are_refused() -> None:
    side = match_sentence(["x"], ["x"], "words")
    links = CorpusLinks.from_sentences([SentenceLinks.from_pairs([(0, 0)])])
    with pytest.raises(GuidedAlignError, match="kind of subwords out of sentencepiece, bpe, words; got 'spm'"):
        word_of_piece(["a"], "spm")
    with pytest.raises(GuidedAlignError, match="policy out of all, first; got 'last'"):
        word_links_to_subword_links(links, side, side, "last")
    with pytest.raises(AlignmentLengthError, match="got 2, 1, 1"):
        word_links_to_subword_links(CorpusLinks.concatenated([links, links]), side, side)


@st.composite
def linked(draw: st.DrawFn) -> tuple[list[str], list[str], list[str], list[str], SentenceLinks]:
    source_words, source_pieces = draw(words_and_pieces("sentencepiece"))
    target_words, target_pieces = draw(words_and_pieces("sentencepiece"))
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.5, 1.0]), st.booleans()), max_size=8
        )
    )
    links = SentenceLinks.from_pairs([row[:2] for row in rows], [row[2] for row in rows], [row[3] for row in rows])
    return source_words, source_pieces, target_words, target_pieces, links


@settings(deadline=None)
@given(st.lists(linked(), min_size=1, max_size=4), st.sampled_from(["all", "first"]))
def test_projection(
    corpus: list[tuple[list[str], list[str], list[str], list[str], SentenceLinks]], policy: str
) -> None:
    sides = [
        match_lines(
            "".join(" ".join(row[side]) + "\n" for row in corpus).encode(),
            "".join(" ".join(row[side + 1]) + "\n" for row in corpus).encode(),
            "sentencepiece",
        )
        for side in (0, 2)
    ]
    links = CorpusLinks.from_sentences([row[4] for row in corpus])
    projected = word_links_to_subword_links(links, *sides, policy)
    lost = 0
    for row, made in zip(corpus, projected.links):
        source_sets, target_sets = by_characters(row[0], row[1], "▁"), by_characters(row[2], row[3], "▁")
        expected: dict[tuple[int, int], tuple[float, bool]] = {}
        for (s, t), weight, sure in zip(row[4].pairs(), row[4].weight.tolist(), row[4].sure.tolist()):
            if s >= len(row[0]) or t >= len(row[2]):
                lost += 1
                continue
            sources, targets = sorted(source_sets[s]), sorted(target_sets[t])
            if policy == "first":
                sources = [next(i for i in sources if row[1][i] != "▁")]
                targets = [next(i for i in targets if row[3][i] != "▁")]
            for pair in ((i, j) for i in sources for j in targets):
                old_weight, old_sure = expected.get(pair, (0.0, False))
                expected[pair] = (max(weight, old_weight), sure or old_sure)
        assert {pair: (w, y) for pair, w, y in zip(made.pairs(), made.weight.tolist(), made.sure.tolist())} == expected
    assert projected.out_of_range == lost == len(projected.kept) - int(projected.kept.sum())
    assert projected.without_pieces == 0

    one_word_each = all("▁" not in piece[1:] for row in corpus for pieces in (row[1], row[3]) for piece in pieces)
    back = corpus_subword_links_to_word_links(projected.links, *sides)
    inside = [[pair for pair in row[4].pairs() if pair[0] < len(row[0]) and pair[1] < len(row[2])] for row in corpus]
    if one_word_each:
        assert [made.pairs() for made in back.links] == inside
        assert [made.weight.tolist() for made in back.links] == [
            [w for pair, w in zip(row[4].pairs(), row[4].weight.tolist()) if pair in kept]
            for row, kept in zip(corpus, inside)
        ]
        for row, made in zip(corpus, projected.links):
            alone = subword_links_to_word_links(
                made, word_of_piece(row[1], "sentencepiece"), word_of_piece(row[3], "sentencepiece")
            )
            assert alone.pairs() == [p for p in row[4].pairs() if p[0] < len(row[0]) and p[1] < len(row[2])]
    else:
        assert all(set(kept) <= set(made.pairs()) for kept, made in zip(inside, back.links))


# --- real models -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@given(words=ANY_SCRIPT)
@settings(max_examples=60, deadline=None)
def test_round_trip_with_real_models(name: str, words: list[str]) -> None:
    model = encoder(name)
    line = " ".join(words)
    pieces = model.encode([line])[0]
    side = match_sentence(words, pieces, "sentencepiece", model.places_of)
    sets = as_sets(side)[0]
    # What the model adds or keeps of whitespace can be without a word; all text is some word's.
    assert {i for i, piece in enumerate(pieces) if piece.strip("▁")} <= set().union(*sets)
    spelt = [w for w, own in enumerate(sets) if own]
    target = match_sentence(["x"], ["x"], "words")
    links = CorpusLinks.from_sentences([SentenceLinks.from_pairs([(w, 0) for w in range(len(words))])])
    for policy in ("all", "first"):
        projected = word_links_to_subword_links(links, side, target, policy)
        assert projected.without_pieces == len(words) - len(spelt)
        back = corpus_subword_links_to_word_links(projected.links, side, target).links[0].source.tolist()
        shared = any(own & other for i, own in enumerate(sets) for other in sets[i + 1 :])
        assert back == spelt or (shared and set(back) >= set(spelt))


@pytest.mark.parametrize("name", ["unigram", "bpe", "byte-fallback", "casefold", "suffix", "no-dummy"])
def test_each_word_has_its_own_text(name: str) -> None:
    """The pieces of a word, cut on their own, spell what they spell in the sentence."""
    model = encoder(name)
    decode = model._model.decode
    for script in SCRIPTS:
        words = script.split()
        pieces = model.encode([script])[0]
        sets = as_sets(match_sentence(words, pieces, "sentencepiece", model.places_of))[0]
        for word, own in zip(words, sets):
            assert decode([pieces[i] for i in sorted(own)]).strip() == decode(model.encode([word])[0]).strip()


@pytest.mark.parametrize("name", ["unigram", "nfkc", "bpe", "byte-fallback"])
def test_by_normalisation_as_by_the_model(name: str) -> None:
    """Comparing after NFKC gives what the model's own offsets give."""
    model = encoder(name)
    for script in SCRIPTS:
        words = script.split()
        pieces = model.encode([script])[0]
        lengths = spelling._spans_of_places(words, model.places_of(script, pieces))
        assert lengths is not None
        has_text = np.array([bool(piece.strip("▁")) for piece in pieces])
        by_model = same_spelling.words_from_spans(
            np.array([0, len(words)]), np.cumsum(lengths[0]), np.array([0, len(pieces)]), *lengths[1:], has_text
        )
        try:
            alone = match_sentence(words, pieces, "sentencepiece")
        except SubwordMismatchError:
            assert "\u200b" in script or "\u200d" in script
            continue
        assert as_sets(alone) == as_sets(by_model), script


def test_words_of_text_without_spaces() -> None:
    """Words as a segmenter cuts them, pieces as the model cuts the unsegmented text."""
    words = ["太初", "有", "道", "，", "道", "与", "神", "同在", "，", "道", "就是", "神", "。"]
    model = encoder("unigram")
    pieces = model.encode(["".join(words)])[0]
    sets = as_sets(match_sentence(words, pieces, "sentencepiece"))[0]
    assert sets == by_characters([word.replace("，", ",") for word in words], pieces, "▁")


@pytest.mark.parametrize("name", ["unigram", "byte-fallback", "identity"])
def test_a_normaliser_that_puts_spaces_into_words(name: str) -> None:
    """NFKC makes a space and a combining mark of the elision sign, so that pieces alone show another word there."""
    words = ["δι᾽", "αὐτοῦ", "´x", "y"]
    model = encoder(name)
    pieces = model.encode([" ".join(words)])[0]
    side = match_sentence(words, pieces, "sentencepiece")
    spelt = ["".join(pieces[i] for i in sorted(own)) for own in as_sets(side)[0]]
    if name != "byte-fallback":
        assert [text.replace("▁", "") for text in spelt] == (
            words if name == "identity" else ["δι\u0313", "αὐτοῦ", "\u0301x", "y"]
        )
    found = side.word_of_piece(0).tolist()
    assert found == sorted(found)
    assert set(found) == {0, 1, 2, 3}
    assert max(word_of_piece(pieces, "sentencepiece")) == (3 if name == "identity" else 4)


def test_words_tokenised_otherwise_than_the_text() -> None:
    side = match_sentence(["do", "n't", "!"], ["▁don", "'", "t!"], "sentencepiece")
    assert as_sets(side) == [[{0}, {0, 1, 2}, {2}]]
    # A model that folds case, whose own offsets are of other words, yet leaves the soft hyphen.
    side = match_sentence(["Aus", "\xad", "schließ"], ["▁aus", "\xad", "schließ"], "sentencepiece")
    assert as_sets(side) == [[{0}, {1}, {2}]]


def test_case_and_invisible_characters_that_both_differ() -> None:
    assert as_sets(match_sentence(["Au\u200bs", "b"], ["aus", "b"], "words")) == [[{0}, {1}]]


def test_a_line_in_which_normalisation_moves_borders_of_words() -> None:
    side = match_lines("δι᾽ x\n".encode(), "▁δι ▁\u0313 ▁x\n".encode(), "sentencepiece")
    assert as_sets(side) == [[{0, 1}, {2}]]


def test_words_of_invisible_characters() -> None:
    """The model says which pieces are a joiner's; characters alone would find it invisible, and without pieces."""
    model = encoder("byte-fallback")
    words = ["x\u200by", "\u200d"]
    pieces = model.encode([" ".join(words)])[0]
    side = match_sentence(words, pieces, "sentencepiece", model.places_of)
    assert pieces[4:] == ["▁", "<0xE2>", "<0x80>", "<0x8D>"]
    assert as_sets(side) == [[{0, 1, 2, 3}, {4, 5, 6, 7}]]
    assert match_sentence(words, pieces, "sentencepiece").count.tolist() == [4, 0]


def test_byte_pieces() -> None:
    pieces = ["▁a", "<0xE4>", "<0xB8>", "<0xAD>", "▁", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]
    side = match_sentence(["a", "中", "😀"], pieces, "sentencepiece")
    assert as_sets(side) == [[{0}, {1, 2, 3}, {4, 5, 6, 7, 8}]]
    assert side.first.tolist() == [0, 1, 5]
    with pytest.raises(SubwordMismatchError):
        match_sentence(["a"], ["<0xE4>", "a"], "sentencepiece")
    # Text that only looks like a byte is text.
    assert as_sets(match_sentence(["<0x41>", "b"], ["▁<0x41>", "▁b"], "sentencepiece")) == [[{0}, {1}]]


def test_the_mark_of_sentencepiece_is_text_elsewhere() -> None:
    for kind in ("bpe", "words"):
        assert as_sets(match_lines("▁ a▁ b\n".encode(), "▁ a▁ b\n".encode(), kind)) == [[{0}, {1}, {2}]]
    assert as_sets(match_lines("a▁b c\n".encode(), "▁a ▁b ▁c\n".encode(), "sentencepiece")) == [[{0, 1}, {2}]]


def test_spaces_beyond_one() -> None:
    for words, pieces in (
        ("a  b", "▁a ▁ ▁b"), (" a b ", "▁ ▁a ▁b ▁"), ("a\tb", "▁a ▁b"), ("a\tb", "▁a\tb"), ("a b", "▁a  ▁b"),
    ):  # fmt: skip
        sets = as_sets(match_lines(words.encode(), pieces.encode(), "sentencepiece"))
        assert sets == [by_characters(words.split(), pieces.split(), "▁")]
    for pieces in ("a@@  b c", "a@@ b  c ", " a@@ b\tc"):
        assert as_sets(match_lines(b"ab c\n", pieces.encode() + b"\n", "bpe")) == [[{0, 1}, {2}]]
    with pytest.raises(SubwordMismatchError):
        match_lines(b"a b c\n", b"a@@  b c d\n", "bpe")
    assert as_sets(match_lines(b"a b c\n", b"a@@  b c\n", "bpe")) == [[{0}, {1}, {2}]]


def test_a_lone_space_at_the_end_of_a_line_is_of_no_word_of_the_next() -> None:
    side = match_lines(b"a b\nc\n", "▁a b ▁\n▁c\n".encode(), "sentencepiece")
    assert as_sets(side) == [[{0}, {1}], [{0}]]


def test_words_that_end_in_the_mark_of_bpe() -> None:
    assert as_sets(match_sentence(["a@@", "b"], ["a@@", "b"], "bpe")) == [[{0}, {1}]]
    # A mark before the end of a word moves nothing.
    assert as_sets(match_sentence(["a", "b@@"], ["a@@", "b@@"], "bpe")) == [[{0}, {1}]]
    assert as_sets(match_lines(b"a@@ b\nab c\n", b"a@@ b\na@@ b c\n", "bpe")) == [[{0}, {1}], [{0, 1}, {2}]]


def test_a_piece_that_is_nothing_but_the_mark_of_bpe_is_text() -> None:
    for line in (b"@@", b"@@ a", b"a @@", b"a @@ b"):
        assert match_lines(b"x\n" + line + b"\ny\n", b"x\n" + line + b"\ny\n", "bpe").count.tolist() == [1] * (
            2 + len(line.split())
        )
        # Taken for a mark, it would spell nothing, as the words do.
        without = b" ".join(line.replace(b"@@", b"").split())
        for before in (b"", b"x\n"):
            with pytest.raises(SubwordMismatchError):
                match_lines(before + without + b"\n", before + line + b"\n", "bpe")


def test_a_word_without_letters_within_a_piece() -> None:
    side = match_sentence(["a", "\u200b", "b"], ["ab"], "words")
    assert as_sets(side) == [[{0}, set(), {0}]]


def test_a_word_that_a_model_turned_into_a_space() -> None:
    """Its piece is its first, though that has no text."""
    side = match_sentence(
        ["a", "x"], ["▁a", "▁"], "sentencepiece", lambda line, pieces: (np.array([0, 2]), np.array([1, 3]))
    )
    assert (side.count.tolist(), side.first.tolist()) == ([1, 1], [0, 1])


def test_links_of_words_without_pieces_and_of_pieces_without_words() -> None:
    cut, whole = match_sentence(["a", "\u200b"], ["a"], "words"), match_sentence(["b"], ["b"], "words")
    links = CorpusLinks.from_sentences([SentenceLinks.from_pairs([(0, 0), (1, 0)])])
    for found in (
        word_links_to_subword_links(links, cut, whole),
        word_links_to_subword_links(links.inverted(), whole, cut),
    ):
        assert found.links[0].pairs() == [(0, 0)]
        assert (found.kept.tolist(), found.out_of_range, found.without_pieces) == ([True, False], 0, 1)
    pieces = SentenceLinks.from_pairs([(0, 0), (0, 1), (1, 0)])
    assert subword_links_to_word_links(pieces, np.array([0, -1]), np.array([0, -1])).pairs() == [(0, 0)]


def test_whitespace_that_only_fairseq_splits_at() -> None:
    side = match_sentence(["10\u00a0000", "x"], ["▁10", "000", "▁x"], "sentencepiece")
    assert as_sets(side) == [[{0, 1}, {2}]]
    side = match_sentence(["x\u00a0@@", "a@@"], ["x", "@@", "a@@"], "bpe")
    assert as_sets(side) == [[{0, 1}, {2}]]
    lines = match_lines("10\u00a0000 x\n".encode(), "10\u00a0000 x\n".encode(), "words")
    assert as_sets(lines) == [[{0, 1}, {2}]]


def test_every_rare_whitespace_is_known() -> None:
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    rare = [letter for letter in letters if letter.isspace() and letter not in " \t\n\r\v\f"]
    assert all(has_rare_space(f"a{letter}b".encode()) for letter in rare)
    assert not has_rare_space("".join(letter for letter in letters if letter not in rare).encode())


@pytest.mark.parametrize(
    ("words", "pieces", "says"),
    [
        ("the cat sat", "▁the ▁dog ▁sat", r"differ at letter 4 .* words go on 'catsat', the pieces 'dogsat'"),
        ("the cat", "▁the", "words go on 'cat', the pieces no further"),
        ("the", "▁the ▁cat", "words go on no further, the pieces 'cat'"),
        ("", "▁a", "words go on no further"),
    ],
)
def test_disagreement_is_shown(words: str, pieces: str, says: str) -> None:
    with pytest.raises(SubwordMismatchError, match=says):
        match_sentence(words.split(), pieces.split(), "sentencepiece")
    with pytest.raises(SubwordMismatchError, match=says):
        match_lines(f"a\n{words}\n".encode(), f"▁a\n{pieces}\n".encode(), "sentencepiece")


def test_disagreements_can_be_counted() -> None:
    found: list[tuple[int, str]] = []
    side = match_lines(
        b"a b\nc d e\nf\n", "▁a ▁b\n▁c ▁x\n▁f\n".encode(), "sentencepiece", None, lambda *args: found.append(args)
    )
    assert [index for index, _ in found] == [1]
    assert as_sets(side) == [[{0}, {1}], [set(), set(), set()], [{0}]]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12), st.sampled_from(["sentencepiece", "bpe", "words"]))
def test_only_our_errors_come_out(words: str, pieces: str, kind: str) -> None:
    assume("\n" not in words + pieces)
    try:
        words_bytes, pieces_bytes = words.encode(), pieces.encode()
    except UnicodeEncodeError:
        return
    try:
        side = match_lines(words_bytes + b"\n", pieces_bytes + b"\n", kind)
    except SubwordMismatchError:
        return
    assert side.words.tolist() == [len(words_bytes.split())]
    assert side.pieces.tolist() == [len(pieces.split())]
    assert (side.start + side.count <= side.pieces[0]).all()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12), st.binary(max_size=12), st.sampled_from(["sentencepiece", "bpe", "words"]))
def test_bytes_that_are_no_text(words: bytes, pieces: bytes, kind: str) -> None:
    with contextlib.suppress(SubwordMismatchError, AlignmentLengthError):
        match_lines(words, pieces, kind)


def test_the_same_letters_on_other_lines() -> None:
    for kind in ("words", "bpe", "sentencepiece"):
        with pytest.raises(SubwordMismatchError):
            match_lines(b"a b\nc\n", b"a\nb c\n", kind)


def test_other_number_of_lines() -> None:
    with pytest.raises(AlignmentLengthError, match="expected 2 lines of pieces"):
        match_lines(b"a\nb\n", b"a\n", "words")


def test_links_outside_the_pieces() -> None:
    with pytest.raises(AlignmentRangeError, match="within 1 source and 1 target tokens; got 0-3"):
        subword_links_to_word_links(SentenceLinks.from_pairs([(0, 3)]), np.array([0]), np.array([0]))


def test_surfaces_need_no_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    """sentencepiece's own messages need the package protobuf, which the extra `sentencepiece` does not bring."""
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    model = encoder("unigram")
    line = "das ha\u200bus ½ ﬁ"
    pieces = model.encode([line])[0]
    places = model.places_of(line, pieces)
    assert places is not None
    assert "".join(line[start:end] for start, end in zip(*places)) == line
    words = line.split(" ")
    sets = as_sets(match_sentence(words, pieces, "sentencepiece", model.places_of))[0]
    spelt = ["".join(pieces[i] for i in sorted(own)).replace("▁", "") for own in sets]
    assert spelt == ["das", "haus", "1⁄2", "fi"]


def test_an_older_sentencepiece_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before version 0.2.2 it gives no places of pieces; setup.py asks for that version."""
    allowed = ".".join(map(str, OLDEST))
    assert f'"sentencepiece>={allowed}"' in (Path(__file__).parents[2] / "setup.py").read_text(encoding="utf-8")
    for version in ("0.2.1", "0.1.99", "0.2"):
        monkeypatch.setattr(sentencepiece, "__version__", version)
        with pytest.raises(GuidedAlignError, match=f"expected sentencepiece {allowed} or newer, .*; got {version};"):
            train_model(["a b c"], tmp_path / "small.model", 20)
    for version in (allowed, "0.2.3.dev1", "0.10.0", "1.0"):
        monkeypatch.setattr(sentencepiece, "__version__", version)
        train_model(["a b c"] * 10, tmp_path / "small.model", 20)


def test_a_model_in_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    train_model(["a b c"] * 10, folder / "small.model", 20)
    assert "".join(PieceEncoder(folder / "small.model").encode(["a"])[0]) == "▁a"


def test_model_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(GuidedAlignError, match="no such file"):
        PieceEncoder(tmp_path / "none.model")
    (tmp_path / "text.model").write_text("hello")
    with pytest.raises(GuidedAlignError, match="expected a SentencePiece model"):
        PieceEncoder(tmp_path / "text.model")
    with pytest.raises(GuidedAlignError, match="cannot train"):
        train_model(["a b c"], tmp_path / "small.model", 5000, "bpe")
    assert not (tmp_path / "small.model").exists()
