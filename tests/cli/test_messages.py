"""The guide's page of messages explains every message of the package: a new one without an entry fails here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_guided_align import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fairseq_guided_align"
PAGE = ROOT / "examples" / "guide" / "6-when-it-goes-wrong.md"

ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"ImportError"}
CALLS = {"warning", "warn", "error"}
"""Of loggers, the module ``warnings`` and argument parsers."""
PRINTED = re.compile(r"\s*(error|warning|hint): (?=[\w…])")
"""How a report's line begins that is more than a count."""
GAP = "…"
"""Stands for what differs, here and in the page."""
LEAST = 9
"""Letters that an entry must have, so that it tells one message from others."""


@dataclass(frozen=True)
class Message:
    where: str
    text: str


def constants(tree: ast.Module) -> dict[str, str]:
    """Texts that a module gives a name to."""
    return {
        node.targets[0].id: str(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }  # fmt: skip


def rendered(node: ast.AST, named: dict[str, str]) -> str:
    """A message as the source has it, with a gap for each value put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(rendered(part, named) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return rendered(node.value, named)
    if isinstance(node, ast.Name):
        return named.get(node.id, GAP)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("rstrip", "format"):
        return rendered(node.func.value, named)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return rendered(node.left, named) + rendered(node.right, named)
    return GAP


def said(tree: ast.Module) -> Iterator[ast.expr]:
    """What a module raises, warns of, or notes in a report of problems; texts made by its own functions included."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_warning"):
            yield from returned(node)
        if isinstance(node, (ast.JoinedStr, ast.Constant)) and PRINTED.match(rendered(node, {})):
            yield node
        if not isinstance(node, (ast.Raise, ast.Call)):
            continue
        call = node.exc if isinstance(node, ast.Raise) else node
        if not (isinstance(call, ast.Call) and call.args):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        problem = (
            name == "append" and isinstance(call.func, ast.Attribute)
            and getattr(call.func.value, "attr", "") == "problems"
        )  # fmt: skip
        if not (name in ERRORS if isinstance(node, ast.Raise) else name in CALLS or problem):
            continue
        message = call.args[0]
        maker = getattr(message.func, "id", "") if isinstance(message, ast.Call) else ""
        if maker in functions:
            yield from returned(functions[maker])
        else:
            yield message


def returned(function: ast.FunctionDef) -> Iterator[ast.expr]:
    return (node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None)


def messages_of(source: str, name: str) -> list[Message]:
    tree = ast.parse(source)
    named = constants(tree)
    found = []
    for node in said(tree):
        text = PRINTED.sub("", re.sub(f"{GAP}+", GAP, rendered(node, named)))
        # what only passes on another message has no words of its own
        if sum(map(str.isalpha, text)) >= LEAST:
            found.append(Message(f"{name}:{node.lineno}", text))
    return found


def messages() -> list[Message]:
    return [
        message
        for path in sorted(PACKAGE.rglob("*.py"))
        for message in messages_of(path.read_text(encoding="utf-8"), str(path.relative_to(PACKAGE)))
    ]


def entries(page: str) -> list[str]:
    """What the first column of the tables of messages quotes, but for what is marked as another program's."""
    tables = re.findall(r"^\| message \|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    cells = re.findall(r"^\| ([^|]*) \|", "".join(tables), re.MULTILINE)
    return [text for cell in cells for text, other in re.findall(r"`([^`]+)`( \(\w+'s\))?", cell) if not other]


def pattern(entry: str) -> re.Pattern[str]:
    """Matches messages that are like the entry from the beginning on; gaps stand for anything."""
    parts = [re.escape(part.strip()) for part in entry.split(GAP)]
    return re.compile(r".*".join(parts) + ("" if entry.endswith(GAP) else r"\Z"), re.DOTALL)


def matched(page: str, found: list[Message]) -> tuple[list[Message], list[str]]:
    """Messages without an entry, and entries without a message."""
    patterns = {entry: pattern(entry) for entry in entries(page)}
    lost = [message for message in found if not any(p.match(message.text.strip()) for p in patterns.values())]
    idle = [entry for entry, p in patterns.items() if not any(p.match(message.text.strip()) for message in found)]
    return lost, idle


def test_every_message_has_its_entry_and_every_entry_a_message() -> None:
    lost, idle = matched(PAGE.read_text(encoding="utf-8"), messages())
    assert not lost, "without an entry in the guide's page 6:\n" + "\n".join(f"{m.where}: {m.text}" for m in lost)
    assert not idle, "entries of the guide's page 6 that no message has:\n" + "\n".join(idle)


def test_entries_tell_messages_apart() -> None:
    for entry in entries(PAGE.read_text(encoding="utf-8")):
        assert sum(map(str.isalpha, entry)) >= LEAST, entry


def test_its_contents_lead_to_its_sections() -> None:
    page = PAGE.read_text(encoding="utf-8")
    anchors = re.findall(r"\]\(#([^)]+)\)", page)
    sections = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall("^## (.*)", page, re.M)]
    assert anchors == sections


def test_a_message_without_an_entry_is_found() -> None:
    source = 'NAME = "a constant"\ndef f(x):\n    raise GuidedAlignError(f"{x}: some {NAME} that is wrong {x!r}")\n'
    new = messages_of(source, "module.py")
    assert [message.text for message in new] == ["…: some a constant that is wrong …"]
    page = PAGE.read_text(encoding="utf-8")
    assert matched(page, new)[0] == new
    row = "| `…: some a constant that is …` | Do otherwise. |"
    assert matched(page + f"\n| message | cure |\n|---|---|\n{row}\n", new)[0] == []
