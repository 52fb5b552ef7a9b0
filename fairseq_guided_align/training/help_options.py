"""Our options in ``fairseq-train --help``, which fairseq prints before it knows the task and the criterion."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import Any

from fairseq import options
from fairseq.dataclass.utils import gen_parser_from_dataclass

from fairseq_guided_align.training.criterion_options import GuidedAlignmentCrossEntropyConfig
from fairseq_guided_align.training.task import TranslationGuidedAlignmentConfig

GROUPS = {
    "--criterion guided_alignment_ce": GuidedAlignmentCrossEntropyConfig,
    "--task translation_guided_alignment (and, but for --attention-images, "
    "multilingual_translation_guided_alignment)": TranslationGuidedAlignmentConfig,
}


def show_options_in_help() -> None:
    """Let fairseq's training programs list our options, with their defaults, when they are asked for help."""
    parse = options.parse_args_and_arch

    @functools.wraps(parse)
    def parsed(
        parser: argparse.ArgumentParser, input_args: Sequence[str] | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        given = sys.argv[1:] if input_args is None else input_args
        if "--help" in given or "-h" in given:
            parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
            for name, config in GROUPS.items():
                gen_parser_from_dataclass(parser.add_argument_group(name), config())
        return parse(parser, input_args, *args, **kwargs)

    options.parse_args_and_arch = parsed
