"""Scores of translations: BLEU, chrF and their intervals out of sacrebleu, nll out of fairseq's log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SAMPLES = 1000
"""Bootstrap samples of an interval."""


def translations(printed: str, count: int) -> list[str]:
    """The best translation of each sentence, in the order of the text, out of what ``fairseq-generate`` prints.

    :raises ValueError: one of the ``count`` sentences has none.
    """
    found = dict(re.findall(r"^D-(\d+)\t[^\t]*\t(.*)$", printed, re.MULTILINE))
    missing = [number for number in range(count) if str(number) not in found]
    if missing:
        raise ValueError(f"expected translations of {count} sentences; none of sentence {missing[0] + 1}")
    return [found[str(number)] for number in range(count)]


def nll_of(log: str, split: str) -> float:
    """Negative log-likelihood in bits a token, out of what ``fairseq-validate --log-format json`` prints.

    :raises ValueError: it is not there.
    """
    for line in log.splitlines():
        if f'"{split}_nll_loss"' in line:
            return float(json.loads(line[line.index("{") :])[f"{split}_nll_loss"])
    raise ValueError(f"expected {split}_nll_loss in the log; it is not there")


def scores(found: Mapping[str, Sequence[str]], reference: Path) -> list[dict[str, Any]]:
    """BLEU and chrF of each system, from 0 to 100, with 95 % intervals (paired bootstrap, Koehn 2004, by sacrebleu).

    :param found: translations by the name of the system.
    :param reference: one sentence a line, in words, which BLEU counts as they are (``tokenize none``).
    """
    from sacrebleu.metrics import BLEU, CHRF

    references = [reference.read_text(encoding="utf-8").splitlines()]
    rows = []
    # The text is in words already, which sacrebleu would warn of.
    for name, lines in found.items():
        row: dict[str, Any] = {"name": name}
        for key, metric in (("bleu", BLEU(tokenize="none", force=True)), ("chrf", CHRF())):
            score = metric.corpus_score(lines, references, n_bootstrap=SAMPLES)
            row[key] = float(score.score)
            row[f"{key}_interval"] = [float(score._mean - score._ci), float(score._mean + score._ci)]
            row[f"{key}_signature"] = str(metric.get_signature())
        rows.append(row)
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """BLEU and chrF with their intervals, and nll, one line a system."""
    title = "translations of the test verses by"
    width = max(len(title), *(len(DESCRIPTIONS[row["name"]]) for row in rows))
    lines = [f"{title:<{width}}  {'BLEU':>17}  {'chrF':>17}    nll"]
    for row in rows:
        cells = ["{:4.1f} [{:4.1f}, {:4.1f}]".format(row[key], *row[f"{key}_interval"]) for key in ("bleu", "chrf")]
        lines.append(f"{DESCRIPTIONS[row['name']]:<{width}}  {cells[0]:>17}  {cells[1]:>17}  {row['nll']:5.2f}")
    return "\n".join(lines)


DESCRIPTIONS = {
    "guided": "the guided model",
    "unguided": "the unguided twin",
    "fairseq": "fairseq's own criterion, transformer_align",
}
