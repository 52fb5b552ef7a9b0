"""`fairseq-guided-align ctranslate2`: a checkpoint for CTranslate2, whichever heads of a layer were guided."""

from __future__ import annotations

import argparse

from fairseq_guided_align.cli.argument_types import folder_to_write
from fairseq_guided_align.cli.options import add


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    parser.description = (
        "Converts as ct2-fairseq-converter --user_dir does, and moves the guided heads to the front, where CTranslate2"
        " reads its alignments. What was guided is kept in guided_alignment.json of the folder."
    )
    parser.add_argument("checkpoint", help="checkpoint of fairseq-train")
    parser.add_argument("data", help="data folder with the dictionaries")
    parser.add_argument("output", type=folder_to_write, help="folder to make")
    add(parser, "--lang-pair")
    parser.add_argument("--quantization", help="of CTranslate2, such as int8 (default: none)")
    parser.add_argument("--force", action="store_true", help="replace the folder")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    # Importing torch takes seconds.
    from fairseq_guided_align.aligning.ctranslate2_models import convert

    convert(args.checkpoint, args.data, args.output, args.quantization, args.force, args.lang_pair)
    return 0
