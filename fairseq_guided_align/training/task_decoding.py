"""How our tasks decode: with the guided heads' alignments where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairseq.data import RoundRobinZipDatasets
from fairseq.search import DiverseBeamSearch
from fairseq.tasks import FairseqTask
from torch import Tensor

from fairseq_guided_align.attention.reader import check_has_attention
from fairseq_guided_align.decoding.generation import GuidedSequenceGenerator, GuidedSequenceScorer
from fairseq_guided_align.decoding.printed_alignment import PrintedForm
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.subwords.settings import subword_kind
from fairseq_guided_align.subwords.special_tokens import line_for


class DecodingTask(FairseqTask):
    """Comes before a task of fairseq's among the bases of ours. ``options`` are those of ``GuidedTaskConfig``."""

    options: Any
    _interactive = False

    def build_generator(self, models: list[Any], args: Any, *others: Any, **kwargs: Any) -> Any:
        """The generator; where alignments are asked for, one that reads the guided heads."""
        form = getattr(args, "print_alignment", None)
        # Hard alignments that only --replace-unk wants have nothing to cut.
        threshold = self.options.alignment_threshold if form else None
        if form is None and getattr(args, "replace_unk", None) is not None:
            # --replace-unk copies the source word that a token is aligned to.
            form = "hard"
        if not form:
            return super().build_generator(models, args, *others, **kwargs)
        for model in models:
            check_has_attention(model)
        self._check_no_sentence_begins_with_padding()
        kind = None
        if str(self.options.alignment_level) == "words":
            kind = subword_kind(self.options.data, self.options.alignment_subwords, "--alignment-subwords")
        printed = PrintedForm(form, threshold, kind, in_rows=lambda: not self._interactive)
        if getattr(args, "score_reference", False):
            return GuidedSequenceScorer(self.target_dictionary, self.source_dictionary, printed)
        kwargs["seq_gen_cls"] = GuidedSequenceGenerator
        kwargs["extra_gen_cls_kwargs"] = {
            **(kwargs.get("extra_gen_cls_kwargs") or {}),
            "source_dictionary": self.source_dictionary,
            "printed_form": printed,
        }
        return super().build_generator(models, args, *others, **kwargs)

    def _check_no_sentence_begins_with_padding(self) -> None:
        """Batches that are padded on the left would lose a first word that is spelled like padding.

        :raises GuidedAlignError: a source sentence of a split begins with such a word.
        """
        padding = self.source_dictionary.pad()
        for split, loaded in self.datasets.items():
            parts = loaded.datasets if isinstance(loaded, RoundRobinZipDatasets) else {split: loaded}
            for pairs in parts.values():
                number = next((n for n in range(len(pairs)) if pairs[n]["source"][0] == padding), None)
                if number is not None:
                    raise GuidedAlignError(
                        f"sentence {number + 1} of {split!r} begins with {self.source_dictionary[padding]}, which"
                        " fairseq takes for padding, so that its links would be shifted; read them with"
                        " fairseq-guided-align extract, or make the data folder with fairseq-guided-align preprocess,"
                        " which writes such words otherwise"
                    )

    def inference_step(
        self, generator: Any, models: list[Any], sample: Any, prefix_tokens: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """Hypotheses of a batch."""
        if prefix_tokens is not None:
            # The prefix of an empty reference is none; fairseq up to 0.12.3 searches for ever after a bare </s>.
            end, padding = self.target_dictionary.eos(), self.target_dictionary.pad()
            prefix_tokens = prefix_tokens.masked_fill(prefix_tokens[:, :1].eq(end), padding)
        if isinstance(getattr(generator, "search", None), DiverseBeamSearch):
            # fairseq up to 0.12.3 takes the numbers of the sentences for their positions in the batch.
            sample = {key: value for key, value in sample.items() if key != "id"}
        return super().inference_step(generator, models, sample, prefix_tokens=prefix_tokens, **kwargs)

    def get_interactive_tokens_and_lengths(self, lines: list[str], encode_fn: Callable[[str], str]) -> Any:
        """Tokens of text that is typed or piped in; pieces spelled like fairseq's own tokens stay text."""
        dictionary = self.source_dictionary
        return super().get_interactive_tokens_and_lengths(lines, lambda line: line_for(encode_fn(line), dictionary))

    def build_dataset_for_inference(self, *args: Any, **kwargs: Any) -> Any:
        """Text that is typed or piped in, for ``fairseq-interactive``."""
        self._interactive = True
        return super().build_dataset_for_inference(*args, **kwargs)
