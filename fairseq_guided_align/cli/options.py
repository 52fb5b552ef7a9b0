"""Options that several commands share: one name and one help text each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairseq_guided_align.cli.argument_types import (
    column_numbers,
    count,
    fraction,
    piece_sizes,
    text_to_read,
    text_to_write,
    word_definition,
)
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.opening import CopiedText, PathLike
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.files.tsv import tsv_columns
from fairseq_guided_align.links.chunked_text import SAMPLE_PAIRS, Chunking
from fairseq_guided_align.links.symmetrisation import SYMMETRISATIONS
from fairseq_guided_align.links.words import DEFAULT_SPLIT, WordSplits
from fairseq_guided_align.markup.carrying import DEFAULT_QUOTES, KEEP_PAIRS, PAIRS
from fairseq_guided_align.markup.edges import QUOTE_SIDES
from fairseq_guided_align.markup.kinds import DEFAULT_KINDS
from fairseq_guided_align.markup.placeholders import READY_SETS
from fairseq_guided_align.markup.protected import PROTECTED_KINDS
from fairseq_guided_align.markup.settings import ON_ERROR, STOP
from fairseq_guided_align.subwords.conversion import POLICIES
from fairseq_guided_align.subwords.pieces import LEVELS, SUBWORD_KINDS
from fairseq_guided_align.subwords.settings import SETTINGS_FILE

_TEXT: dict[str, Any] = {"metavar": "FILE", "type": text_to_read}
_FLAG: dict[str, Any] = {"action": "store_true"}
_AS_FOLDER_SAYS = f"default: as {SETTINGS_FILE} in the data folder says"

SHARED: dict[str, dict[str, Any]] = {
    "--source": {**_TEXT, "help": "source text{note}"},
    "--target": {**_TEXT, "help": "target text{note}"},
    "--tsv": {**_TEXT, "help": "text of both sides in one file, columns with tabs between them{note}"},
    "--columns": {
        "type": column_numbers, "metavar": "SOURCE,TARGET[,LINKS]",
        "help": "columns of the TSV, counted from 1{note} (default: 1,2)",
    },
    "--source-lang": {"metavar": "LANG", "help": "source language, the suffix of its texts{note}"},
    "--target-lang": {"metavar": "LANG", "help": "target language, the suffix of its texts{note}"},
    "--gold": {**_TEXT, "help": "gold links of the words{note}"},
    "--output": {"metavar": "FILE", "help": "{note}"},
    # Links.
    "--one-based": {**_FLAG, "help": "positions in {note} count from 1", "note": "the links"},
    "--gold-one-based": {**_FLAG, "help": "positions in GOLD count from 1"},
    "--inverted": {**_FLAG, "help": "the links are TARGET-SOURCE"},
    "--max-dropped": {
        "type": fraction, "default": 0.1, "metavar": "SHARE",
        "help": "share of the links that may point outside their sentences before it is an error (default: 0.1)",
    },
    "--symmetrisation": {
        "choices": tuple(SYMMETRISATIONS),
        "help": "how the two directions become one: intersection: links that both have; union: links that either has;"
        " grow-diag: the intersection and, step by step, links of the union that touch one already taken (also"
        " diagonally), while one of their two words has no link yet; grow-diag-final: then also all links of which one"
        " word has none yet; grow-diag-final-and: then also links of which neither word has one yet{note}",
    },
    "--also-pieces": {
        "type": piece_sizes, "metavar": "N,...", "default": [],
        "help": "align the text in subword pieces, too, once for each of these numbers of pieces (SentencePiece models"
        " are made of the text), and link what at least half of all alignments link; on little text the links are"
        " clearly better, for several times the time; a good choice is 8000,4000,2000{note}",
    },
    # Large text.
    "--chunk-pairs": {
        "type": count, "metavar": "N",
        "help": "align this many sentence pairs at a time; chunks that are done lie in .{note}.parts, so that the same"
        " command goes on after an interruption (default: all at once)",
    },
    "--sample-pairs": {
        "type": count, "metavar": "N",
        "help": "sentence pairs, spread over the text, that are aligned first and all at once: the priors of all chunks"
        f" are learnt from them (default: {SAMPLE_PAIRS:,}, or as many as in a chunk where that is more)",
    },
    "--priors": {**_TEXT, "help": "begin with eflomal's priors of other text, in place of a sample"},
    "--save-priors": {
        "metavar": "FILE", "type": text_to_write,
        "help": "write the priors of this text here, those of --priors included, for --priors of text to come",
    },
    # Words and pieces.
    "--word-split": {
        "type": word_definition, "metavar": "HOW", "note": f"default: {DEFAULT_SPLIT}",
        "help": "what the words are: spaces: ASCII white space alone separates them, so that a no-break space is part"
        " of a word; whitespace: any white space does, as for Python's str.split, eflomal's command, simalign and"
        " awesome-align; icu: Unicode's rules and ICU's dictionaries, for text without spaces, punctuation apart;"
        " characters; regex=PATTERN: what the pattern matches, and what is left ({note})",
    },
    "--source-word-split": {"type": word_definition, "metavar": "HOW", "help": "the same of the source alone"},
    "--target-word-split": {"type": word_definition, "metavar": "HOW", "help": "the same of the target alone"},
    "--level": {"choices": LEVELS, "default": "words", "help": "{note} (default: words)"},
    "--subwords": {
        "choices": SUBWORD_KINDS, "note": _AS_FOLDER_SAYS,
        "help": "how pieces make up words: sentencepiece: ▁ begins a word; bpe: @@ ends a piece that goes on; words: a"
        " piece is a word ({note})",
    },
    "--source-sentencepiece-model": {"metavar": "FILE", "help": "SentencePiece model of the source text{note}"},
    "--target-sentencepiece-model": {"metavar": "FILE", "help": "SentencePiece model of the target text{note}"},
    "--policy": {
        "choices": POLICIES, "default": "all", "note": "default: all",
        "help": "link all pairs of pieces of two linked words, or only their first pieces ({note})",
    },
    "--on-mismatch": {
        "choices": ("error", "drop-links"), "default": "error",
        "help": "where words and pieces of a pair spell different text: stop, or leave the pair without links and count"
        " it (default: error)",
    },
    # Models.
    "--data": {"metavar": "DIR", "help": "data folder (default: the one that the model was trained on)"},
    "--lang-pair": {"metavar": "SRC-TGT", "help": "language pair to read, of a model of several, such as de-en"},
    "--device": {"help": "where the model runs, such as cpu or cuda:0 (default: a GPU if there is one)"},
    "--attention": {
        "choices": ("guided", "last-layer"), "default": "guided",
        "help": "guided: the heads that were guided, as the checkpoint says; last-layer: all heads of the last layer,"
        " averaged, which is what stock fairseq reads (default: guided)",
    },
    # Tags.
    "--markup": {
        "metavar": "KINDS", "default": DEFAULT_KINDS, "note": f"default: {DEFAULT_KINDS}",
        "help": "xml, html or xliff; with a comma also placeholders, or placeholders=SET with sets joined by +:"
        f" {', '.join(READY_SETS)} ({{note}})",
    },
    "--placeholder": {
        "metavar": "REGEX", "action": "append", "default": [],
        "help": "what is a placeholder too; may be given several times",
    },
    "--pairs": {
        "choices": PAIRS, "default": KEEP_PAIRS,
        "help": "keep a pair of tags one span, or split it around words that stand apart (default: keep)",
    },
    "--quotes": {
        "choices": QUOTE_SIDES, "default": DEFAULT_QUOTES,
        "help": "where quotation marks go that only the translation has, right around the words of a pair of tags"
        f" (default: {DEFAULT_QUOTES})",
    },
    "--on-error": {
        "choices": ON_ERROR, "default": STOP,
        "help": "where tags do not fit together: stop; keep: tags without a partner are placed alone; drop-tags: the"
        " translation alone (default: stop)",
    },
    "--protect": {
        "metavar": "KINDS", "default": "",
        "help": f"what must survive translation: {', '.join(PROTECTED_KINDS)}, joined by commas; what is missing takes"
        " the place of the words that are linked to it",
    },
    "--terms": {**_TEXT, "help": "terms to protect: source term, tab, target term"},
    "--inflected-terms": {**_FLAG, "help": "another form of a term counts as the term"},
    "--report": {
        "metavar": "FILE", "type": text_to_write,
        "help": "write what was guessed, repaired, replaced, inserted or lost here: line, kind and text, with tabs"
        " between them",
    },
    "--workers": {"type": int, "default": 1, "metavar": "N", "help": "processes (default: 1)"},
}  # fmt: skip
"""Arguments of ``add_argument``; ``{note}`` in a help is what a command adds, or ``note``."""

WORD_SPLIT = ("--word-split", "--source-word-split", "--target-word-split")
SHORT = {"--source-lang": "-s", "--target-lang": "-t", "--output": "-o"}

LINK_READING = ("--one-based", "--inverted", "--max-dropped")
SENTENCEPIECE_MODELS = ("--source-sentencepiece-model", "--target-sentencepiece-model")
MODEL = ("--data", "--lang-pair", "--device")


def chosen_chunks(args: argparse.Namespace) -> Chunking | None:
    """How a large text is aligned, by ``--chunk-pairs`` and what goes with it; None: all at once and without priors.

    :raises GuidedAlignError: options do not go together.
    """
    if args.sample_pairs is not None and args.chunk_pairs is None:
        raise GuidedAlignError("--sample-pairs goes with --chunk-pairs")
    if args.sample_pairs is not None and args.priors is not None:
        raise GuidedAlignError("--sample-pairs: of priors that are learnt; --priors gives them")
    chunked = [name for name in ("chunk_pairs", "priors", "save_priors") if getattr(args, name) is not None]
    if args.also_pieces and chunked:
        raise GuidedAlignError(f"--also-pieces does not go with --{chunked[0].replace('_', '-')}")
    if not chunked:
        return None
    return Chunking(args.chunk_pairs, args.sample_pairs, args.priors, args.save_priors)


def given_words(args: argparse.Namespace) -> tuple[str | None, str | None]:
    """What the options say that the words of source and target are; None where they say nothing."""
    return args.source_word_split or args.word_split, args.target_word_split or args.word_split


def chosen_words(args: argparse.Namespace) -> WordSplits:
    """What the words of source and target are, by the options."""
    source, target = given_words(args)
    return WordSplits(source or DEFAULT_SPLIT, target or DEFAULT_SPLIT)


def refuse_words(args: argparse.Namespace, goes_with: str) -> None:
    """:raises GuidedAlignError: an option says what the words are, and there are none."""
    if any(given_words(args)):
        raise GuidedAlignError(f"--word-split goes with {goes_with}")


def add(options: Any, *names: str, note: str | None = None, **changes: Any) -> None:
    """Add options out of :data:`SHARED`.

    :param options: a parser or one of its groups of options.
    :param note: what the help adds.
    :param changes: arguments of ``add_argument`` that differ in this command.
    """
    for name in names:
        arguments = {**SHARED[name], **changes}
        usual = arguments.pop("note", "")
        arguments["help"] = arguments["help"].format(note=usual if note is None else note)
        options.add_argument(name, *([SHORT[name]] if name in SHORT else []), **arguments)


@contextmanager
def text_of_columns(path: PathLike, columns: Sequence[int] | None, links: bool) -> Iterator[list[CopiedText]]:
    """Source, target and perhaps links out of a TSV, see :func:`files.tsv.tsv_columns`.

    :param columns: what ``--columns`` says.
    :param links: whether links are read.
    :raises GuidedAlignError: a column of links is named, and none are read.
    """
    chosen = columns or [1, 2]
    if len(chosen) > 2 and not links:
        raise GuidedAlignError(f"--columns: expected SOURCE,TARGET; no links are read; got {len(chosen)} columns")
    with tsv_columns(path, chosen) as copies:
        yield copies


def add_old_name(options: Any, old: str, new: str, choices: Sequence[str]) -> None:
    """Accept an option under an earlier name, with a warning. A later release no longer knows it."""
    dest = new[2:].replace("-", "_")
    options.add_argument(
        old, dest=dest, choices=choices, action=_OldName, default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )


class _OldName(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        say(f"warning: {option_string} is now --{self.dest}, and goes with the next release")
        setattr(namespace, self.dest, values)
