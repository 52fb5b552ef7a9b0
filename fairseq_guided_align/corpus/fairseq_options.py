"""``preprocess --fairseq-options``: which options of fairseq-preprocess have an effect, and which are refused."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from typing import NoReturn

from fairseq_guided_align.corpus.dictionaries import DictionarySize
from fairseq_guided_align.errors import GuidedAlignError

DATASET_FORMATS = ("mmap", "lazy", "raw")
"""The formats of text that fairseq-preprocess writes and translation reads; fairseq's `cached` is `lazy`."""

OWN = (
    "-s", "--source-lang", "-t", "--target-lang", "--trainpref", "--validpref", "--testpref", "--align-suffix",
    "--destdir", "--srcdict", "--tgtdict", "--joined-dictionary", "--workers",
)  # fmt: skip
"""Options that ``preprocess`` has itself."""

REFUSED = {
    "--dict-only": "makes no data folder",
    "--only-source": "leaves out the target text, and links need both",
    "--alignfile": "makes a dictionary out of links between pieces, which nothing here reads",
    "--task": "may read other dictionaries than the tasks that train with links",
    "--user-dir": "goes with --task, which may read other dictionaries than the tasks that train with links",
}
"""Options that would spoil the data folder, and why."""

_SIZES = ("threshold", "nwords")
"""Parts of a :class:`DictionarySize` for which fairseq-preprocess has an option for each side."""


@dataclass(frozen=True)
class FairseqOptions:
    """The options of fairseq-preprocess that are carried out.

    :param dataset_impl: format of the binarised text; None: fairseq's default.
    :param sizes: of the source and of the target dictionary.
    :param size_options: the options of sizes that were given, such as ``--nwordssrc``.
    """

    dataset_impl: str | None = None
    sizes: tuple[DictionarySize, DictionarySize] = (DictionarySize(), DictionarySize())
    size_options: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """For fairseq-preprocess; dictionaries are made before it runs."""
        return [] if self.dataset_impl is None else ["--dataset-impl", self.dataset_impl]

    def check_dictionaries(self, given: tuple[bool, bool], joined: bool) -> None:
        """Refuse sizes of dictionaries that are not made.

        :param given: for each side, whether its dictionary was given.
        :param joined: one dictionary for both sides, whose size is the source's.
        :raises GuidedAlignError: names the option.
        """
        for side, (name, option) in enumerate((("src", "--srcdict"), ("tgt", "--tgtdict"))):
            of_side = [one for one in self.size_options if one.endswith(name)]
            if of_side and joined and any(given):
                raise GuidedAlignError(f"{of_side[0]} goes with dictionaries that are made; one is given")
            if of_side and joined and side == 1:
                raise GuidedAlignError(
                    f"{of_side[0]}: --joined-dictionary makes one dictionary, which follows"
                    f" {of_side[0].replace('tgt', 'src')}"
                )
            if of_side and given[side]:
                raise GuidedAlignError(f"{of_side[0]} goes with dictionaries that are made; {option} is given")
        if "--padding-factor" in self.size_options and (all(given) or (joined and any(given))):
            raise GuidedAlignError("--padding-factor goes with dictionaries that are made; they are given")


def parse_fairseq_options(text: str) -> FairseqOptions:
    """The options of ``--fairseq-options``.

    :raises GuidedAlignError: it cannot be split, or an option is unknown, has no effect or has another value than it
        takes; the message says which.
    """
    try:
        given = shlex.split(text)
    except ValueError as error:
        raise GuidedAlignError(f"--fairseq-options: expected options as in a shell; {error} in {text!r}") from error
    for one in given:
        _refuse(one.partition("=")[0])
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dataset-impl", choices=DATASET_FORMATS)
    parser.add_argument("--padding-factor", type=int)
    for name in _SIZES:
        for side in ("src", "tgt"):
            parser.add_argument(f"--{name}{side}", type=int)
    found, rest = parser.parse_known_args(given)
    if rest:
        raise GuidedAlignError(
            f"--fairseq-options: expected --dataset-impl, --nwordssrc, --nwordstgt, --thresholdsrc, --thresholdtgt or"
            f" --padding-factor: fairseq-preprocess has no other options that would change the data folder; got"
            f" {rest[0]!r}"
        )
    values = {name: value for name, value in vars(found).items() if value is not None}
    sizes = []
    for side in ("src", "tgt"):
        own = {name: values[name + side] for name in _SIZES if name + side in values}
        if "padding_factor" in values:
            own["padding_factor"] = values["padding_factor"]
        sizes.append(DictionarySize(**own))
    size_options = tuple("--" + name.replace("_", "-") for name in values if name != "dataset_impl")
    return FairseqOptions(found.dataset_impl, (sizes[0], sizes[1]), size_options)


def _refuse(option: str) -> None:
    if option in OWN or (option[:2] in ("-s", "-t") and not option.startswith("--")):
        raise GuidedAlignError(f"--fairseq-options: {option} is an option of preprocess itself; give it by itself")
    if option in REFUSED:
        raise GuidedAlignError(f"--fairseq-options: {option} {REFUSED[option]}; leave it out")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GuidedAlignError(f"--fairseq-options: {message}")
