"""One training: what is guided, how strongly, and the model and schedule around it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from examples.greek_english.settings import MAIN

# Of the example's options these are set below, for each training anew.
_OWN = ("--dropout", "--seed", "--total-num-update")


@dataclass(frozen=True)
class Setting:
    """Options of ``--criterion guided_alignment_ce`` by the end of their names, and what else is varied.

    :param weight: of the guided-alignment cost; 0 trains without guidance.
    :param layers: guided decoder layers, such as ``-1``, ``-2`` or ``all``.
    :param heads: guided heads of these layers.
    :param decay: course of the weight; ``linear`` reaches 0 at the last update.
    :param dropout: from 0 to below 1.
    :param updates: of the whole training; the learning rate falls to 0 at its end.
    :param seed: of fairseq, for weights, order and dropout.
    """

    weight: float = 1.0
    layers: str = "-2"
    heads: str = "0"
    reduction: str = "mean"
    position: str = "next"
    unlinked: str = "eos"
    type: str = "ce"
    decay: str = "constant"
    dropout: float = 0.2
    updates: int = MAIN.updates
    seed: int = 1

    @property
    def name(self) -> str:
        """What differs from the defaults; the folder of the training."""
        changed = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return ",".join(changed) or "default"

    def options(self) -> list[str]:
        """Options of fairseq-train, save for data, languages and folder."""
        guidance = {
            "weight": f"{self.weight:g}", "layers": self.layers, "heads": self.heads, "reduction": self.reduction,
            "position": self.position, "unlinked": self.unlinked, "type": self.type, "decay": self.decay,
        }  # fmt: skip
        if self.decay == "linear":
            guidance["decay-updates"] = str(self.updates)
        return [
            *MAIN.model.split(), *_without(MAIN.optimisation.split(), _OWN),
            *("--dropout", str(self.dropout), "--seed", str(self.seed)),
            *("--max-update", str(self.updates), "--total-num-update", str(self.updates)),
            *("--criterion", "guided_alignment_ce"),
            *(f"--guided-alignment-{key}={value}" for key, value in guidance.items()),
        ]  # fmt: skip


def named(text: str) -> Setting:
    """The setting of such a name as ``weight=4,decay=linear``; commas within a value are written as plus signs.

    :raises ValueError: no such field, or a value that it cannot have.
    """
    pairs = [one.partition("=")[::2] for one in text.split(",")]
    (found,) = combinations({name: [value.replace("+", ",")] for name, value in pairs}, [Setting.seed])
    return found


def combinations(varied: Mapping[str, Sequence[str]], seeds: Sequence[int]) -> list[Setting]:
    """Every combination of the varied values, all of them with the first seed before any with the second.

    :raises ValueError: no such field, or a value that it cannot have.
    """
    kinds = {field.name: type(field.default) for field in fields(Setting)}
    for name in varied:
        if name not in kinds:
            raise ValueError(f"expected one of {', '.join(kinds)}; got {name!r}")
    values = [[kinds[name](value) for value in given] for name, given in varied.items()]
    found = [Setting(**dict(zip(varied, chosen))) for chosen in itertools.product(*values)]
    # Without guidance, what is guided makes no difference.
    plain = {f.name: f.default for f in fields(Setting) if f.name in GUIDANCE}
    found = list(dict.fromkeys(replace(one, **plain) if one.weight == 0 else one for one in found))
    return [replace(one, seed=seed) for seed in seeds for one in found]


GUIDANCE = ("layers", "heads", "reduction", "position", "unlinked", "type", "decay")


def _without(options: Sequence[str], names: Sequence[str]) -> list[str]:
    pairs = zip(options[::2], options[1::2])
    return [word for name, value in pairs if name not in names for word in (name, value)]
