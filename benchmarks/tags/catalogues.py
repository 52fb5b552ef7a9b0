"""Messages and their translations out of the gettext catalogues in a wheel."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polib

LANGUAGES = {
    "de": ("de", "de_DE"),
    "es": ("es", "es_ES"),
    "fr": ("fr", "fr_FR"),
    "ja": ("ja", "ja_JP"),
    "ru": ("ru", "ru_RU"),
    "zh": ("zh_CN", "zh_Hans", "zh_Hans_CN"),
    "cs": ("cs", "cs_CZ"),
    "it": ("it", "it_IT"),
    "ko": ("ko", "ko_KR"),
    "nl": ("nl", "nl_NL"),
    "pl": ("pl", "pl_PL"),
    "pt": ("pt_BR",),
    "tr": ("tr", "tr_TR"),
    "uk": ("uk", "uk_UA"),
}
"""What is measured -> the names that its catalogues have."""

# Where messages are named by keys, translators are shown the English text in a comment.
_DEFAULT = re.compile(r'Default: "(.*)"', re.DOTALL)


@dataclass(frozen=True, order=True)
class Message:
    """A message and its translation, both with their tags; a run of white space is one space.

    :param package: the distribution that it comes from.
    """

    source: str
    target: str
    package: str


def read_messages(wheel: Path, package: str, language: str) -> Iterator[Message]:
    """The translated messages of a wheel, in the order of its catalogues; those that translators doubt are left out.

    :param language: one of :data:`LANGUAGES`.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if _language(name) in LANGUAGES[language])
        readable = {name[:-3] for name in names if name.endswith(".po")}
        for name in names:
            # A compiled catalogue beside the readable one holds nothing more.
            if name.endswith(".po") or (name.endswith(".mo") and name[:-3] not in readable):
                for source, target in _pairs(archive.read(name), name[-3:]):
                    source, target = (" ".join(text.split()) for text in (source, target))
                    if source and target and source != target:
                        yield Message(source, target, package)


def _language(name: str) -> str:
    folders = name.split("/")
    where = folders.index("LC_MESSAGES") - 1 if "LC_MESSAGES" in folders else -1
    return folders[where].replace("-", "_") if where >= 0 else ""


def _pairs(content: bytes, suffix: str) -> Iterator[tuple[str, str]]:
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        try:
            catalogue = polib.pofile(file.name) if suffix == ".po" else polib.mofile(file.name)
        except (OSError, UnicodeDecodeError):
            # A few catalogues are no valid ones, which is their packages' affair.
            return
    for entry in catalogue:
        if entry.obsolete or getattr(entry, "fuzzy", False):
            continue
        if entry.msgid_plural:
            # The last form is the one for many things in each of the languages.
            forms = entry.msgstr_plural
            yield entry.msgid_plural, forms[max(forms)] if forms else ""
        else:
            default = _DEFAULT.search(getattr(entry, "comment", "").replace("\n", " "))
            yield default.group(1) if default else entry.msgid, entry.msgstr
