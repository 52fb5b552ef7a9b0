"""`fairseq-guided-align preprocess`: raw text and word links to a data folder for fairseq-train."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace

from fairseq_guided_align.cli.argument_types import folder_to_write, named_text_to_read
from fairseq_guided_align.cli.options import (
    LINK_READING,
    SENTENCEPIECE_MODELS,
    WORD_SPLIT,
    add,
    chosen_chunks,
    chosen_words,
    text_of_columns,
)
from fairseq_guided_align.corpus.cut_folders import training_data
from fairseq_guided_align.corpus.fairseq_options import DATASET_FORMATS, parse_fairseq_options
from fairseq_guided_align.corpus.files import SPLITS, PreprocessSettings, find_corpora, split_prefixes
from fairseq_guided_align.corpus.preprocessing import preprocess
from fairseq_guided_align.corpus.subword_links import ConversionSettings
from fairseq_guided_align.errors import GuidedAlignError
from fairseq_guided_align.files.arguments import name_and_file
from fairseq_guided_align.files.copies import readable_again
from fairseq_guided_align.files.opening import CopiedText
from fairseq_guided_align.files.progress import say
from fairseq_guided_align.files.workers import keep_freed_memory
from fairseq_guided_align.links.aligner import AlignerSettings
from fairseq_guided_align.subwords.sampling import DEFAULT_ALPHA, Sampling, check_alpha, sampler
from fairseq_guided_align.subwords.sentencepiece_models import MODEL_TYPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and add its options."""
    standard = PreprocessSettings("", "")
    parser.description = (
        "Makes a data folder for fairseq-train: cuts the text into subword pieces (with --subwords sentencepiece; other"
        " text is cut already), binarises them as stock fairseq-preprocess does, turns word links into links between"
        " pieces and binarises these. The folder appears when it is complete."
    )
    files = parser.add_argument_group("files")
    add(files, "--source-lang", "--target-lang", required=True)
    for split in SPLITS:
        files.add_argument(
            f"--{split}pref",
            metavar="PREFIX[,PREFIX]",
            help=f"{split} files are PREFIX.SOURCE, PREFIX.TARGET, PREFIX.align, each perhaps with .gz, .xz or .zst"
            f" behind; further prefixes make {split}1, ...",
        )
    files.add_argument(
        "--tsv",
        metavar="SPLIT=FILE",
        type=named_text_to_read,
        nargs="+",
        action="extend",
        default=[],
        help="text of both sides of a split in one file, columns with tabs between them, such as train=corpus.tsv.zst;"
        " further files make SPLIT1, ..., behind those of prefixes",
    )
    add(files, "--columns", note=": without LINKS the text has none")
    files.add_argument(
        "--align-suffix", default=standard.align_suffix, metavar="SUFFIX", help="of the word links (default: align)"
    )
    files.add_argument(
        "--destdir",
        required=True,
        metavar="DIR",
        type=folder_to_write,
        help="data folder to make; must not exist yet",
    )
    for side in ("source", "target"):
        files.add_argument(
            f"--{side}-words-suffix",
            metavar="SUFFIX",
            help=f"the links count the words of PREFIX.SUFFIX, not those of the {side} text: for text without spaces,"
            " or tokenised otherwise",
        )
    files.add_argument("--discard-text", action="store_true", help="do not keep words and pieces in DIR/text")

    subwords = parser.add_argument_group("subwords")
    add(subwords, "--subwords", note=f"default: {standard.subwords}", default=standard.subwords)
    subwords.add_argument(
        "--sentencepiece-vocab-size",
        type=int,
        metavar="N",
        help=f"pieces of each model that is trained (default: {standard.vocab_size})",
    )
    subwords.add_argument(
        "--sentencepiece-model-type", choices=MODEL_TYPES, help="of models that are trained (default: unigram)"
    )
    add(subwords, *SENTENCEPIECE_MODELS, note=" (default: trained on the training text)")
    subwords.add_argument(
        "--subword-samples",
        type=int,
        metavar="N",
        help="cut the training text N times at random (unigram: SentencePiece's sampling, bpe: BPE dropout), each cut"
        " with its own links, in DIR, DIR/sample-2 and so on: fairseq-train DIR:DIR/sample-2 takes the next in every"
        " epoch",
    )
    subwords.add_argument(
        "--subword-sampling-alpha",
        type=float,
        metavar="X",
        help="unigram: the less, the more the cuts differ; bpe: share of the merges that are left out (default:"
        f" {DEFAULT_ALPHA})",
    )
    subwords.add_argument(
        "--subword-sampling-seed", type=int, metavar="N", help="other cuts with another seed (default: 1)"
    )
    subwords.add_argument(
        "--joined-dictionary", action="store_true", help="one dictionary, and one model, for both languages"
    )
    for side, option in (("source", "--srcdict"), ("target", "--tgtdict")):
        subwords.add_argument(option, metavar="FILE", help=f"use this {side} dictionary, such as a trained model's")

    links = parser.add_argument_group("links")
    add(links, "--policy", *LINK_READING, *WORD_SPLIT, "--on-mismatch")
    links.add_argument("--allow-missing-alignments", action="store_true", help="splits may have no file of links")
    links.add_argument("--aligner", choices=("eflomal",), help="make the links of splits that have no file of them")
    add(links, "--symmetrisation", note=f", with --aligner (default: {AlignerSettings().method})")

    add(links, "--also-pieces", note=", with --aligner")

    large = parser.add_argument_group(
        "large text, with --aligner",
        "as in `align`; as many chunks are aligned at the same time as --workers says",
    )
    add(large, "--chunk-pairs", note="DIR")
    add(large, "--sample-pairs", "--priors", "--save-priors")

    cleaning = parser.add_argument_group("training pairs to leave out, with their links")
    cleaning.add_argument("--max-pieces", type=int, metavar="N", help="with more pieces on a side, or with none")
    cleaning.add_argument(
        "--max-ratio", type=float, metavar="X", help="where one side has more than X times the pieces of the other"
    )

    add(parser, "--workers")
    parser.add_argument(
        "--fairseq-options",
        default="",
        metavar="OPTIONS",
        help="options of fairseq-preprocess that have an effect here, as in --fairseq-options='--nwordssrc 8000':"
        f" --dataset-impl ({', '.join(DATASET_FORMATS)}), and of dictionaries that are made --nwordssrc, --nwordstgt,"
        " --thresholdsrc, --thresholdtgt, --padding-factor",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    keep_freed_memory()
    settings = _settings(args)
    chunking = settings.chunking
    prefixes = {split: split_prefixes(getattr(args, f"{split}pref") or "", args.source_lang) for split in SPLITS}
    with ExitStack() as stack:
        if chunking is not None and chunking.priors is not None:
            priors = stack.enter_context(readable_again(chunking.priors))
            settings = replace(settings, chunking=replace(chunking, priors=priors))
        corpora = find_corpora(prefixes, settings, _columns(args, stack))
        if args.save_priors is not None and all(corpus.links is not None for corpus in corpora):
            raise GuidedAlignError("--save-priors: of text that is aligned; all splits have links")
        preprocess(corpora, args.destdir, settings)
    say(f"{args.destdir}: complete")
    if settings.sampling is not None and settings.sampling.cuts > 1:
        say(f"to train on each cut in turn: fairseq-train {training_data(args.destdir, settings.sampling.cuts)}")
    return 0


def _columns(args: argparse.Namespace, stack: ExitStack) -> dict[str, list[list[CopiedText]]]:
    """Source, target and perhaps links of each TSV, by split."""
    if args.columns and not args.tsv:
        raise GuidedAlignError("--columns goes with --tsv")
    if args.tsv and (args.source_words_suffix or args.target_words_suffix):
        raise GuidedAlignError(
            "--source-words-suffix and --target-words-suffix: of files that prefixes name, not --tsv"
        )
    found: dict[str, list[list[CopiedText]]] = {split: [] for split in SPLITS}
    for argument in args.tsv:
        split, path = name_and_file(argument)
        if split not in SPLITS or not path:
            raise GuidedAlignError(f"--tsv: expected SPLIT=FILE, SPLIT one of {', '.join(SPLITS)}; got {argument!r}")
        found[split].append(stack.enter_context(text_of_columns(path, args.columns, links=True)))
    return found


def _settings(args: argparse.Namespace) -> PreprocessSettings:
    models = (args.source_sentencepiece_model, args.target_sentencepiece_model)
    training = {
        "--sentencepiece-vocab-size": args.sentencepiece_vocab_size,
        "--sentencepiece-model-type": args.sentencepiece_model_type,
    }
    given = [option for option, value in training.items() if value is not None]
    if args.subwords != "sentencepiece" and (given or any(models)):
        raise GuidedAlignError(
            f"SentencePiece options go with --subwords sentencepiece; got --subwords {args.subwords}"
        )
    if all(models) and given:
        raise GuidedAlignError(f"{given[0]}: goes with models that are trained; both models are given")
    if args.joined_dictionary and any(models) and not all(models):
        raise GuidedAlignError("--joined-dictionary: give both models or none; one given model can be given twice")
    if args.joined_dictionary and args.srcdict and args.tgtdict:
        raise GuidedAlignError("--joined-dictionary: give --srcdict or --tgtdict, not both")
    chunking = chosen_chunks(args)
    if not args.aligner:
        for option in ("symmetrisation", "also-pieces", "chunk-pairs", "sample-pairs", "priors", "save-priors"):
            if getattr(args, option.replace("-", "_")):
                raise GuidedAlignError(f"--{option} goes with --aligner")
    if args.max_pieces is not None and args.max_pieces < 1:
        raise GuidedAlignError(f"--max-pieces: expected 1 or more; got {args.max_pieces}")
    if args.max_ratio is not None and not args.max_ratio >= 1:
        raise GuidedAlignError(f"--max-ratio: expected a number of at least 1; got {args.max_ratio}")
    aligner = None
    if args.aligner:
        aligner = AlignerSettings(method=args.symmetrisation or AlignerSettings().method)
    if args.source_lang == args.target_lang:
        raise GuidedAlignError(f"expected two languages; got {args.source_lang!r} twice")
    standard = PreprocessSettings("", "")
    return PreprocessSettings(
        source_lang=args.source_lang,
        target_lang=args.target_lang,
        align_suffix=args.align_suffix,
        subwords=args.subwords,
        words_suffix=(args.source_words_suffix, args.target_words_suffix),
        vocab_size=standard.vocab_size if args.sentencepiece_vocab_size is None else args.sentencepiece_vocab_size,
        model_type=args.sentencepiece_model_type or standard.model_type,
        models=models,
        joined=args.joined_dictionary,
        dictionaries=(args.srcdict, args.tgtdict),
        conversion=ConversionSettings(
            policy=args.policy,
            one_based=args.one_based,
            inverted=args.inverted,
            skip_mismatches=args.on_mismatch == "drop-links",
            max_dropped=args.max_dropped,
            word_split=chosen_words(args),
        ),
        max_pieces=args.max_pieces,
        max_ratio=args.max_ratio,
        aligner=aligner,
        aligner_pieces=args.also_pieces,
        chunking=chunking,
        allow_missing=args.allow_missing_alignments,
        keep_text=not args.discard_text,
        workers=args.workers,
        sampling=_sampling(args),
        fairseq_options=parse_fairseq_options(args.fairseq_options),
    )


def _sampling(args: argparse.Namespace) -> Sampling | None:
    """How training text is cut at random; refused before models are trained for hours."""
    chosen = {"alpha": args.subword_sampling_alpha, "seed": args.subword_sampling_seed}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if args.subword_samples is None:
        if chosen:
            raise GuidedAlignError(f"--subword-sampling-{next(iter(chosen))} goes with --subword-samples")
        return None
    if args.subword_samples < 1:
        raise GuidedAlignError(f"--subword-samples: expected 1 or more; got {args.subword_samples}")
    if args.subwords != "sentencepiece":
        raise GuidedAlignError(
            "--subword-samples: expected text that SentencePiece cuts; with --subwords"
            f" {args.subwords} it is cut already, and once"
        )
    if not args.trainpref and not any(argument.startswith("train=") for argument in args.tsv):
        raise GuidedAlignError("--subword-samples cuts training text; name it with --trainpref or --tsv train=FILE")
    sampling = Sampling(args.subword_samples, **chosen)
    kind = args.sentencepiece_model_type or PreprocessSettings("", "").model_type
    for model in (args.source_sentencepiece_model, args.target_sentencepiece_model):
        if model is None:
            check_alpha(sampling.alpha, kind)
        else:
            sampler(model, sampling.alpha)  # Says what is wrong with it
    return sampling
