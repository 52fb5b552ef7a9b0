"""CTranslate2 gives the guided heads' alignments of converted checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MadeUpData, TrainedModel
from decoding_reference import SlowModels, likeliest
from fairseq_runs import USER_DIR, hydra_train, train

ctranslate2 = pytest.importorskip("ctranslate2")

from ctranslate2.converters import FairseqConverter  # noqa: E402

from fairseq_guided_align.aligning.ctranslate2_models import guided_of, translate  # noqa: E402
from fairseq_guided_align.cli.main import main  # noqa: E402
from fairseq_guided_align.errors import GuidedAlignError  # noqa: E402


def translator(folder: Path) -> Any:
    return ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=1)


def sentences(made_up: MadeUpData) -> list[list[str]]:
    lines = (made_up.text / "test.src").read_text(encoding="utf-8").splitlines()[:12]
    return [line.split() for line in lines]


def test_the_stock_converter_finds_the_first_head(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``--user_dir``; one sentence at a time, see ``ctranslate2_models.translate``."""
    from ctranslate2.converters import fairseq as converter

    command = ["--model_path", trained.checkpoint, "--data_dir", made_up.binarised, "--output_dir", tmp_path / "ct2"]
    monkeypatch.setattr(sys, "argv", ["ct2-fairseq-converter", *map(str, command), "--user_dir", USER_DIR])
    converter.main()
    slow = SlowModels([trained.checkpoint])
    source = sentences(made_up)
    results = translator(tmp_path / "ct2").translate_batch(
        source, beam_size=3, max_batch_size=1, max_decoding_length=20, return_attention=True
    )
    for words, result in zip(source, results):
        matrix = slow.matrix(words, result.hypotheses[0])
        np.testing.assert_allclose(np.array(result.attention[0]), matrix[:-1, :-1], atol=1e-5)


@pytest.mark.parametrize("position", ["same", "next"])
def test_other_heads_are_moved_to_the_front(made_up: MadeUpData, tmp_path: Path, position: str) -> None:
    train(
        made_up.binarised, tmp_path, "--disable-validation", "--guided-alignment-layers", 0,
        "--guided-alignment-heads", "1,3", "--decoder-attention-heads", 4, "--encoder-attention-heads", 4,
        "--guided-alignment-position", position, "--guided-alignment-unlinked", "eos", "--lr", 0.01, updates=60,
    )  # fmt: skip
    checkpoint, folder = tmp_path / "checkpoint_last.pt", tmp_path / "ct2"
    assert main(["ctranslate2", str(checkpoint), str(made_up.binarised), str(folder)]) == 0
    guided = guided_of(str(folder))
    slow = SlowModels([checkpoint], layers=(0,), heads=(1, 3), position=position)
    source = sentences(made_up)
    options: dict[str, Any] = {"beam_size": 3, "num_hypotheses": 2}
    found = translate(translator(folder), guided, source, max_decoding_length=20, **options)
    # Heads that changed places change no translation.
    stock = FairseqConverter(str(checkpoint), str(made_up.binarised), user_dir=USER_DIR)
    stock.convert(str(tmp_path / "stock"))
    unmoved = translator(tmp_path / "stock").translate_batch(source, max_decoding_length=20, **options)
    assert [[one.pieces for one in hypotheses] for hypotheses in found] == [one.hypotheses for one in unmoved]
    for words, hypotheses in zip(source, found):
        assert len(hypotheses) == 2
        for one in hypotheses:
            matrix = slow.matrix(words, one.pieces)
            # of a hypothesis that was cut at 20 pieces, the row after the last was never computed
            known = len(one.pieces) - (position == "next" and len(one.pieces) == 20)
            np.testing.assert_allclose(one.attention[:known], matrix[:known], atol=1e-5)
            if len(one.pieces) < 20:
                assert one.links.pairs() == likeliest(matrix, "eos")


def test_one_of_several_language_pairs(made_up: MadeUpData, tmp_path: Path, capsys: Any) -> None:
    arguments = [
        "--task", "multilingual_translation_guided_alignment", "--lang-pairs", "src-tgt,tgt-src", "--criterion",
        "guided_alignment_ce", "--arch", "multilingual_transformer", "--guided-alignment-heads", 1, "--lr", 0.01,
        "--guided-alignment-layers=-1",
    ]  # fmt: skip
    train(made_up.binarised, tmp_path, *arguments, "--disable-validation", "--no-epoch-checkpoints", updates=40)
    checkpoint, folder = tmp_path / "checkpoint_last.pt", tmp_path / "ct2"
    command = ["ctranslate2", str(checkpoint), str(made_up.binarised), str(folder)]
    assert main(command) == 2
    assert "of the language pairs src-tgt, tgt-src; choose one of them with --lang-pair" in capsys.readouterr().err
    assert main([*command, "--lang-pair", "src-tgt"]) == 0
    slow = SlowModels([checkpoint], heads=(1,), lang_pair="src-tgt")
    source = sentences(made_up)
    found = translate(translator(folder), guided_of(str(folder)), source, max_decoding_length=20, beam_size=3)
    for words, (best,) in zip(source, found):
        matrix = slow.matrix(words, best.pieces)
        np.testing.assert_allclose(best.attention, matrix[:-1], atol=1e-5)


def test_a_model_of_fairseq_hydra_train(made_up: MadeUpData, tmp_path: Path) -> None:
    """Its settings are kept in groups, which the stock converter cannot read."""
    choice = [
        "+criterion.guided_alignment_layers='-1'", "+criterion.guided_alignment_heads='1'",
        "+criterion.guided_alignment_position=next",
    ]  # fmt: skip
    hydra_train(made_up.binarised, tmp_path, *choice, "optimization.lr=[0.01]", updates=40)
    checkpoint, folder = tmp_path / "checkpoint_last.pt", tmp_path / "ct2"
    assert main(["ctranslate2", str(checkpoint), str(made_up.binarised), str(folder)]) == 0
    slow = SlowModels([checkpoint], heads=(1,), position="next")
    source = sentences(made_up)[:4]
    found = translate(translator(folder), guided_of(str(folder)), source, max_decoding_length=20, beam_size=3)
    for words, (best,) in zip(source, found):
        known = len(best.pieces) - (len(best.pieces) == 20)
        np.testing.assert_allclose(best.attention[:known], slow.matrix(words, best.pieces)[:known], atol=1e-5)


def test_what_ctranslate2_refuses_is_told(
    made_up: MadeUpData, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    for options, message in (
        (["there"], "there already exists, use --force"),
        (["new", "--quantization", "int3"], "int3 is not a valid quantization type"),
    ):
        folder = str(tmp_path / options[0])
        assert main(["ctranslate2", str(trained.checkpoint), str(made_up.binarised), folder, *options[1:]]) == 2
        told = capsys.readouterr().err
        assert f"{trained.checkpoint}: CTranslate2 does not convert it: " in told
        assert message in told


def test_heads_of_two_layers_are_refused(
    made_up: MadeUpData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(made_up.binarised, tmp_path, "--disable-validation", "--guided-alignment-layers", "all", updates=1)
    checkpoint = tmp_path / "checkpoint_last.pt"
    assert main(["ctranslate2", str(checkpoint), str(made_up.binarised), str(tmp_path / "ct2")]) == 2
    assert "heads of the layers 0, 1 were guided, and CTranslate2 returns" in capsys.readouterr().err
    assert not (tmp_path / "ct2").exists()


def test_a_folder_of_another_converter_is_told(tmp_path: Path) -> None:
    with pytest.raises(GuidedAlignError, match="expected what was guided"):
        guided_of(str(tmp_path))
