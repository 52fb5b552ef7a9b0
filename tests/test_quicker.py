"""Detours that tests leave out make no difference."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fairseq")

import torch
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.options import get_training_parser, parse_args_and_arch
from fairseq_runs import TINY_MODEL, TINY_TRAINING
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from quicker import quicken


@pytest.fixture
def configuration() -> Callable[..., dict[str, Any]]:
    """What fairseq makes of options, and changes as its commands do."""
    quicken()

    def of(*options: str) -> dict[str, Any]:
        given = ["data", *TINY_MODEL, *TINY_TRAINING, *options]
        arguments: argparse.Namespace = parse_args_and_arch(get_training_parser(), given)
        found = convert_namespace_to_omegaconf(arguments)
        as_it_is = OmegaConf.to_container(found)
        found.optimization.lr.append(7)
        found.dataset.batch_size = 99
        return as_it_is

    return of


def test_configurations_are_the_same(
    configuration: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [["--seed", "3", "--lr", "0.1,0.2"], ["--seed", "4", "--save-dir", "a=[b], c"], ["--seed", "3"]]
    ours = [configuration(*options) for options in commands]
    assert ours == [configuration(*options) for options in commands]
    assert [one["common"]["seed"] for one in ours] == [3, 4, 3]
    assert [one["optimization"]["lr"] for one in ours] == [[0.1, 0.2], [0.005], [0.005]]
    monkeypatch.setattr(OverridesParser, "parse_rule", OverridesParser.parse_rule.__wrapped__)
    monkeypatch.delattr(ConfigStore, "__deepcopy__")
    assert ours == [configuration(*options) for options in commands]


def test_workers_of_a_data_loader_that_is_garbage_end_at_once() -> None:
    """Fails as soon as torch reads its interval from elsewhere."""
    quicken()
    iterator = iter(torch.utils.data.DataLoader(list(range(100)), num_workers=1))
    next(iterator)
    (worker,) = iterator._workers
    iterator.itself = iterator
    del iterator
    start = time.monotonic()
    gc.collect()
    assert not worker.is_alive()
    assert time.monotonic() - start < 4
