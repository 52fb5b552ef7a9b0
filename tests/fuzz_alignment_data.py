"""Coverage-guided fuzzing of the parser and of the matching of words and pieces, for a bounded time.

    pip install atheris
    python tests/fuzz_alignment_data.py -max_total_time=120

Not part of the test suite, which fuzzes the same with hypothesis in seconds. Whatever comes out besides our own
errors, and any difference between the parser of blocks and that of lines, ends the run with the input that did it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["fairseq_guided_align"]):
    from fairseq_guided_align.errors import GuidedAlignError
    from fairseq_guided_align.links import pharaoh
    from fairseq_guided_align.subwords.conversion import (
        POLICIES,
        corpus_subword_links_to_word_links,
        word_links_to_subword_links,
    )
    from fairseq_guided_align.subwords.pieces import SUBWORD_KINDS, word_of_piece
    from fairseq_guided_align.subwords.spelling import match_lines

LETTERS = b"ab @- \n\t\r0123456789:=?p.e"


def parse(block: bytes, one_based: int) -> None:
    fast = pharaoh._parse_block_as_arrays(block, one_based)
    try:
        slow = pharaoh._parse_block_by_line(block, "fuzz", 1, one_based)
    except GuidedAlignError as error:
        assert str(error).startswith("fuzz:"), error  # noqa: PT017  # most inputs raise nothing
        assert fast is None
        return
    assert fast is None or fast == slow
    assert pharaoh.parse_block(pharaoh.format_block(slow)) == slow


def match(words: bytes, pieces: bytes, links: bytes, kind: str, policy: str) -> None:
    try:
        side = match_lines(words, pieces, kind)
        read = pharaoh.parse_block(links)
        made = word_links_to_subword_links(read, side, side, policy)
    except GuidedAlignError:
        return
    back = corpus_subword_links_to_word_links(made.links, side, side)
    assert back.kept.all()
    kept = [
        {pair for pair, keep in zip(sentence.pairs(), made.kept[first:last]) if keep}
        for sentence, first, last in zip(read, read.offsets[:-1], read.offsets[1:])
    ]
    assert all(one <= set(other.pairs()) for one, other in zip(kept, back.links))
    for line in pieces.decode(errors="replace").split("\n"):
        word_of_piece(line.split(), kind)


def one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    choice = provider.ConsumeIntInRange(0, 3)
    if choice == 0:
        parse(provider.ConsumeBytes(provider.remaining_bytes()), provider.ConsumeIntInRange(0, 1))
        return
    kind = SUBWORD_KINDS[provider.ConsumeIntInRange(0, len(SUBWORD_KINDS) - 1)]
    policy = POLICIES[provider.ConsumeIntInRange(0, len(POLICIES) - 1)]
    links = bytes(LETTERS[byte % len(LETTERS)] for byte in provider.ConsumeBytes(24))
    if choice == 1:
        words, pieces = (
            provider.ConsumeUnicodeNoSurrogates(12).encode(),
            provider.ConsumeUnicodeNoSurrogates(24).encode(),
        )
    else:
        # The same text on both sides, cut at random: most such inputs match.
        text = provider.ConsumeUnicodeNoSurrogates(16)
        mark = {"sentencepiece": "▁", "bpe": "@@ ", "words": ""}[kind]
        cut = "".join(letter + (" " + mark if provider.ConsumeBool() else "") for letter in text)
        words, pieces = text.encode(), cut.encode()
    match(words, pieces, links, kind, policy)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
