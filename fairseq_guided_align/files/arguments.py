"""What options and arguments hold: ``NAME=FILE``, ``A,B``, and numbers of sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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


def between_commas(text: str, is_there: Callable[[str], bool]) -> list[str]:
    """The parts of ``A,B``, without empty ones; a comma in the name of something that is there separates nothing.

    :param is_there: whether something of the name that a part holds is there.
    """
    parts = text.split(",")
    found = []
    while parts:
        heads = (",".join(parts[:count]) for count in range(1, len(parts) + 1))
        taken = next((count for count, head in enumerate(heads, start=1) if is_there(head)), 1)
        found.append(",".join(parts[:taken]).strip())
        parts = parts[taken:]
    return [part for part in found if part]


def sentence_numbers(text: str, option: str) -> list[int]:
    """The numbers, from 1, of ``1,7,20-22``, in this order.

    :param option: which gave the text, for the message.
    :raises GuidedAlignError: something else, or a number twice.
    """
    numbers: list[int] = []
    for part in str(text).split(","):
        first, dash, last = part.strip().partition("-")
        is_range = first.isdecimal() and (last.isdecimal() or not dash)
        # What is no number, and a range of none, stand for 0, which is refused.
        numbers += (is_range and range(int(first), int(last or first) + 1)) or [0]
    if not numbers or 0 in numbers or len(set(numbers)) != len(numbers):
        raise GuidedAlignError(
            f"{option}: expected numbers of sentences from 1, each once, such as 1,7,20-22; got {text!r}"
        )
    return numbers
