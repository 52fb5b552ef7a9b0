"""`fairseq-guided-align demo`: a page to try a model in the browser."""

from __future__ import annotations

import argparse

from fairseq_guided_align.cli.options import MODEL, SENTENCEPIECE_MODELS, WORD_SPLIT, add, given_words
from fairseq_guided_align.demo.server import MAX_BYTES, QUESTIONS, PageServer
from fairseq_guided_align.markup.kinds import DEFAULT_KINDS, READERS, markup_of
from fairseq_guided_align.markup.placeholders import READY_SETS
from fairseq_guided_align.pictures.demo_page import demo_page
from fairseq_guided_align.subwords.settings import SETTINGS_FILE

DEFAULT_PORT = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.description = """\
Serves a page to try a model: type or paste text with tags, and see its translation, the tags in it and the links
between the words. The page is for browsers on this machine alone, and needs no network. Ctrl-C ends it."""
    parser.add_argument("model", metavar="MODEL", help="checkpoint, or a folder that `ctranslate2` made of one")
    parser.add_argument(
        "--markup",
        metavar="KINDS",
        default=DEFAULT_KINDS,
        help=f"what the page begins with, as for `tags`: {', '.join(READERS)}, and placeholders or placeholders=SET"
        f" (default: {DEFAULT_KINDS})",
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="N", help="0: any that is free (default: %(default)s)"
    )
    add(parser, *MODEL, *SENTENCEPIECE_MODELS, note=f" (default: as {SETTINGS_FILE} says)")
    add(parser, "--subwords", note=f"default: as {SETTINGS_FILE} in the data folder says")
    add(parser, *WORD_SPLIT, note="default: as the data folder says")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    markup_of(args.markup)
    with PageServer(args.port) as server:
        # Importing torch and fairseq takes seconds, and a port that is taken need not wait for it.
        from fairseq_guided_align.api import load
        from fairseq_guided_align.demo.answers import MAX_BEAM, Answers

        models = args.source_sentencepiece_model, args.target_sentencepiece_model
        model = load(args.model, args.data, args.device, args.subwords, models, args.lang_pair, given_words(args))
        source, target = model.languages
        page, policy = demo_page({
            "model": args.model,
            "source": source,
            "target": target,
            "questions": QUESTIONS,
            "kinds": list(READERS),
            "sets": list(READY_SETS),
            "markup": args.markup,
            "max_beam": MAX_BEAM,
            "max_bytes": MAX_BYTES,
        })  # fmt: skip
        print(f"{source} to {target}: open {server.address} in a browser on this machine; Ctrl-C ends it", flush=True)
        server.serve(page, policy, Answers(model))
    return 0


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 2**16:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {2**16 - 1}; got {port}")
    return port
