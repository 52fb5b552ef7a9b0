"""How tags are to be carried, out of the options that commands on tags share."""

from __future__ import annotations

import argparse
from typing import Any

from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.markup.term_files import read_terms

TAG_OPTIONS = (
    "--placeholder", "--pairs", "--quotes", "--on-error", "--protect", "--terms", "--inflected-terms", "--report"
)  # fmt: skip
"""How tags are carried, besides ``--markup``."""


def chosen_tags(args: argparse.Namespace) -> dict[str, Any]:
    """How tags are to be carried, as arguments of ``markup.settings.tag_settings``.

    :param args: with ``--markup`` and the options of :data:`TAG_OPTIONS`.
    :raises GuidedAlignError: options do not go together, or the list of terms cannot be read.
    """
    if args.inflected_terms and args.terms is None:
        raise GuidedAlignError("--inflected-terms says how terms count; name a list of them with --terms")
    return {
        "markup": args.markup,
        "placeholders": args.placeholder,
        "pairs": args.pairs,
        "quotes": args.quotes,
        "on_error": args.on_error,
        "protect": args.protect,
        "terms": None if args.terms is None else read_terms(args.terms),
        "inflected_terms": args.inflected_terms,
    }
