"""Trained models out of their checkpoints, for reading: of one language pair, under our task."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import fairseq_guided_align
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.checkpoints.files import raise_unreadable
from fairseq_guided_align.checkpoints.fingerprints import check_prints, prints_of
from fairseq_guided_align.corpus.languages import LanguagePair, parse_pairs
from fairseq_guided_align.errors import DictionaryMismatchError, GuidedAlignError

TASK = "translation_guided_alignment"
MULTILINGUAL_TASK = "multilingual_translation_guided_alignment"


class LoadedModel(NamedTuple):
    """A model of one language pair.

    :param task: one of ours.
    :param options: the task's, with ``data``, ``source_lang``, ``target_lang`` and so on.
    :param model: encoder and decoder of this pair, in evaluation mode; ``guided_heads`` is what was guided, or None.
    """

    task: Any
    options: Any
    model: Any


def load_model(checkpoint: str, data: str | None = None, lang_pair: str | None = None) -> LoadedModel:
    """A model of fairseq's, trained with this package or without.

    :param data: the data folder; None: the one that the model was trained on.
    :param lang_pair: such as ``de-en``, which a model of several pairs needs; one of a single pair must be of it.
    :raises GuidedAlignError: the checkpoint cannot be read, is of another task, or not of this pair.
    """
    # Below this level both print their configuration and counts, which belong to training.
    for package in ("fairseq", "fairseq_guided_align"):
        logging.getLogger(package).setLevel(logging.WARNING)
    state = read_checkpoint(checkpoint, {} if data is None else {"data": data})
    settings = state.get("args") or state["cfg"].task
    multilingual = is_multilingual(settings)
    if multilingual:
        pair = chosen_pair(checkpoint, settings, data or settings.data, lang_pair)
        lang_pair, settings.source_lang, settings.target_lang = pair, pair.source, pair.target
    model, config, task = _built(checkpoint, state, data)
    own = _own_task(task)
    if own is not task:
        # Our task has compared them when it built the model.
        check_prints(config.model, prints_of(task), own.options.data, checkpoint)
    task = own
    if multilingual:
        model = model.models[lang_pair]
    elif lang_pair is not None and lang_pair != f"{task.options.source_lang}-{task.options.target_lang}":
        raise GuidedAlignError(
            f"{checkpoint}: expected a model of the language pair {lang_pair}; got one from "
            f"{task.options.source_lang} to {task.options.target_lang}"
        )
    model.guided_heads = GuidedHeads.stored(config.model)
    return LoadedModel(task, task.options, model.eval())


def _built(checkpoint: str, state: dict[str, Any], data: str | None) -> tuple[Any, Any, Any]:
    """The model, its configuration and the task that fairseq makes of a checkpoint.

    :param state: what the checkpoint holds.
    :param data: the data folder, for messages; None: the one that the model was trained on.
    """
    from fairseq import checkpoint_utils

    try:
        models, config, task = checkpoint_utils.load_model_ensemble_and_task([checkpoint], state=state)
    except DictionaryMismatchError as error:
        raise DictionaryMismatchError(f"{checkpoint}: {str(error).partition(': ')[2]}") from error
    except OSError as error:
        raise GuidedAlignError(f"{checkpoint}: what it was trained with cannot be read: {error}") from error
    except RuntimeError as error:
        if "size mismatch" not in str(error):
            raise
        raise GuidedAlignError(
            f"{checkpoint}: has dictionaries of other sizes than the data folder"
            f"{' that it was trained on' if data is None else ' ' + data}; name the one that it was trained on, as "
            "it was then, with --data"
        ) from error
    return models[0], config, task


def read_checkpoint(checkpoint: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint of fairseq's holds, on the CPU.

    :param overrides: of the settings in it.
    :raises GuidedAlignError: it is not there, cut short, not a checkpoint, or holds code.
    """
    fairseq_guided_align.register()
    from fairseq import checkpoint_utils

    try:
        return checkpoint_utils.load_checkpoint_to_cpu(checkpoint, dict(overrides))
    except (OSError, EOFError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
        raise_unreadable(checkpoint, error)


def is_multilingual(settings: Any) -> bool:
    """Whether a checkpoint's settings, of task or model, are those of a ``multilingual_transformer``'s task."""
    return getattr(settings, "task", None) in ("multilingual_translation", MULTILINGUAL_TASK)


def chosen_pair(checkpoint: str, settings: Any, data: str, lang_pair: str | None) -> LanguagePair:
    """The language pair to read, of a model of several; the only one where there is no choice.

    :param data: the data folder, whose dictionaries tell its languages.
    :raises GuidedAlignError: none was chosen, or one that the model does not have.
    """
    trained = settings.lang_pairs
    pairs = trained.split(",") if isinstance(trained, str) else list(trained)
    if lang_pair is None and len(pairs) == 1:
        lang_pair = pairs[0]
    if lang_pair is None or lang_pair not in pairs:
        raise GuidedAlignError(
            f"{checkpoint}: a model of the language pairs {', '.join(pairs)}; choose one of them with --lang-pair"
            f"{'' if lang_pair is None else f'; got {lang_pair!r}'}"
        )
    return parse_pairs([lang_pair], data, "--lang-pair")[0]


def _own_task(task: Any) -> Any:
    """Our task for a model that was trained with fairseq's own, which decodes without guidance."""
    from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
    from fairseq.tasks.multilingual_translation import MultilingualTranslationTask
    from fairseq.tasks.translation import TranslationTask
    from omegaconf.errors import OmegaConfBaseException

    own, multilingual = TASK_REGISTRY[TASK], TASK_REGISTRY[MULTILINGUAL_TASK]
    if isinstance(task, (own, multilingual)):
        return task
    if type(task) is MultilingualTranslationTask:
        return multilingual(task.args, task.dicts, training=False)
    if not isinstance(task, TranslationTask):
        raise GuidedAlignError(
            f"expected a model of --task translation, multilingual_translation, {TASK} or {MULTILINGUAL_TASK}; got one "
            f"of {type(task).__name__}, whose text is read in another way"
        )
    config = TASK_DATACLASS_REGISTRY[TASK]()
    for one in fields(config):
        try:
            value = task.cfg.get(one.name, getattr(config, one.name))
        except OmegaConfBaseException:
            value = None
        # A reference to another part of the configuration has nothing to refer to here.
        setattr(config, one.name, None if isinstance(value, str) and value.startswith("${") else value)
    return own(config, task.source_dictionary, task.target_dictionary)
