"""The data folders of training text that is cut into pieces several times.

``fairseq-train A:B:C`` takes the training text of the next folder in every epoch, and all else from the first. So the
first is the data folder itself. ``sample-2``, ``sample-3`` and so on inside it hold the other cuts of the training
text, with their own links, and the dictionaries, models and settings.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairseq_guided_align.corpus.blocks import Models
from fairseq_guided_align.corpus.files import Corpus, PreprocessSettings
from fairseq_guided_align.files.progress import say


@dataclass(frozen=True)
class CutFolder:
    """One of the data folders.

    :param settings: with the number of the cut.
    """

    folder: Path
    corpora: Sequence[Corpus]
    settings: PreprocessSettings

    def announce(self) -> None:
        """Say which cut the next messages are of, where there are several."""
        sampling = self.settings.sampling
        if sampling is not None and sampling.cuts > 1:
            say(f"cut {sampling.number} of {sampling.cuts} of the training text")


def folders_of_cuts(
    folder: Path, corpora: Sequence[Corpus], models: Models, settings: PreprocessSettings
) -> list[CutFolder]:
    """The data folder, and those of further cuts, which are made and get the models.

    :param models: lie in the data folder.
    """
    folders = [CutFolder(folder, corpora, settings)]
    sampling = settings.sampling
    if sampling is None:
        return folders
    training = [corpus for corpus in corpora if corpus.is_training]
    for number, name in enumerate(sample_names(sampling.cuts), start=2):
        of_cut = folder / name
        of_cut.mkdir()
        for model in {model for model in models if model is not None}:
            shutil.copyfile(model, of_cut / Path(model).name)
        folders.append(CutFolder(of_cut, training, replace(settings, sampling=replace(sampling, number=number))))
    return folders


def sample_names(cuts: int) -> list[str]:
    """Names of the folders of all cuts but the first."""
    return [f"sample-{number}" for number in range(2, cuts + 1)]


def training_data(folder: str, cuts: int) -> str:
    """What ``fairseq-train`` gets as data, to train on all cuts in turn."""
    return os.pathsep.join([folder, *(os.path.join(folder, name) for name in sample_names(cuts))])
