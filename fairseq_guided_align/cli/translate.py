"""`fairseq-guided-align translate`: raw text, with tags or without, or a whole document, to its translation."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from fairseq_guided_align.cli.argument_types import text_to_read, text_to_write
from fairseq_guided_align.cli.options import MODEL, SENTENCEPIECE_MODELS, WORD_SPLIT, add, given_words
from fairseq_guided_align.cli.tag_options import TAG_OPTIONS, chosen_tags
from fairseq_guided_align.errors import GuidedAlignError, MarkupError
from fairseq_guided_align.files.arriving import arriving_lines
from fairseq_guided_align.files.atomic import atomic_text
from fairseq_guided_align.files.document_bytes import read_document
from fairseq_guided_align.files.opening import STANDARD_INPUT
from fairseq_guided_align.files.processes import Process, this_process
from fairseq_guided_align.files.progress import line_counter, say
from fairseq_guided_align.files.shares import check_can_be_joined, check_can_be_shared, share_in_a_row
from fairseq_guided_align.links.pharaoh import format_line
from fairseq_guided_align.markup.kinds import Markup
from fairseq_guided_align.markup.notes import SegmentCounts
from fairseq_guided_align.markup.settings import tag_settings
from fairseq_guided_align.subwords.settings import SETTINGS_FILE

if TYPE_CHECKING:
    from fairseq_guided_align.aligning.process_group import ProcessGroup
    from fairseq_guided_align.api import Model, Translation

SHOWN = 10
"""Lines too long for the model that are named one by one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = (
        "Translates raw text, one segment a line, to raw text: the data folder's SentencePiece models cut it into"
        " pieces and put it together. With --markup, tags of the source come out in the translation, along the links"
        " that the model sees. With --document, a whole file is translated, and all but its text stays as it is.\n\n"
        "Several processes of torchrun or srun share the lines, and write one file."
    )
    parser.add_argument(
        "model", metavar="MODEL", help="checkpoint of fairseq-train, or a folder that the command ctranslate2 made"
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*", type=text_to_read, default=[STANDARD_INPUT],
        help="text, read one after the other (default: -)",
    )  # fmt: skip
    parser.add_argument(
        "--output", "-o", metavar="FILE", type=text_to_write, default="-", help="translation (default: -)"
    )
    parser.add_argument(
        "--links-output", metavar="FILE", type=text_to_write,
        help="write the links between words here, Pharaoh text, a line for each line. They count the words of source"
        " and translation without tags",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="write an object a line: text, links, score and guessed_tags"
    )
    search = parser.add_argument_group("search")
    search.add_argument("--beam", metavar="N", type=int, default=5, help="width of the beam (default: 5)")
    search.add_argument(
        "--nbest", metavar="N", type=int, default=1,
        help="with --json: the best N translations of each line, as a list (default: 1)",
    )  # fmt: skip
    search.add_argument(
        "--lenpen", metavar="X", type=float,
        help="length penalty: below 1 favours shorter translations, above 1 longer ones (default: 1)",
    )  # fmt: skip
    search.add_argument(
        "--max-tokens", metavar="N", type=int, default=4000, help="source tokens of a batch (default: 4000)"
    )
    document = parser.add_argument_group("documents")
    document.add_argument(
        "--document", choices=("html", "xliff"),
        help="translate one whole document. Its blocks are cut into sentences; everything but text stays byte for byte."
        " html: script, style, pre, textarea, svg, math and translate=no stay; the attributes alt, title, placeholder"
        " and aria-label and the descriptions of meta are translated, others stay. xliff: 1.2 or 2; targets that are"
        " missing, empty or marked as new"
        " are written",
    )  # fmt: skip
    tags = parser.add_argument_group("tags and protected text")
    add(tags, "--markup", default=None, note="default: text without tags")
    add(tags, *TAG_OPTIONS)
    model = parser.add_argument_group("model")
    add(model, *MODEL, *SENTENCEPIECE_MODELS, note=f" (default: as {SETTINGS_FILE} says)")
    add(model, "--subwords", choices=("sentencepiece", "words"))
    add(model, *WORD_SPLIT, note="default: as the data folder says")


def run(args: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code."""
    process = this_process()
    _check(args, process)
    tags = chosen_tags(args)
    # What is wrong with them is told before a model is loaded, which takes seconds.
    markup = tag_settings(**tags).markup
    choices = {**_search(args), **tags}
    # Importing torch and fairseq takes seconds.
    from fairseq_guided_align.aligning.process_group import ProcessGroup, device_of

    with ProcessGroup(process, args.output) as group:
        share = share_in_a_row(args.files, process)
        model = _model(args, device_of(process, args.device))
        if args.document is not None:
            return _translate_document(args, model, choices)
        return _translate_lines(args, group, _Lines(model, choices, args.files, share), markup)


def _translate_lines(args: argparse.Namespace, group: ProcessGroup, lines: _Lines, markup: Markup) -> int:
    with (
        group.outputs([args.output, args.links_output, args.report]) as (output, links, report),
        line_counter("translate", is_shown=group.process.is_first) as bar,
    ):
        assert output is not None
        for block in lines.blocks():
            for raw, translations in block:
                text = _object(raw, translations, args.nbest) if args.json else _text(raw, translations, markup)
                output.write(f"{text}\n".encode())
                if links is not None:
                    links.write(f"{format_line(translations[0].links) if translations else ''}\n".encode())
                if report is not None:
                    notes = [note for one in translations[:1] for note in one.notes]
                    report.writelines(note._replace(line=lines.begun + note.line).row() for note in notes)
            # Whoever wrote these lines into a pipe may wait for their translation.
            _flush(output, links)
            bar.update(len(block))
    too_long, counts = zip(*group.gathered((lines.too_long, lines.counts)))
    if not group.process.is_first:
        return 0
    if any(too_long):
        say(f"warning: {sum(too_long)} lines are too long for the model; they are written as they are")
    if args.markup is not None or args.protect or args.terms is not None:
        say(sum(counts, SegmentCounts()).summary(args.output))
    return 0


def _check(args: argparse.Namespace, process: Process) -> None:
    """:raises GuidedAlignError: options that do not go together, or are out of range."""
    if args.nbest > 1 and not args.json:
        raise GuidedAlignError("--nbest goes with --json, which writes a list of translations a line")
    if not 1 <= args.nbest <= args.beam:
        raise GuidedAlignError(f"expected 1 <= --nbest <= --beam; got {args.nbest} and {args.beam}")
    for option in ("output", "links_output", "report"):
        path = getattr(args, option)
        if path is not None:
            check_can_be_joined(path, f"--{option.replace('_', '-')}", process)
    for path in args.files:
        check_can_be_shared(path, process)
    if args.document is not None:
        if not process.is_alone:
            raise GuidedAlignError(
                "--document: one document is translated in one process; run it without torchrun, or as one task of"
                " SLURM"
            )
        given = [name for name in ("json", "links_output") if getattr(args, name)]
        if given:
            raise GuidedAlignError(f"--{given[0].replace('_', '-')}: of lines of text; --document writes a document")
        if len(args.files) != 1:
            raise GuidedAlignError(f"--document: expected one document; got {len(args.files)} files")
        if args.markup is not None and args.document not in [kind.strip() for kind in args.markup.split(",")]:
            raise GuidedAlignError(
                f"--document {args.document} reads {args.document}; --markup may add placeholders to it, as in"
                f" {args.document},placeholders=printf; got {args.markup!r}"
            )
    if args.max_tokens < 1:
        raise GuidedAlignError(f"--max-tokens: expected 1 or more; got {args.max_tokens}")


def _model(args: argparse.Namespace, device: str | None) -> Model:
    from fairseq_guided_align.api import load

    models = args.source_sentencepiece_model, args.target_sentencepiece_model
    model = load(args.model, args.data, device, args.subwords, models, args.lang_pair, given_words(args))
    if model.subwords == "bpe":
        raise GuidedAlignError(
            f"{args.model}: reads text in BPE pieces (@@), which raw text is not, and nothing here says how to cut it"
            " into them: cut it with subword-nmt for fairseq-interactive, or train on SentencePiece's pieces"
        )
    return model


def _translate_document(args: argparse.Namespace, model: Model, choices: dict[str, Any]) -> int:
    (path,) = args.files
    document = read_document(path)
    choices = {name: value for name, value in choices.items() if name not in ("nbest", "too_long")}
    with ExitStack() as stack:
        output = stack.enter_context(atomic_text(args.output))
        report = stack.enter_context(atomic_text(args.report)) if args.report is not None else None
        bar = stack.enter_context(line_counter("translate"))
        try:
            done = model.translate_document(document.text, args.document, progress=bar.update, **choices)
        except MarkupError as error:
            raise MarkupError(error.reason, error.line, error.column, path) from None
        output.write(document.encoded(done.text))
        if report is not None:
            report.writelines(note.row() for note in done.notes)
    counts = SegmentCounts()
    for one in done.translations:
        counts.add(one.tags if one else 0, ())
    counts.add_notes(done.notes)
    for line in done.too_long[:SHOWN]:
        say(f"warning: {path}:{line}: a text that begins here is too long for the model; written as it is")
    if done.there:
        say(f"{args.output}: {done.there} targets were there already, and stay")
    say(counts.summary(args.output))
    return 0


class _Lines:
    """Translates lines of files block by block, and counts.

    :param choices: arguments of ``Model.translate``.
    :param share: positions, from 0 over all files, of the lines that are wanted; None: all.
    """

    def __init__(self, model: Model, choices: dict[str, Any], files: Sequence[str], share: range | None) -> None:
        self._model = model
        self._choices = choices
        self._files = files
        self._share = share
        self.counts = SegmentCounts()
        self.begun = 0
        """Lines of all files before the latest block."""
        self.too_long = 0

    def blocks(self) -> Iterator[list[tuple[str, list[Translation]]]]:
        """Blocks of (line, its translations, none where it is too long), in the order of the files."""
        seen = 0
        for path in self._files:
            for first, lines in arriving_lines(path):
                wanted = range(seen, seen + len(lines))
                seen = wanted.stop
                if self._share is not None:
                    wanted = range(max(wanted.start, self._share.start), min(wanted.stop, self._share.stop))
                    skipped = wanted.start + len(lines) - seen
                    first, lines = first + skipped, lines[skipped : skipped + len(wanted)]
                if lines:
                    self.begun = wanted.start
                    yield list(zip(lines, self._translated(path, first, lines)))

    def _translated(self, path: str, first: int, lines: Sequence[str]) -> list[list[Translation]]:
        try:
            found = self._model.translate(lines, **self._choices)
        except MarkupError as error:
            raise MarkupError(error.reason, first + error.line - 1, error.column, path) from None
        for number, translations in enumerate(found, start=first):
            if not translations:
                self.too_long += 1
                if self.too_long <= SHOWN:
                    say(f"warning: {path}:{number}: too long for the model; written as it is")
            for one in translations[:1]:
                self.counts.add(one.tags, one.notes)
        return found


def _search(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``Model.translate`` about the search."""
    more = {} if args.lenpen is None else {"lenpen": args.lenpen}
    return {"beam": args.beam, "nbest": args.nbest, "max_tokens": args.max_tokens, "too_long": "skip", **more}


def _text(raw: str, translations: Sequence[Translation], markup: Markup) -> str:
    return markup.in_one_line(translations[0].text) if translations else raw


def _object(raw: str, translations: Sequence[Translation], nbest: int) -> str:
    """A line's translation in JSON, or the list of them."""
    objects = [
        {"text": one.text, "links": one.links.pairs(), "score": one.score, "guessed_tags": one.guessed_tags}
        for one in translations
    ] or [{"text": raw, "links": [], "score": None, "guessed_tags": 0}]
    return json.dumps(objects if nbest > 1 else objects[0], ensure_ascii=False)


def _flush(*streams: BinaryIO | None) -> None:
    for stream in streams:
        if stream is not None:
            stream.flush()
