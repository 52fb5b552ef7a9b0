"""``NAME=FILE``, as options and arguments give it."""

from __future__ import annotations

from collections.abc import Iterable

from fairseq_guided_align.errors import GuidedAlignError


def name_and_file(argument: str) -> tuple[str, str]:
    """Name and file of ``NAME=FILE`` or of ``FILE``, whose name is empty."""
    name, equals, path = argument.partition("=")
    return (name, path) if equals else ("", argument)


def files_by_name(arguments: Iterable[str], what: str, example: str, option: str | None = None) -> dict[str, str]:
    """Files by name, of ``NAME=FILE`` arguments, in their order.

    :param what: the name names, such as ``SPLIT``, for messages.
    :param example: of arguments, for messages.
    :param option: which gave the arguments; None: they belong to none.
    :raises GuidedAlignError: an argument without a name or a file, or a name that was given before.
    """
    files: dict[str, str] = {}
    for argument in arguments:
        name, path = name_and_file(argument)
        if not (name and path) or name in files:
            where = f"{option}: " if option else ""
            raise GuidedAlignError(
                f"{where}expected {what}=FILE, each {what.lower()} once, such as {example}; got {argument!r}"
            )
        files[name] = path
    return files
