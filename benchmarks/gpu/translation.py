"""The Greek-English example's training of one direction: its time, and the links and translations of the test verses.

    python -m benchmarks.gpu.translation --data DATA-BIN --work FOLDER --name NAME [--device cuda]
        [--precision fp16] [--updates 1000] [--unguided] [--json FILE]

The stock commands with the example's settings, each in its own process: fairseq-train; fairseq-guided-align extract
and the error rate (AER) of its links; fairseq-generate with links from the guided heads, scored by sacrebleu.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fairseq_guided_align
from benchmarks.results import write_json
from examples.greek_english.settings import MAIN, SOURCE, TARGET

USER_DIR = str(Path(fairseq_guided_align.__file__).parent)
PRECISIONS = {"fp32": [], "fp16": ["--fp16"], "bf16": ["--bf16"]}
ON_CPU = {**PRECISIONS, "fp16": ["--memory-efficient-fp16"]}
"""fairseq's ``--fp16`` alone needs a GPU."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.translation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_options(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="(default: %(default)s)")
    parser.add_argument("--updates", type=int, default=MAIN.updates, help="(default: %(default)s)")
    parser.add_argument("--unguided", action="store_true", help="train with weight 0")
    parser.add_argument("--longest", type=int, default=200, help="tokens of a translation at most (default: 200)")
    return parser.parse_args(argv)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Options of the parts that share data and checkpoints."""
    parser.add_argument("--data", type=Path, required=True, help="the example's data folder, made by preprocess")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the checkpoints")
    parser.add_argument("--name", required=True, help="folder of this training's checkpoints in --work")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    folder = args.work / args.name
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"precision": args.precision, "updates": args.updates, "guided": not args.unguided}
    for stage in (train, align, translate):
        found.update(stage(args, folder))
        print(json.dumps(found), flush=True)
        if args.json:
            write_json(args.json, found)
    return 0


def train(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of the whole command and of an update at the median, and figures of the last updates."""
    start = time.monotonic()
    log = run(
        "fairseq_cli.train", args.data, "--user-dir", USER_DIR, "--task", "translation_guided_alignment",
        "--source-lang", SOURCE, "--target-lang", TARGET, *MAIN.training("unguided" if args.unguided else "guided"),
        "--max-update", args.updates, "--save-dir", folder, "--no-epoch-checkpoints", "--save-interval", 1000,
        "--validate-interval", 1000, "--log-format", "json", "--log-interval", 10,
        *(["--cpu", *ON_CPU[args.precision]] if args.device == "cpu" else PRECISIONS[args.precision]),
    )  # fmt: skip
    records = [json.loads(line[line.index("{") :]) for line in log.splitlines() if "| train_inner | {" in line]
    valid = [json.loads(line[line.index("{") :]) for line in log.splitlines() if "| valid | {" in line]
    return {
        "training_seconds": round(time.monotonic() - start, 1),
        "updates_a_second": sorted(float(record["ups"]) for record in records)[len(records) // 2],
        "tokens_a_second": sorted(float(record["wps"]) for record in records)[len(records) // 2],
        "last_loss": float(records[-1]["loss"]),
        "validation_nll": float(valid[-1]["valid_nll_loss"]),
    }


def align(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Error rate of the links of the given translations."""
    links, gold = folder / "test.links", args.data / "text" / "test.align"
    attention = "last-layer" if args.unguided else "guided"
    run(
        "fairseq_guided_align.cli.main", "extract", folder / "checkpoint_last.pt", "--data", args.data,
        "--split", "test", "--attention", attention, "--device", args.device, "--output", links,
    )  # fmt: skip
    scores = json.loads(run("fairseq_guided_align.cli.main", "aer", "--json", gold, links))
    return {"aer": scores["systems"][0]["aer"]}


def translate(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """BLEU and chrF of the translations, and how fast they came."""
    import sacrebleu

    log = run(
        "fairseq_cli.generate", args.data, "--user-dir", USER_DIR, "--task", "translation_guided_alignment",
        "--source-lang", SOURCE, "--target-lang", TARGET, "--path", folder / "checkpoint_last.pt",
        "--gen-subset", "test", "--beam", 4, "--max-len-b", args.longest, "--max-tokens", 8000,
        "--remove-bpe", "sentencepiece",
        "--print-alignment", "hard", *(["--fp16"] if args.precision == "fp16" and args.device == "cuda" else []),
        *(["--cpu"] if args.device == "cpu" else []),
    )  # fmt: skip
    lines = dict(line.split("\t", 1) for line in log.splitlines() if re.match(r"[DAT]-\d+\t", line))
    numbers = sorted(int(key[2:]) for key in lines if key.startswith("D-"))
    hypotheses = [lines[f"D-{number}"].partition("\t")[2] for number in numbers]
    references = (args.data / "text" / f"test.{TARGET}").read_text(encoding="utf-8").splitlines()
    if numbers != list(range(len(references))) or not all(f"A-{number}" in lines for number in numbers):
        raise SystemExit(f"expected a translation and its links for {len(references)} verses; got {len(numbers)}")
    rate = re.search(r"Translated .* \(([\d.]+) sentences/s, ([\d.]+) tokens/s\)", log)
    bleu = sacrebleu.metrics.BLEU(tokenize="none")
    return {
        "bleu": bleu.corpus_score(hypotheses, [references]).score,
        "bleu_signature": str(bleu.get_signature()),
        "chrf": sacrebleu.corpus_chrf(hypotheses, [references]).score,
        "translated_a_second": float(rate[1]) if rate else None,
    }


def run(module: str, *arguments: object) -> str:
    """What a command prints, errors included; it goes on to the screen as well."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print("$", " ".join(command), flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)
    print(done.stdout[-20000:], flush=True)
    if done.returncode:
        raise SystemExit(f"{module} failed with exit code {done.returncode}; the reason stands above")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
