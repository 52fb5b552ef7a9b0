"""The task ``multilingual_translation_guided_alignment``: several language pairs, each with its links."""

import argparse
import math
from collections import OrderedDict
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from fairseq import utils
from fairseq.data import RoundRobinZipDatasets, TransformEosLangPairDataset
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.logging import metrics
from fairseq.models import FairseqMultiModel
from fairseq.tasks import register_task
from fairseq.tasks.multilingual_translation import MultilingualTranslationTask
from fairseq.tasks.translation import load_langpair_dataset

from fairseq_guided_align.corpus.languages import LanguagePair, parse_pairs
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.links.sources import check_alignment_files, parse_alignment_files
from fairseq_guided_align.training.guided_task import GuidedTask, GuidedTaskConfig
from fairseq_guided_align.training.log_values import ratio
from fairseq_guided_align.training.pictures import PicturedPairs
from fairseq_guided_align.training.validation_aer import log_scores


@register_task("multilingual_translation_guided_alignment")
class MultilingualTranslationGuidedAlignmentTask(GuidedTask, MultilingualTranslationTask):
    """Translation of several language pairs by one ``multilingual_transformer``, with guided alignment.

    Every pair's batches carry its links; the same layers and heads are guided in each pair's decoder. Figures are
    logged over all pairs, and those that tell of the alignment for each pair as well (``de-en:alignment_loss``).
    ``--alignment-files`` names files by split and pair: ``train.de-en=FILE``; a pair whose reverse is named reads its
    links the other way round.
    """

    @classmethod
    def add_args(cls, parser: Any) -> None:
        """Options of fairseq's task and of :class:`~fairseq_guided_align.training.guided_task.GuidedTaskConfig`."""
        MultilingualTranslationTask.add_args(parser)
        gen_parser_from_dataclass(parser, GuidedTaskConfig())

    @classmethod
    def prepare(cls, args: Any, **kwargs: Any) -> Tuple[Mapping[str, Any], bool]:
        """The dictionaries of all languages, and whether this is training.

        :raises GuidedAlignError: a pair is none of languages that the data folder has dictionaries of.
        """
        cls.update_args(args)
        # What fairseq cuts at the hyphen stays out of the options, which are kept in checkpoints as plain text.
        known = argparse.Namespace(**{**vars(args), "lang_pairs": parse_pairs(args.lang_pairs, args.data)})
        return super().prepare(known, **kwargs)

    def __init__(self, args: Any, dicts: Mapping[str, Any], training: bool) -> None:
        super().__init__(args, dicts, training)
        pairs = [LanguagePair(args.source_lang, args.target_lang)]
        if training:
            pairs = parse_pairs(args.lang_pairs, args.data)
        self.lang_pairs = self.eval_lang_pairs = self.model_lang_pairs = pairs
        # checkpoints of fairseq's own task do not have our options
        for name, default in vars(GuidedTaskConfig()).items():
            if not hasattr(args, name):
                setattr(args, name, default)
        self.set_up_guidance(args)
        self._files = _files_by_pair(args.alignment_files, parse_pairs(args.lang_pairs, args.data))

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """The model of all pairs; each pair's own knows what was guided as well."""
        model = super().build_model(cfg, from_checkpoint)
        for one in model.models.values():
            one.guided_heads = model.guided_heads
        return model

    def pictured(self, split: str) -> List[PicturedPairs]:
        """What ``--attention-images`` draws of a split: the sentences of every pair, named by it."""
        return [
            PicturedPairs(
                f"{split}/{pair}", pairs, [self.dicts[pair.source], self.dicts[pair.target]], self._model.models[pair]
            )
            for pair, pairs in self.datasets[split].datasets.items()
        ]

    def inference_step(self, generator: Any, models: List[Any], *args: Any, **kwargs: Any) -> Any:
        """Hypotheses of a batch; ``--score-reference`` works as well, which with fairseq's own task it does not."""
        models = [
            model.models[self.lang_pairs[0]] if isinstance(model, FairseqMultiModel) else model for model in models
        ]
        return super().inference_step(generator, models, *args, **kwargs)

    def _per_lang_pair_valid_loss(self, lang_pair: str, model: Any, criterion: Any, sample: Any) -> Any:
        return super()._per_lang_pair_valid_loss(lang_pair, model, self.counting(criterion), sample)

    def load_split(self, split: str, epoch: int, **kwargs: Any) -> None:
        """A split of one data folder, of every pair, with its links."""
        paths = utils.split_paths(self.args.data)
        if self._guides:
            for files in self._files.values():
                check_alignment_files(files, paths, self.args.train_subset)
        data_dir = paths[(epoch - 1) % len(paths)]
        # As fairseq's own task, but for validation sets, which fairseq-train loads each by itself.
        combine = kwargs.get("combine", True)
        linked = OrderedDict(
            (pair, self._with_links(self._pairs_of(pair, split, data_dir, combine), split, pair, data_dir))
            for pair in self.lang_pairs
        )
        self.datasets[split] = RoundRobinZipDatasets(linked, eval_key=None if self.training else self.lang_pairs[0])

    def _pairs_of(self, pair: LanguagePair, split: str, data_dir: str, combine: bool) -> Any:
        """The sentence pairs of one language pair, with language tokens where they are asked for."""
        source, target = self.dicts[pair.source], self.dicts[pair.target]
        options = self.args
        pairs = load_langpair_dataset(
            data_dir,
            split,
            pair.source,
            source,
            pair.target,
            target,
            combine=combine,
            dataset_impl=options.dataset_impl,
            upsample_primary=options.upsample_primary,
            left_pad_source=options.left_pad_source,
            left_pad_target=options.left_pad_target,
            max_source_positions=options.max_source_positions,
            max_target_positions=options.max_target_positions,
        )
        return self.alter_dataset_langtok(
            pairs, src_eos=source.eos(), src_lang=pair.source, tgt_eos=target.eos(), tgt_lang=pair.target
        )

    def _with_links(self, pairs: Any, split: str, pair: LanguagePair, data_dir: str) -> Any:
        if isinstance(pairs, TransformEosLangPairDataset):
            # language tokens take the place of </s> and <s> once a batch is made: positions stay what they are
            pairs.dataset = self._with_links(pairs.dataset, split, pair, data_dir)
            return pairs
        if pairs.tgt is None:
            return pairs
        files, inverted = self._files.get(pair, {}), self.args.alignment_inverted
        if not files:
            files, inverted = self._files.get(pair.reversed, {}), not inverted
        name = f"{split} {pair}"
        found = self.pair_links(pair.source, pair.target, files, inverted).beside(pairs, split, data_dir, name)
        if found is None or not found[1].links:
            self.check_aer_can_be_measured(split, name)
        if found is None:
            return pairs
        self.link_coverage[name] = found[1]
        return found[0]

    def reduce_metrics(self, logging_outputs: List[Dict[str, Any]], criterion: Any) -> None:
        """Log the figures of the batches of all workers: over all pairs, and of each pair."""
        super().reduce_metrics(logging_outputs, criterion)
        for pair in self.lang_pairs:

            def total(key: str, pair: str = pair) -> Any:
                return sum(log.get(f"{pair}:{key}", 0) for log in logging_outputs)

            tokens = total("ntokens")
            if not tokens:
                continue
            metrics.log_scalar(f"{pair}:nll_loss", total("nll_loss") / tokens / math.log(2), tokens, round=3)
            if any(f"{pair}:alignment_loss" in log for log in logging_outputs):
                for key in ("alignment_loss", "guided_tokens", "linked_tokens", "alignable_tokens"):
                    metrics.log_scalar_sum(f"_{pair}:{key}", total(key))
                metrics.log_derived(
                    f"{pair}:alignment_loss", ratio(f"_{pair}:alignment_loss", f"_{pair}:guided_tokens")
                )
                metrics.log_derived(
                    f"{pair}:link_coverage", ratio(f"_{pair}:linked_tokens", f"_{pair}:alignable_tokens")
                )
            log_scores(logging_outputs, f"{pair}:")


def _files_by_pair(text: Any, lang_pairs: Sequence[LanguagePair]) -> Dict[str, Dict[str, str]]:
    """Files by pair and shard, of ``train.de-en=FILE,valid.de-en=FILE``.

    :raises GuidedAlignError: an entry without a pair that is trained, in either direction.
    """
    found: Dict[str, Dict[str, str]] = {}
    known = {one for pair in lang_pairs for one in (pair, pair.reversed)}
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
