"""The languages of a data folder, whose codes may have hyphens and dots: ``zh-Hans-en`` is read by the dictionaries."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.settings import subword_settings


class LanguagePair(str):
    """Text such as ``zh-Hans-en`` that knows its two languages: fairseq, which cuts it at the hyphen, gets these."""

    source: str
    target: str

    def __new__(cls, source: str, target: str) -> LanguagePair:
        pair = super().__new__(cls, f"{source}-{target}")
        pair.source, pair.target = source, target
        return pair

    def __reduce__(self) -> tuple[type[LanguagePair], tuple[str, str]]:
        return LanguagePair, (self.source, self.target)

    def split(self, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        """Source and target language."""
        return [self.source, self.target] if sep == "-" else super().split(sep, maxsplit)

    @property
    def reversed(self) -> LanguagePair:
        """The pair of the opposite direction."""
        return LanguagePair(self.target, self.source)


def languages(data: str) -> set[str]:
    """The languages whose dictionaries lie in a data folder; of folders with ``:`` between them, in the first."""
    folder = _first(data)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {name[len("dict.") : -len(".txt")] for name in names if name.startswith("dict.") and name.endswith(".txt")}


def language_pairs(data: str) -> set[LanguagePair]:
    """The pairs of the texts in a data folder. Where it has no text: the pair that ``preprocess`` wrote down."""
    known = languages(data)
    ends = {
        f"{source}-{target}.{lang}{suffix}": LanguagePair(source, target)
        for source, target in itertools.permutations(sorted(known), 2)
        for lang in (source, target)
        for suffix in ("", ".idx", ".bin")
    }
    found = {ends.get(name.partition(".")[2]) for name in os.listdir(_first(data))} if known else set()
    pairs = {pair for pair in found if pair is not None}
    if not pairs:
        settings = subword_settings(data)
        own = settings.get("source_lang"), settings.get("target_lang")
        pairs = {LanguagePair(*own)} if known >= set(own) else set()  # type: ignore[arg-type]
    return pairs


def folder_pair(data: str, source: str | None = None, target: str | None = None) -> LanguagePair | None:
    """The language pair of a data folder; None where it has no text.

    :param source: source language, if the user gave it. A folder is read in both directions.
    :param target: target language, if the user gave it.
    :raises GuidedAlignError: it has several, or none with the language that was given.
    """
    pairs = language_pairs(data)
    if not pairs:
        return None
    given = [one for one in (source, target) if one is not None]
    if given:
        pairs |= {pair.reversed for pair in pairs}
    chosen = sorted(pair for pair in pairs if source in (None, pair.source) and target in (None, pair.target))
    if len(chosen) != 1:
        wanted = f" with {' and '.join(map(repr, given))} as given" if given else ""
        raise GuidedAlignError(
            f"{_first(data)}: expected text of one language pair{wanted}; got that of"
            f" {', '.join(sorted(chosen or pairs))}; choose with both --source-lang and --target-lang"
        )
    return chosen[0]


def parse_pair(text: str, known: Collection[str], where: str, option: str) -> LanguagePair:
    """The two languages of ``zh-Hans-en``.

    :param known: the languages of the data folder.
    :param where: the data folder, for the message.
    :param option: which gave the text, for the message.
    :raises GuidedAlignError: no two languages make this pair, or it can be cut in several ways.
    """
    parts = text.split("-")
    cuts = [("-".join(parts[:at]), "-".join(parts[at:])) for at in range(1, len(parts))]
    fitting = [cut for cut in cuts if cut[0] in known and cut[1] in known]
    if len(fitting) != 1:
        raise GuidedAlignError(
            f"{option}: expected SOURCE-TARGET of the languages whose dictionaries lie in {where},"
            f" {', '.join(sorted(known)) or 'which has none'}; got {text!r}"
            f"{', which can be cut in several ways' if fitting else ''}"
        )
    return LanguagePair(*fitting[0])


def parse_pairs(texts: Iterable[str], data: str, option: str = "--lang-pairs") -> list[LanguagePair]:
    """The languages of each pair, by the dictionaries of a data folder.

    :raises GuidedAlignError: see :func:`parse_pair`.
    """
    known = languages(data)
    return [
        text if isinstance(text, LanguagePair) else parse_pair(str(text).strip(), known, _first(data), option)
        for text in texts
    ]


def _first(data: str) -> str:
    return str(data).split(os.pathsep)[0]
