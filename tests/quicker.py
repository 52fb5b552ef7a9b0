"""Detours of other libraries, on each run of fairseq's commands: left out, with the same results."""

from __future__ import annotations

import copy
import functools
from typing import Any


@functools.cache
def quicken() -> None:
    """For the rest of the process, and for its forks."""
    import torch.utils.data._utils
    from hydra.core.config_store import ConfigStore
    from hydra.core.override_parser.overrides_parser import OverridesParser

    # A data loader that is garbage, with fairseq's iterators around it, cannot tell its workers any more to end: Python
    # closes their queue first. It waits 5 seconds for each, and then ends it
    torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.1

    # Of all options there are: each command has them copied, to read copies of some
    ConfigStore.__deepcopy__ = lambda self, memo: self

    # Nearly 300 for each command, of which only a few are others than those of the command before
    parse = OverridesParser.parse_rule
    parsed: dict[tuple[str, str], Any] = {}

    @functools.wraps(parse)
    def parse_once(self: Any, text: str, rule: str) -> Any:
        if (text, rule) not in parsed:
            parsed[text, rule] = parse(self, text, rule)
        return copy.copy(parsed[text, rule])

    OverridesParser.parse_rule = parse_once
