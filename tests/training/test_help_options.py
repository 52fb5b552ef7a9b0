"""What ``fairseq-train --help`` says of our options."""

from __future__ import annotations

import dataclasses

import pytest
from fairseq_runs import USER_DIR, run

import fairseq_guided_align

fairseq_guided_align.register()

from fairseq_guided_align.training.help_options import GROUPS  # noqa: E402


@pytest.mark.parametrize("chosen", [[], ["--task", "translation_guided_alignment"]])
def test_help_lists_every_option_with_its_default(chosen: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("train", "--user-dir", USER_DIR, *chosen, "--help")
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "cross-entropy in nats, or mean squared error (default: ce)" in " ".join(text.split())
    for config in GROUPS.values():
        for field in dataclasses.fields(config):
            if field.name.startswith(("guided_alignment_", "alignment_")):
                assert f"--{field.name.replace('_', '-')}" in text
