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


class Data(NamedTuple):
    """A data folder made by ``preprocess``, with gold links for `valid` and `test` in its folder ``text``."""

    folder: Path
    source: str
    target: str


def measure(setting: Setting, data: Data, work: Path, split: str, both: bool, device: str) -> dict[str, Any]:
    """Train and score, or read what an earlier run has found.

    :param work: folder of the training's checkpoints, logs and figures; a training that was stopped goes on there.
    :param split: ``valid``, or ``test`` where all choices have been made.
    :param both: also train the other direction with the same setting, and read both together.
    :param device: ``cpu`` or ``cuda``, for training and translation; links are read on a GPU if there is one.
    :return: AER from 0 to 1, nll in bits a token of the validation text, BLEU and chrF from 0 to 100.
    """
    done = figures_file(work, split, both)
    if done.exists():
        return json.loads(done.read_text(encoding="utf-8"))
    work.mkdir(parents=True, exist_ok=True)
    found = {
        **_train(setting, data, work / "forward", device),
        **_align(setting, data, work, split),
        **_translate(data, work / "forward", split, device),
    }
    if both:
        _train(setting, Data(data.folder, data.target, data.source), work / "reverse", device)
        found.update(_align_both(data, work, split))
    write_json(done, found)
    return found


def figures_file(work: Path, split: str, both: bool) -> Path:
    """Where a training's figures are, once it is done and scored."""
    return work / f"{split}{'-both' if both else ''}.json"


def _train(setting: Setting, data: Data, folder: Path, device: str) -> dict[str, Any]:
    log = folder / "train.log"
    if not (folder / "trained").exists():
        folder.mkdir(exist_ok=True)
        run(
            log, "fairseq_cli.train", data.folder, "--user-dir", USER_DIR, "--task", "translation_guided_alignment",
            "--source-lang", data.source, "--target-lang", data.target, *setting.options(), "--save-dir", folder,
            "--no-epoch-checkpoints", "--keep-interval-updates", 1, "--save-interval-updates", 200,
            "--validate-interval", 1000, "--save-interval", 1000, "--validate-interval-updates", setting.updates,
            "--log-format", "json", "--log-interval", 10, "--num-workers", 0, *_on(device),
        )  # fmt: skip
        (folder / "trained").touch()
    text = log.read_text(encoding="utf-8")
    rates = sorted(float(rate) for rate in re.findall(r'train_inner \| .*"ups": "([\d.]+)"', text))
    nll = re.findall(r'"valid_nll_loss": "([\d.]+)"', text)
    return {"nll": float(nll[-1]), "updates_a_second": rates[len(rates) // 2]}


def _align(setting: Setting, data: Data, work: Path, split: str) -> dict[str, Any]:
    attention = ("--attention", "guided" if setting.weight else "last-layer")
    links = work / f"{split}.links"
    _extract(data, work, split, *attention, "--method", "argmax", "--output", links)
    return {"aer": _aer(data, split, links), "aer_tuned": _aer_tuned(data, work, split, *attention)}


def _align_both(data: Data, work: Path, split: str) -> dict[str, Any]:
    return {"aer_both": _aer_tuned(data, work, split, "--reverse-checkpoint", work / "reverse" / "checkpoint_last.pt")}


def _aer_tuned(data: Data, work: Path, split: str, *options: object) -> float:
    """AER of links that are read as learnt from ``valid``. Of ``valid`` itself, each half as learnt from the other."""
    gold = data.folder / "text" / "valid.align"
    printed = _extract(data, work, "valid", *options, "--tune", gold)
    if split == "valid":
        return float(printed.split()[-1]) / 100
    links = work / f"{split}.tuned.links"
    _extract(data, work, split, *options, "--method", "tuned", "--output", links)
    return _aer(data, split, links)


def _extract(data: Data, work: Path, split: str, *options: object) -> str:
    return run(
        work / "extract.log", "fairseq_guided_align.cli.main", "extract", work / "forward" / "checkpoint_last.pt",
        "--data", data.folder, "--split", split, *options,
    )  # fmt: skip


def _aer(data: Data, split: str, links: Path) -> float:
    gold = data.folder / "text" / f"{split}.align"
    scores = json.loads(run(None, "fairseq_guided_align.cli.main", "aer", "--json", gold, links))
    return float(scores["systems"][0]["aer"])


def _translate(data: Data, folder: Path, split: str, device: str) -> dict[str, Any]:
    printed = run(
        folder / "generate.log", "fairseq_cli.generate", data.folder, "--user-dir", USER_DIR,
        "--task", "translation_guided_alignment", "--source-lang", data.source, "--target-lang", data.target,
        "--path", folder / "checkpoint_last.pt", "--gen-subset", split, "--beam", 4,
        "--max-len-a", 2, "--max-len-b", 20,
        "--max-tokens", 8000, "--remove-bpe", "sentencepiece", "--num-workers", 0, *_on(device),
    )  # fmt: skip
    found = dict(re.findall(r"^D-(\d+)\t[^\t]*\t(.*)$", printed, re.MULTILINE))
    references = (data.folder / "text" / f"{split}.{data.target}").read_text(encoding="utf-8").splitlines()
    if len(found) != len(references):
        raise SystemExit(f"{folder}: expected {len(references)} translations; got {len(found)}")
    translations = [found[str(number)] for number in range(len(references))]
    # The text is in words already.
    bleu = sacrebleu.metrics.BLEU(tokenize="none", force=True)
    return {
        "bleu": bleu.corpus_score(translations, [references]).score,
        "chrf": sacrebleu.corpus_chrf(translations, [references]).score,
        "bleu_signature": str(bleu.get_signature()),
    }


def _on(device: str) -> list[str]:
    """Options of fairseq's own commands."""
    return ["--cpu"] if device == "cpu" else []


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
