"""The example from end to end: text, subwords, training with guidance, links and translations, their scores.

Runs the same commands as a user would by hand and shows each of them; see run.sh, which prepares what they
need. Everything it makes lies below one folder; a second run reuses what is done.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

import fairseq_guided_align
from examples.greek_english import corpus, translation
from examples.greek_english.settings import MAIN, QUICK, SOURCE, TARGET, THOROUGH, Settings
from examples.made_up_text import make_text
from examples.stages import StageError, Stages, duration, write_whole
from examples.training import train

HERE = Path(__file__).resolve().parent
USER_DIR = Path(fairseq_guided_align.__file__).resolve().parent


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    others = [name for name in ("unguided", "fairseq") if getattr(args, f"with_{name}")]
    example = Example(args.work, SIZES[args.size], others, args.links)
    try:
        with example.stages.alone():
            example.do_all()
    except KeyboardInterrupt:
        say("\ninterrupted; the same command goes on from here")
        return 130
    except StageError as error:
        say(f"error: {error}")
        return 1
    example.report()
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="examples/greek_english/run.sh",
        description="Trains a small Greek-English translation model with guided alignment on the New Testament, "
        "and scores its links on held-out verses against links made by hand, and its translations of them.",
    )
    parser.add_argument(
        "--work",
        type=Path,
        help="folder for everything it makes (default: examples/greek_english/work, with -quick, -thorough, -eflomal)",
    )
    parser.add_argument(
        "--with-unguided-twin",
        dest="with_unguided",
        action="store_true",
        help="also train the same model without guidance, for as many updates, and show both",
    )
    parser.add_argument(
        "--with-fairseq-criterion",
        dest="with_fairseq",
        action="store_true",
        help="also train transformer_align with fairseq's own criterion, for as many updates, and show both",
    )
    parser.add_argument(
        "--links",
        choices=("hand", "eflomal"),
        default="hand",
        help="links for training and for learning how to read them: made by hand, or by the aligner eflomal of all "
        "verses, in words and in pieces; scores are against the test verses' links made by hand (default: %(default)s)",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const="quick",
        help="every step on a few hundred made-up sentences, in about a minute and without a download",
    )
    size.add_argument(
        "--thorough",
        dest="size",
        action="store_const",
        const="thorough",
        help="train longer (3,000 updates), for better links and a better translation",
    )
    args = parser.parse_args(argv)
    if args.work is None:
        args.work = HERE / "-".join(["work", *filter(None, [args.size, args.links.replace("hand", "")])])
    args.work = args.work.resolve()
    return args


class Example:
    """The stages, below the folder `work`."""

    def __init__(self, work: Path, settings: Settings, others: Sequence[str], links: str) -> None:
        self.settings = settings
        self.work = work
        self.aligned = links == "eflomal"
        # Trained side by side, on as many processors each as there are for all.
        self.trainings = {"guided": ["forward", "reverse"], **{name: [name] for name in others}}
        self.environment = dict(os.environ)
        if settings.threads:
            self.environment.setdefault("OMP_NUM_THREADS", str(settings.threads))
        # Threads that wait in a loop take the processor from those that work, as soon as anything else runs here.
        self.environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # torch's remarks on fairseq's code are of no use to somebody who runs an example.
        self.environment.setdefault("PYTHONWARNINGS", "ignore::UserWarning")
        self.stages = Stages(work, 6 + self.aligned + len(self.trainings), say)

    def do_all(self) -> None:
        """All stages that are not done yet."""
        settings, do = self.settings, self.stages.do
        text_files = [f"{split}.{suffix}" for split in corpus.SPLITS for suffix in corpus.SUFFIXES]
        dictionaries = [f"data-bin/dict.{side}.txt" for side in (SOURCE, TARGET)]
        made_up = settings.made_up_sentences
        text = "made-up text with links" if made_up else "text with links made by hand"
        do("text", text, self.write_text, text_files, [corpus.WHEEL_SHA256, made_up])
        if self.aligned:
            do("aligned", "links by eflomal, of all verses together", self.align, text_files, needs=["text"])
        guiding = [self.guiding.name]
        how = [settings.subwords, fairseq_guided_align.__version__]
        do("binarised", "subword models, subword links, binary data", self.preprocess, dictionaries, how, guiding)
        for stage, models in self.trainings.items():
            title = f"{TRAININGS[stage]}, {settings.updates} updates"
            last = [f"{model}/checkpoint_last.pt" for model in models]
            options = [settings.training(stage), versions()]
            do(stage, title, partial(self.train, stage), last, options, ["binarised"], goes_on=True)
        readings = self.readings()
        links = [f"{name}.align" for name in self.systems()]
        models = ["binarised", *self.trainings]
        do("links", "links of the test verses, read from attention", self.extract, links, readings, [*guiding, *models])
        title = "scores against the links made by hand"
        do("scores", title, self.score, ["scores.json"], needs=["text", "links"])
        title = "translations of the test verses, and their scores"
        do("translations", title, self.translate, ["translation.json"], needs=["text", *models])
        do("picture", "picture of a test verse", self.draw, ["attention.png"], settings.picture, ["text", *models])

    def readings(self) -> list[tuple[str, str, str]]:
        """What links are read from: name, model, attention."""
        found = [
            ("both", "forward", "guided"),
            ("guided", "forward", "guided"),
            ("argmax", "forward", "guided"),
            ("last-layer", "forward", "last-layer"),
        ]
        attentions = {"unguided": "last-layer", "fairseq": "guided"}
        return found + [(name, name, attentions[name]) for name in self.trainings if name in attentions]

    def systems(self) -> list[str]:
        """All whose links are scored; the first is what the others are compared with."""
        return [*(ALIGNMENTS if self.aligned else []), *(name for name, _, _ in self.readings())]

    def write_text(self, folder: Path) -> None:
        if self.settings.made_up_sentences:
            pairs = make_text(self.settings.made_up_sentences)
            verses = [corpus.Verse(str(k), p.source, p.target, p.links) for k, p in enumerate(pairs)]
            found = corpus.Corpus(tuple(verses), 0, 0, 0)
            credits = "Made up by examples/made_up_text.py.\n"
        else:
            credits = corpus.CREDITS
            try:
                found = corpus.read_wheel(corpus.fetch_wheel(self.work / "cache"))
            except corpus.CorpusError as error:
                raise StageError(str(error)) from error
        for line in corpus.summary(found, corpus.write_corpus(found.verses, folder, credits)).splitlines():
            say(f"      {line}")

    def align(self, folder: Path) -> None:
        """The same text, with the aligner's links in place of those made by hand."""
        sizes = {}
        for side in (SOURCE, TARGET):
            texts = {split: (self.work / "text" / f"{split}.{side}").read_text("utf-8") for split in corpus.SPLITS}
            for split, text in texts.items():
                write_whole(folder / f"{split}.{side}", text)
                sizes[split] = text.count("\n")
            write_whole(folder / f"all.{side}", "".join(texts.values()).lower())
        command: list[str | Path] = ["fairseq-guided-align", "align"]
        command += ["--source", folder / f"all.{SOURCE}", "--target", folder / f"all.{TARGET}"]
        pieces = {"eflomal": [], TEACHER: ["--also-pieces", self.settings.aligner_pieces]}
        for name, suffix in ALIGNMENTS.items():
            written = folder / f"{name}.align"
            self.run(command, pieces[name], ["--output", written])
            lines = iter(written.read_text("ascii").splitlines(keepends=True))
            for split, size in sizes.items():
                write_whole(folder / f"{split}.{suffix}", "".join(islice(lines, size)))

    def preprocess(self, folder: Path) -> None:
        text = self.guiding
        self.run(
            "fairseq-guided-align preprocess",
            f"--source-lang {SOURCE} --target-lang {TARGET} --align-suffix align",
            ["--trainpref", text / "train", "--validpref", text / "valid", "--testpref", text / "test"],
            f"{self.settings.subwords} --workers {workers()}",
            ["--destdir", folder / "data-bin"],
        )

    def train(self, stage: str, folder: Path) -> None:
        commands = {}
        models = self.trainings[stage]
        for model in models:
            (folder / model).mkdir(exist_ok=True)
            source, target = (TARGET, SOURCE) if model == "reverse" else (SOURCE, TARGET)
            command = [
                "fairseq-train",
                str(self.data),
                *("--user-dir", str(USER_DIR), "--task", "translation_guided_alignment"),
                *("--source-lang", source, "--target-lang", target),
                *self.settings.training(stage),
                # One validation at the end; checkpoints on the way are for going on after an interruption.
                *("--save-dir", str(folder / model), "--no-epoch-checkpoints", "--keep-interval-updates", "1"),
                *("--save-interval-updates", str(self.settings.updates_between_checkpoints)),
                *("--validate-interval", "1000", "--save-interval", "1000"),
            ]
            show(command)
            if (folder / model / "checkpoint_last.pt").exists():
                say("      goes on from the last checkpoint")
            commands[folder / model / "train.log"] = runnable(command)
        threads = max(1, (os.cpu_count() or 1) // len(models))
        train(commands, self.settings.updates, {"OMP_NUM_THREADS": str(threads), **self.environment})

    def extract(self, folder: Path) -> None:
        """Links of the test verses; how to read them is learnt from the validation verses where ``READ_TUNED``."""
        for name, model, attention in self.readings():
            command: list[str | Path] = ["fairseq-guided-align", "extract", self.checkpoint(model), "--data", self.data]
            reverse: list[str | Path] = []
            if name == "both":
                reverse = ["--reverse-checkpoint", self.checkpoint("reverse")]
            if name in READ_TUNED:
                self.run([*command, *reverse], ["--split", "valid", "--tune", self.guiding / "valid.align"])
            self.run(
                [*command, *reverse],
                ["--split", "test", "--attention", attention],
                "--method tuned" if name in READ_TUNED else "--method argmax",
                ["--output", folder / f"{name}.align"],
            )

        for name, suffix in ALIGNMENTS.items() if self.aligned else ():
            write_whole(folder / f"{name}.align", (self.guiding / f"test.{suffix}").read_text("ascii"))

    def score(self, folder: Path) -> None:
        links = self.work / "links"
        systems = [links / f"{name}.align" for name in self.systems()]
        gold = self.work / "text" / "test.align"
        printed = self.run(["fairseq-guided-align", "aer", "--json", gold, *systems], capture=True)
        write_whole(folder / "scores.json", printed)

    def translate(self, folder: Path) -> None:
        """Each model's translations as text, and the scores of all."""
        reference = self.work / "text" / f"test.{TARGET}"
        count = len(reference.read_text(encoding="utf-8").splitlines())
        found, nll = {}, {}
        for name, model in self.translators.items():
            printed = self.run(
                ["fairseq-generate", self.data, "--user-dir", USER_DIR],
                f"--task translation_guided_alignment --source-lang {SOURCE} --target-lang {TARGET}",
                ["--path", self.checkpoint(model), "--remove-bpe", "sentencepiece"],
                "--gen-subset test --beam 4 --max-len-a 2 --max-len-b 20 --max-tokens 8000",
                capture=True, log=folder / f"{name}.log",
            )  # fmt: skip
            found[name] = translation.translations(printed, count)
            write_whole(folder / f"{name}.{TARGET}", "".join(f"{line}\n" for line in found[name]))
            log = self.run(
                ["fairseq-validate", self.data, "--user-dir", USER_DIR],
                f"--task translation_guided_alignment --source-lang {SOURCE} --target-lang {TARGET}",
                ["--path", self.checkpoint(model)],
                "--valid-subset test --max-tokens 8000 --log-format json",
                capture=True, log=folder / f"{name}.log",
            )  # fmt: skip
            nll[name] = translation.nll_of(log, "test")
        scores = [{**row, "nll": nll[row["name"]]} for row in translation.scores(found, reference)]
        write_whole(folder / "translation.json", json.dumps(scores, indent=2) + "\n")

    def draw(self, folder: Path) -> None:
        self.run(
            ["fairseq-guided-align", "plot"],
            [f"{name}={self.checkpoint(model)}" for name, model in self.translators.items()],
            ["--data", self.data, "--split", "test", "--sentences", str(self.settings.picture)],
            ["--gold", self.work / "text" / "test.align", "--out", folder / "attention.png"],
            "--source-name Greek --target-name English",
        )

    @property
    def guiding(self) -> Path:
        """Text with the links that guide."""
        return self.work / ("aligned" if self.aligned else "text")

    @property
    def data(self) -> Path:
        return self.work / "binarised" / "data-bin"

    @property
    def translators(self) -> dict[str, str]:
        """Name -> model, of those from Greek to English."""
        return {stage: models[0] for stage, models in self.trainings.items()}

    def checkpoint(self, model: str) -> Path:
        (stage,) = (stage for stage, models in self.trainings.items() if model in models)
        return self.work / stage / model / "checkpoint_last.pt"

    def run(self, *parts: str | Sequence[str | Path], capture: bool = False, log: Path | None = None) -> str:
        """Runs a command, given as text to be split at spaces and as lists of whole arguments.

        :param capture: return what it prints to stdout, which goes to the screen otherwise.
        :param log: file to which its stderr is added, which goes to the screen otherwise.
        """
        words: list[str] = []
        for part in parts:
            words += part.split() if isinstance(part, str) else [str(word) for word in part]
        show(words)
        stdout = subprocess.PIPE if capture else sys.stderr
        with log.open("a", encoding="utf-8") if log else nullcontext(sys.stderr) as stderr:
            done = subprocess.run(
                runnable(words), check=False, stdout=stdout, stderr=stderr, encoding="utf-8", env=self.environment
            )
        if done.returncode:
            where = f"at the end of {log}" if log else "above"
            raise StageError(f"{words[0]} failed with exit code {done.returncode}; the reason stands {where}")
        return done.stdout or ""

    def report(self) -> None:
        """Writes results.json and prints the table."""
        scores = json.loads((self.work / "scores" / "scores.json").read_text(encoding="utf-8"))
        rows = []
        read = {name: {"model": model, "attention": attention} for name, model, attention in self.readings()}
        for name, score in zip(self.systems(), scores["systems"]):
            row = {"name": name, **read.get(name, {}), "description": DESCRIPTIONS[name]}
            rows.append({**row, **{key: value for key, value in score.items() if key != "name"}})
        translations = json.loads((self.work / "translations" / "translation.json").read_text(encoding="utf-8"))
        results = {
            "systems": rows,
            "translation": translations,
            "signature": scores["signature"],
            "settings": self.settings.as_dict(),
            "seconds": {stage: round(seconds, 1) for stage, seconds in self.stages.seconds.items()},
            "versions": versions(),
        }
        write_whole(self.work / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
        print(table(rows))
        print()
        print(translation.table(translations))
        say(f"all of it took {duration(sum(self.stages.seconds.values()))}")
        say(f"the same figures: {os.path.relpath(self.work / 'results.json')}")
        say(f"attention, drawn: {os.path.relpath(self.work / 'picture/attention.png')}")


TRAININGS = {
    "guided": "training with guidance, Greek to English and English to Greek",
    "unguided": "training the twin without guidance, Greek to English",
    "fairseq": "training fairseq's transformer_align with its own criterion, Greek to English",
}

TEACHER = "eflomal-pieces"
ALIGNMENTS = {"eflomal": "eflomal", TEACHER: "align"}
"""Links by the aligner, and the suffix of the files that hold those of a split."""

DESCRIPTIONS = {
    "eflomal": "no model: eflomal, of words",
    TEACHER: "no model: eflomal, of words and pieces, the teacher",
    "both": "guided attention, both directions combined",
    "guided": "guided attention, Greek to English",
    "argmax": "the same attention, likeliest word alone",
    "last-layer": "the same model, last layer, all heads averaged",
    "unguided": "unguided twin, last layer, all heads averaged",
    "fairseq": "fairseq's own criterion, the heads that it guides",
}

READ_TUNED = ("both", "guided")
"""Readings whose links are read as the validation verses show best."""

SIZES = {None: MAIN, "quick": QUICK, "thorough": THOROUGH}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Scores in per cent, one line a reading."""
    width = max(len(row["description"]) for row in rows)
    lines = [f"{'links of the test verses read from':<{width}}  precision  recall    AER"]
    for row in rows:
        figures = f"{100 * row['precision']:9.1f}  {100 * row['recall']:6.1f}  {100 * row['aer']:5.1f}"
        lines.append(f"{row['description']:<{width}}  {figures}")
    return "\n".join(lines)


MODULES = {
    "fairseq-train": "fairseq_cli.train",
    "fairseq-generate": "fairseq_cli.generate",
    "fairseq-validate": "fairseq_cli.validate",
    "fairseq-guided-align": "fairseq_guided_align.cli.main",
}


def runnable(command: Sequence[str]) -> list[str]:
    """The command, run by this interpreter: whatever PATH says, it is this environment's."""
    return [sys.executable, "-m", MODULES[command[0]], *command[1:]]


def show(command: Sequence[str]) -> None:
    """Prints a command as one would type it here, an option and its values never on two lines."""
    groups: list[list[str]] = [[command[0]]]
    for word in command[1:]:
        if word.startswith("--"):
            groups.append([])
        groups[-1].append(word.replace(os.getcwd() + os.sep, ""))
    lines = [""]
    for group in map(shlex.join, groups):
        if lines[-1] and len(lines[-1]) + len(group) > 100:
            lines.append("")
        lines[-1] += f" {group}"
    say("      $" + " \\\n         ".join(lines))


def versions() -> dict[str, str]:
    """What else than the settings a training depends on."""
    found = {"fairseq_guided_align": fairseq_guided_align.__version__}
    for name in ("torch", "fairseq", "ve-fairseq"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def workers() -> int:
    return min(os.cpu_count() or 1, 8)


if __name__ == "__main__":
    sys.exit(main())
