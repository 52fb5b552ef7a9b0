"""A made-up pair of languages with known links: text for trying things out and for tests, without a download.

Every sentence is drawn from a small lexicon. A source word is one of

- a noun or verb: one target word;
- a noun with article: two target words, both linked to it;
- a particle: no target word.

The translation swaps some neighbours, and ends in a full stop that no source word stands for. So there are
one-to-many links, crossing links and unlinked words on both sides, as in real text.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

SOURCE_ONSETS = ("β", "γ", "δ", "κ", "λ", "μ", "ν", "π", "στ", "τρ")
SOURCE_RIMES = ("α", "ει", "ος", "ων", "ην")
TARGET_ONSETS = ("b", "d", "f", "gr", "k", "l", "m", "pl", "s", "t")
TARGET_RIMES = ("a", "ea", "in", "o", "ust")
ARTICLE = "the"
FULL_STOP = "."
PARTICLES = ("δέ", "τε")


@dataclass(frozen=True)
class Pair:
    """One sentence pair; links are 0-based (source, target), unique, sorted."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


def make_text(sentences: int, words: int = 60, seed: int = 0) -> list[Pair]:
    """`sentences` pairs over `words` (at most 400) source words; the same for the same arguments."""
    generator = random.Random(seed)
    sources = _words(SOURCE_ONSETS, SOURCE_RIMES, generator)[:words]
    lexicon = dict(zip(sources, _words(TARGET_ONSETS, TARGET_RIMES, generator)))
    with_article = set(sources[::3])
    return [_pair(generator, sources, lexicon, with_article) for _ in range(sentences)]


def _words(onsets: tuple[str, ...], rimes: tuple[str, ...], generator: random.Random) -> list[str]:
    syllables = ["".join(pair) for pair in itertools.product(onsets, rimes)]
    found = [a + b for a, b in itertools.product(syllables[::2], syllables[::3])]
    generator.shuffle(found)
    return found


def _pair(generator: random.Random, sources: list[str], lexicon: dict[str, str], with_article: set[str]) -> Pair:
    source = [generator.choice(sources) for _ in range(generator.randint(3, 9))]
    if generator.random() < 0.5:
        source.insert(1, generator.choice(PARTICLES))
    order = [i for i, word in enumerate(source) if word in lexicon]
    for i in range(0, len(order) - 1, 2):
        if source[order[i]] in with_article:
            order[i], order[i + 1] = order[i + 1], order[i]
    target: list[str] = []
    links = []
    for i in order:
        translation = [ARTICLE] if source[i] in with_article else []
        translation.append(lexicon[source[i]])
        links += [(i, len(target) + k) for k in range(len(translation))]
        target += translation
    return Pair(tuple(source), (*target, FULL_STOP), tuple(sorted(links)))
