"""Guided attention in CTranslate2: conversion of any guided heads of one layer, and links out of its results.

CTranslate2 returns the average of the *first* heads of one decoder layer, without the column of ``</s>``, and has no
notion of ``--guided-alignment-position next``. The heads of a layer can change places without changing the model:
:func:`convert` moves the guided heads to the front. :func:`attention_of` shifts the rows and adds the missing column.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf

import fairseq_guided_align
from fairseq_guided_align.aligning.models import TASK, chosen_pair, is_multilingual, read_checkpoint
from fairseq_guided_align.attention.guided_heads import GuidedHeads
from fairseq_guided_align.attention.link_methods import read_links_off
from fairseq_guided_align.attention.token_rows import rows_of_tokens
from fairseq_guided_align.checkpoints.fingerprints import check_prints, prints_of_folder, stored_prints
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.link import SentenceLinks
from fairseq_guided_align.links.words import WordSplits
from fairseq_guided_align.subwords.settings import described_words, subword_settings, word_split_of
from fairseq_guided_align.subwords.text_pieces import model_in_folder

CONVERTED_SETTINGS_FILE = "guided_alignment.json"
"""In the converted folder: what was guided, which CTranslate2's own files cannot say."""


class LinkedTranslation(NamedTuple):
    """A hypothesis of CTranslate2's with its links between pieces.

    :param pieces: without ``</s>``.
    :param score: CTranslate2's.
    :param links: positions are pieces, from 0.
    :param attention: (target pieces, source pieces + 1) probabilities; the last column is ``</s>``'s.
    """

    pieces: list[str]
    score: float
    links: SentenceLinks
    attention: np.ndarray


def convert(
    checkpoint: str,
    data: str,
    output: str,
    quantization: str | None = None,
    force: bool = False,
    lang_pair: str | None = None,
) -> None:
    """Convert a checkpoint with whatever heads of one layer were guided.

    :param data: the data folder, for the dictionaries.
    :param output: folder to make, a CTranslate2 model; it also keeps what was guided, for :func:`translate`.
    :param quantization: of CTranslate2, such as ``int8``.
    :param force: replace the folder.
    :param lang_pair: such as ``de-en``, of a model of several language pairs.
    :raises GuidedAlignError: nothing was guided, heads of several layers were, language tokens are needed that
        CTranslate2 does not set, or CTranslate2 is missing or refuses the model, an option or the folder.
    """
    try:
        from ctranslate2.converters import FairseqConverter
    except ImportError as error:
        raise GuidedAlignError(f"CTranslate2 is missing: pip install ctranslate2 ({error})") from error
    state = read_checkpoint(checkpoint, {})
    config = state["cfg"]["model"]
    task_langs = [getattr(state["cfg"]["task"], f"{side}_lang", None) for side in ("source", "target")]
    source, target, prefix = _languages(checkpoint, config, data, lang_pair)
    guided = _guided_heads(checkpoint, config)
    langs = stored_prints(config) or (source, target)
    check_prints(config, prints_of_folder(data, [one for one in langs if one]) or {"": ""}, data, checkpoint)
    config = flat_settings(state["cfg"], state["model"])
    guided.check_against([config.decoder_attention_heads] * config.decoder_layers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        # The optimiser's state is left out: it is twice as large as the model.
        _put_guided_heads_first(state["model"], prefix, config, guided)
        torch.save({"args": None, "cfg": {"model": config}, "model": state["model"]}, path)
        user_dir = str(Path(fairseq_guided_align.__file__).parent)
        converter = FairseqConverter(str(path), data, source, target, user_dir=user_dir)
        try:
            converter.convert(output, quantization=quantization, force=force)
        except (ValueError, RuntimeError) as error:
            # CTranslate2 refuses an option, a kind of model or the folder.
            raise GuidedAlignError(f"{checkpoint}: CTranslate2 does not convert it: {error}") from error
    settings = {
        "position": guided.position,
        "unlinked": guided.unlinked,
        "layers": list(guided.layers),
        "heads": list(guided.heads),
        "max_source_positions": config.max_source_positions,
        **_text_settings(data, output, (source or task_langs[0], target or task_langs[1])),
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (Path(output) / CONVERTED_SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")


def _text_settings(data: str, output: str, langs: tuple[str | None, str | None]) -> dict[str, Any]:
    """What the data folder says of how text is cut; SentencePiece models are copied.

    :param langs: of the model, source and target, which may read the folder in the other direction.
    """
    said = subword_settings(data)
    settings: dict[str, Any] = {}
    for side, lang in zip(("source", "target"), langs):
        lang = lang or said.get(f"{side}_lang")
        model = model_in_folder(data, str(lang))
        settings[f"{side}_lang"] = lang
        if model is not None:
            shutil.copyfile(model, Path(output) / model.name)
            settings[f"{side}_sentencepiece_model"] = model.name
    if "subwords" in said:
        settings["subwords"] = said["subwords"]
    words = WordSplits(*(word_split_of(data, settings[f"{side}_lang"]) for side in ("source", "target")))
    return {**settings, **described_words(words)}


def _languages(checkpoint: str, config: Any, data: str, lang_pair: str | None) -> tuple[str | None, str | None, str]:
    """Source and target language, None where the data folder tells them, and what begins the names of the weights."""
    if not is_multilingual(config):
        if lang_pair is not None:
            raise GuidedAlignError(f"{checkpoint}: a model of one language pair; leave --lang-pair out")
        return None, None, ""
    pair = chosen_pair(checkpoint, config, data, lang_pair)
    if config.encoder_langtok or config.decoder_langtok:
        raise GuidedAlignError(
            f"{checkpoint}: was trained with --encoder-langtok or --decoder-langtok, and CTranslate2 ends every "
            "source and begins every target with </s>; train without language tokens"
        )
    return pair.source, pair.target, f"models.{pair}."


def _guided_heads(checkpoint: str, config: Any) -> GuidedHeads:
    """The guided heads of the one layer whose attention CTranslate2 can return."""
    guided = GuidedHeads.stored(config)
    if guided is None or not guided.layers:
        raise GuidedAlignError(f"{checkpoint}: no heads were guided in this model; ct2-fairseq-converter converts it")
    if len(guided.layers) > 1:
        raise GuidedAlignError(
            f"{checkpoint}: heads of the layers {', '.join(map(str, guided.layers))} were guided, and CTranslate2 "
            "returns the attention of one layer; guide heads of one layer"
        )
    return guided


def flat_settings(config: Any, weights: Mapping[str, Any]) -> Namespace:
    """A checkpoint's settings of its model as ``fairseq-train`` keeps them, which is what CTranslate2 reads.

    :param config: the whole configuration; ``fairseq-hydra-train`` keeps the model's in groups.
    :param weights: the model's.
    """
    from fairseq.models import ARCH_CONFIG_REGISTRY
    from fairseq.models.transformer import base_architecture

    model = config["model"]
    if not OmegaConf.is_config(model):
        return model
    values = {**OmegaConf.to_container(config["task"], resolve=False), **OmegaConf.to_container(model)}
    # In fairseq 0.12.2, options that were not given are None after reading.
    values = {name: one for name, one in values.items() if one is not None and not str(one).startswith("${")}
    for group in ("encoder", "decoder", "quant_noise"):
        grouped = values.pop(group, None)
        for name, value in (grouped or {}).items():
            values[f"{group}_{name}"] = value
    # Reading fills in fairseq's default widths; the weights have the real ones.
    for name, weight in (("input", "embed_tokens"), ("output", "output_projection")):
        values[f"decoder_{name}_dim"] = weights[f"decoder.{weight}.weight"].size(1)
    values.setdefault("arch", values.pop("_name", None))
    values.setdefault("task", TASK)
    settings = Namespace(**values)
    ARCH_CONFIG_REGISTRY.get(values["arch"], base_architecture)(settings)
    return settings


def _put_guided_heads_first(weights: dict[str, Any], model: str, config: Namespace, guided: GuidedHeads) -> None:
    """Reorder the heads of the guided layer's cross-attention in place; the model computes what it did before.

    :param model: begins the names of the model's weights, of one among several models.
    :param config: the model's settings, which name the first heads from then on.
    """
    heads = config.decoder_attention_heads
    order = [*guided.heads, *(head for head in range(heads) if head not in guided.heads)]
    prefix = f"{model}decoder.layers.{guided.layers[0]}.encoder_attn."
    for name in ("q_proj", "k_proj", "v_proj"):
        for part in ("weight", "bias"):
            rows = weights.get(f"{prefix}{name}.{part}")
            if rows is not None:
                weights[f"{prefix}{name}.{part}"] = rows.view(heads, -1, *rows.shape[1:])[order].reshape(rows.shape)
    columns = weights[f"{prefix}out_proj.weight"]
    weights[f"{prefix}out_proj.weight"] = columns.view(len(columns), heads, -1)[:, order].reshape(columns.shape)
    config.alignment_layer, config.alignment_heads = guided.layers[0], len(guided.heads)


def guided_of(model: str) -> GuidedHeads:
    """What was guided in a folder that :func:`convert` made.

    :raises GuidedAlignError: another converter made it.
    """
    settings = converted_settings(model)
    return GuidedHeads(
        tuple(settings["layers"]), tuple(settings["heads"]), "mean", settings["position"], settings["unlinked"]
    )


def converted_settings(model: str) -> dict[str, Any]:
    """What :func:`convert` wrote beside a model: what was guided, and how text is cut into pieces.

    :raises GuidedAlignError: another converter made the folder.
    """
    path = Path(model) / CONVERTED_SETTINGS_FILE
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = {"layers", "heads", "position", "unlinked"} - set(settings)
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return settings
    except (OSError, ValueError, TypeError) as error:
        raise GuidedAlignError(
            f"{path}: expected what was guided, as `fairseq-guided-align ctranslate2` writes it; {error}"
        ) from error


def attention_of(rows: Sequence[Sequence[float]], guided: GuidedHeads, ended: bool = True) -> np.ndarray:
    """Attention of a hypothesis as the rest of this package has it.

    :param rows: what CTranslate2 returned with ``return_attention`` and ``return_end_token``: (target pieces +
        ``</s>``, source pieces).
    :param ended: False: the search stopped at the longest length allowed, so that ``rows`` has none for ``</s>``.
    :return: (target pieces, source pieces + 1): target token t's attention in row t; the last column is ``</s>``'s.
    """
    matrix = rows_of_tokens(torch.from_numpy(np.asarray(rows, dtype=np.float32)), guided.shift).numpy()
    matrix = matrix[:-1] if ended else matrix
    rest = np.clip(1 - matrix.sum(axis=1, keepdims=True), 0, None)
    return np.concatenate([matrix, rest], axis=1)


def translate(
    translator: Any,
    guided: GuidedHeads,
    sentences: Sequence[Sequence[str]],
    method: str = "argmax",
    threshold: float | None = None,
    **options: Any,
) -> list[list[LinkedTranslation]]:
    """Translations with links.

    :param translator: ``ctranslate2.Translator``.
    :param guided: of :func:`guided_of`.
    :param sentences: source pieces of each sentence; one without pieces has an empty translation, without a search.
    :param method: see :func:`~fairseq_guided_align.attention.link_methods.read_links_off`.
    :param threshold: see there.
    :param options: of ``translate_batch``, such as ``beam_size`` and ``num_hypotheses``.
    """
    if guided.shift == 0 and options.get("beam_size", 2) > 1:
        # CTranslate2 up to 4.8 mixes up the sentences of a batch in the first row, when it searches with a beam
        options["max_batch_size"] = 1
    end = "</s>"
    results = translator.translate_batch(
        [list(sentence) for sentence in sentences], return_attention=True, return_end_token=True, **options
    )
    translations = []
    for result in results:
        scores = result.scores or [float("nan")] * len(result.hypotheses)
        found = []
        for pieces, rows, score in zip(result.hypotheses, result.attention, scores):
            if not rows:
                # CTranslate2 leaves out a sentence without pieces: its translation is empty
                found.append(LinkedTranslation([], score, SentenceLinks.from_pairs([]), np.zeros((0, 1), np.float32)))
                continue
            ended = pieces[-1:] == [end]
            attention = attention_of(rows, guided, ended)
            links = read_links_off(attention, guided, method, threshold)
            found.append(LinkedTranslation(pieces[:-1] if ended else pieces, score, links, attention))
        translations.append(found)
    return translations
