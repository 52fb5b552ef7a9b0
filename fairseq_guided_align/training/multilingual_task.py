"""The task ``multilingual_translation_guided_alignment``: several language pairs, each with its links."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from fairseq import utils
from fairseq.data import RoundRobinZipDatasets, TransformEosLangPairDataset
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.models import FairseqMultiModel
from fairseq.tasks import register_task
from fairseq.tasks.multilingual_translation import MultilingualTranslationTask
from fairseq.tasks.translation import load_langpair_dataset

from fairseq_guided_align.corpus.languages import LanguagePair, parse_pairs
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.alignment_files import check_alignment_files, parse_alignment_files
from fairseq_guided_align.training.figures import log_bits, log_ratios, total
from fairseq_guided_align.training.guided_task import GuidedTask
from fairseq_guided_align.training.pictures import PicturedPairs
from fairseq_guided_align.training.task_options import GuidedTaskConfig
from fairseq_guided_align.training.validation_aer import log_scores


@register_task("multilingual_translation_guided_alignment")
class MultilingualTranslationGuidedAlignmentTask(GuidedTask, MultilingualTranslationTask):
    """Translation of several language pairs by one ``multilingual_transformer``, with guided alignment.

    Every pair's batches carry its links; the same layers and heads are guided in each pair's decoder. Figures are
    logged over all pairs, and those about the alignment for each pair as well (``de-en:alignment_loss``).
    ``--alignment-files`` names files by split and pair: ``train.de-en=FILE``; where only the reverse of a pair is
    named, its links are read the other way round.
    """

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """Options of fairseq's task and of ``GuidedTaskConfig``."""
        MultilingualTranslationTask.add_args(parser)
        gen_parser_from_dataclass(parser, GuidedTaskConfig())

    @classmethod
    def prepare(cls, args: Any, **kwargs: Any) -> tuple[Mapping[str, Any], bool]:
        """The dictionaries of all languages, and whether this is training.

        :raises GuidedAlignError: the data folder lacks a dictionary of one of the languages.
        """
        cls.update_args(args)
        # fairseq cuts pairs at the hyphen. The options keep them as plain text, because checkpoints hold the options.
        known = argparse.Namespace(**{**vars(args), "lang_pairs": parse_pairs(args.lang_pairs, args.data)})
        return super().prepare(known, **kwargs)

    def __init__(self, args: Any, dicts: Mapping[str, Any], training: bool) -> None:
        super().__init__(args, dicts, training)
        pairs = [LanguagePair(args.source_lang, args.target_lang)]
        if training:
            pairs = parse_pairs(args.lang_pairs, args.data)
        self.lang_pairs = self.eval_lang_pairs = self.model_lang_pairs = pairs
        # Checkpoints of fairseq's own task do not have our options.
        for name, default in vars(GuidedTaskConfig()).items():
            if not hasattr(args, name):
                setattr(args, name, default)
        self.set_up_guidance(args)
        self._files = _files_by_pair(args.alignment_files, parse_pairs(args.lang_pairs, args.data))

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """The model of all pairs; that of each pair knows what was guided, too."""
        model = super().build_model(cfg, from_checkpoint)
        for of_pair in model.models.values():
            of_pair.guided_heads = model.guided_heads
        return model

    def pictured(self, split: str) -> list[PicturedPairs]:
        """What ``--attention-images`` draws of a split: the sentences of every pair, named after the pair."""
        return [
            PicturedPairs(
                f"{split}/{pair}", pairs, [self.dicts[pair.source], self.dicts[pair.target]], self._model.models[pair]
            )
            for pair, pairs in self.datasets[split].datasets.items()
        ]

    def inference_step(self, generator: Any, models: list[Any], *args: Any, **kwargs: Any) -> Any:
        """Hypotheses of a batch; ``--score-reference`` works, too; with fairseq's own task it does not."""
        models = [
            model.models[self.lang_pairs[0]] if isinstance(model, FairseqMultiModel) else model for model in models
        ]
        return super().inference_step(generator, models, *args, **kwargs)

    def _per_lang_pair_valid_loss(self, lang_pair: str, model: Any, criterion: Any, sample: Any) -> Any:
        return super()._per_lang_pair_valid_loss(lang_pair, model, self.counting(criterion), sample)

    def load_split(self, split: str, epoch: int, **kwargs: Any) -> None:
        """A split of one data folder, all language pairs, with links."""
        paths = utils.split_paths(self.args.data)
        if self._guides:
            for files in self._files.values():
                check_alignment_files(files, paths, self.args.train_subset)
        data_dir = paths[(epoch - 1) % len(paths)]
        # fairseq's own task combines validation sets, too, and fairseq-train loads each of them by itself.
        combine = kwargs.get("combine", True)
        linked = OrderedDict(
            (pair, self._with_links(self._pairs_of(pair, split, data_dir, combine), split, pair, data_dir))
            for pair in self.lang_pairs
        )
        self.datasets[split] = RoundRobinZipDatasets(linked, eval_key=None if self.training else self.lang_pairs[0])

    def _pairs_of(self, pair: LanguagePair, split: str, data_dir: str, combine: bool) -> Any:
        """The sentence pairs of one language pair, with language tokens where they are asked for."""
        source, target = self.dicts[pair.source], self.dicts[pair.target]
        names = (
            "dataset_impl", "upsample_primary", "left_pad_source", "left_pad_target", "max_source_positions",
            "max_target_positions",
        )  # fmt: skip
        options = {name: getattr(self.args, name) for name in names}
        pairs = load_langpair_dataset(
            data_dir, split, pair.source, source, pair.target, target, combine=combine, **options
        )
        return self.alter_dataset_langtok(
            pairs, src_eos=source.eos(), src_lang=pair.source, tgt_eos=target.eos(), tgt_lang=pair.target
        )

    def _with_links(self, pairs: Any, split: str, pair: LanguagePair, data_dir: str) -> Any:
        if isinstance(pairs, TransformEosLangPairDataset):
            # Language tokens take the place of </s> and <s> once a batch is made: positions stay what they are.
            pairs.dataset = self._with_links(pairs.dataset, split, pair, data_dir)
            return pairs
        if pairs.tgt is None:
            return pairs
        files, inverted = self._files.get(pair, {}), self.args.alignment_inverted
        if not files:
            files, inverted = self._files.get(pair.reversed, {}), not inverted
        links = self.pair_links(pair.source, pair.target, files, inverted)
        return self.put_links_beside(pairs, links, split, data_dir, f"{split} {pair}")

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        """Log the figures of the batches of all workers: over all pairs, and of each pair."""
        super().reduce_metrics(logging_outputs, criterion)
        for pair in self.lang_pairs:
            of = f"{pair}:"
            if not total(logging_outputs, f"{of}ntokens"):
                continue
            log_bits(logging_outputs, "nll_loss", "ntokens", of)
            if any(f"{of}alignment_loss" in log for log in logging_outputs):
                log_ratios(logging_outputs, "alignment_loss", "link_coverage", of=of)
            log_scores(logging_outputs, of)


def _files_by_pair(text: Any, lang_pairs: Sequence[LanguagePair]) -> dict[str, dict[str, str]]:
    """Files by pair and shard, of ``train.de-en=FILE,valid.de-en=FILE``.

    :raises GuidedAlignError: an entry does not name a pair that is trained, in either direction.
    """
    found: dict[str, dict[str, str]] = {}
    known = {direction for pair in lang_pairs for direction in (pair, pair.reversed)}
    for name, path in parse_alignment_files(text).items():
        # Language codes may have dots, and splits have none.
        shard, _, pair = name.partition(".")
        if not shard or pair not in known:
            raise GuidedAlignError(
                f"--alignment-files: expected SPLIT.SOURCE-TARGET=FILE entries for the pairs of --lang-pairs "
                f"({', '.join(lang_pairs)}), such as train.{lang_pairs[0]}=train.align; got {name!r}"
            )
        found.setdefault(pair, {})[shard] = path
    return found
