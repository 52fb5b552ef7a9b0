"""One training and its figures, by the stock commands, each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import sacrebleu

import fairseq_guided_align
from benchmarks.quality.settings import Setting
from benchmarks.results import write_json

USER_DIR = str(Path(fairseq_guided_align.__file__).parent)
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6)


class Data(NamedTuple):
    """A data folder made by ``preprocess``, with gold links for `valid` and `test` in its folder ``text``."""

    folder: Path
    source: str
    target: str


def measure(setting: Setting, data: Data, work: Path, split: str, both: bool) -> dict[str, Any]:
    """Train and score, or read what an earlier run has found.

    :param work: folder of the training's checkpoints, logs and figures; a training that was stopped goes on there.
    :param split: ``valid``, or ``test`` where all choices have been made.
    :param both: also train the other direction with the same setting, and read both together.
    :return: AER from 0 to 1, nll in bits a token of the validation text, BLEU and chrF from 0 to 100.
    """
    work.mkdir(parents=True, exist_ok=True)
    done = work / f"{split}{'-both' if both else ''}.json"
    if done.exists():
        return json.loads(done.read_text(encoding="utf-8"))
    found = {
        **_train(setting, data, work / "forward"),
        **_align(setting, data, work, split),
        **_translate(data, work / "forward", split),
    }
    if both:
        _train(setting, Data(data.folder, data.target, data.source), work / "reverse")
        found.update(_align_both(data, work, split))
    write_json(done, found)
    return found


def _train(setting: Setting, data: Data, folder: Path) -> dict[str, Any]:
    log = folder / "train.log"
    if not (folder / "trained").exists():
        folder.mkdir(exist_ok=True)
        run(
            log, "fairseq_cli.train", data.folder, "--user-dir", USER_DIR, "--task", "translation_guided_alignment",
            "--source-lang", data.source, "--target-lang", data.target, *setting.options(), "--save-dir", folder,
            "--no-epoch-checkpoints", "--keep-interval-updates", 1, "--save-interval-updates", 200,
            "--validate-interval", 1000, "--save-interval", 1000, "--validate-interval-updates", setting.updates,
            "--log-format", "json", "--log-interval", 10, "--cpu", "--num-workers", 0,
        )  # fmt: skip
        (folder / "trained").touch()
    text = log.read_text(encoding="utf-8")
    rates = sorted(float(rate) for rate in re.findall(r'train_inner \| .*"ups": "([\d.]+)"', text))
    nll = re.findall(r'"valid_nll_loss": "([\d.]+)"', text)
    return {"nll": float(nll[-1]), "updates_a_second": rates[len(rates) // 2]}


def _align(setting: Setting, data: Data, work: Path, split: str) -> dict[str, Any]:
    attention = "guided" if setting.weight else "last-layer"
    links = work / f"{split}.links"
    _extract(data, work, split, links, "--attention", attention)
    return {"aer": _aer(data, split, links)}


def _align_both(data: Data, work: Path, split: str) -> dict[str, Any]:
    """AER of both directions, read together at several thresholds."""
    found = {}
    for threshold in THRESHOLDS:
        links = work / f"{split}.both-{threshold}.links"
        reverse = work / "reverse" / "checkpoint_last.pt"
        _extract(
            data, work, split, links, "--reverse-checkpoint", reverse, "--method", "threshold",
            "--threshold", threshold,
        )  # fmt: skip
        found[str(threshold)] = _aer(data, split, links)
    return {"aer_both": found}


def _extract(data: Data, work: Path, split: str, links: Path, *options: object) -> None:
    run(
        work / "extract.log", "fairseq_guided_align.cli.main", "extract", work / "forward" / "checkpoint_last.pt",
        "--data", data.folder, "--split", split, "--output", links, *options,
    )  # fmt: skip


def _aer(data: Data, split: str, links: Path) -> float:
    gold = data.folder / "text" / f"{split}.align"
    scores = json.loads(run(None, "fairseq_guided_align.cli.main", "aer", "--json", gold, links))
    return float(scores["systems"][0]["aer"])


def _translate(data: Data, folder: Path, split: str) -> dict[str, Any]:
    printed = run(
        folder / "generate.log", "fairseq_cli.generate", data.folder, "--user-dir", USER_DIR,
        "--task", "translation_guided_alignment", "--source-lang", data.source, "--target-lang", data.target,
        "--path", folder / "checkpoint_last.pt", "--gen-subset", split, "--beam", 4,
        "--max-len-a", 2, "--max-len-b", 20,
        "--max-tokens", 8000, "--remove-bpe", "sentencepiece", "--cpu", "--num-workers", 0,
    )  # fmt: skip
    found = dict(re.findall(r"^D-(\d+)\t[^\t]*\t(.*)$", printed, re.MULTILINE))
    references = (data.folder / "text" / f"{split}.{data.target}").read_text(encoding="utf-8").splitlines()
    if len(found) != len(references):
        raise SystemExit(f"{folder}: expected {len(references)} translations; got {len(found)}")
    translations = [found[str(number)] for number in range(len(references))]
    # The text is in words already.
    bleu = sacrebleu.metrics.BLEU(tokenize="none")
    return {
        "bleu": bleu.corpus_score(translations, [references]).score,
        "chrf": sacrebleu.corpus_chrf(translations, [references]).score,
        "bleu_signature": str(bleu.get_signature()),
    }


def run(log: Path | None, module: str, *arguments: object) -> str:
    """What a command prints; all of it is added to `log`."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if log:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(" ".join(command) + "\n" + done.stdout + done.stderr)
    if done.returncode:
        raise SystemExit(f"{module} failed with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout
