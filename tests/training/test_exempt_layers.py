"""Guided layers with --checkpoint-activations and --decoder-layerdrop: the same gradients, and the others' saving."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from conftest import MadeUpData
from fairseq_runs import GUIDED, USER_DIR, of_logger, run, train
from stand_in import criterion

from fairseq_guided_align.cli.main import main

LAYERS = 3
DROP = 0.4


def counted(model: Any) -> Counter[tuple[str, int]]:
    """How often each layer runs from now on; a layer whose activations were not kept runs again for its gradients."""
    runs: Counter[tuple[str, int]] = Counter()
    for side in ("encoder", "decoder"):
        layers = getattr(model, side).layers
        for i in range(len(layers)):

            def count(module: Any, args: Any, key: tuple[str, int] = (side, i)) -> None:
                runs[key] += 1

            layers[i].final_layer_norm.register_forward_pre_hook(count)
    return runs


def gradients(model: Any, **options: Any) -> tuple[dict[str, torch.Tensor | None], int]:
    """Gradients of a batch's loss by name, and the bytes that were kept for them."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    guided = criterion(tiny_models.task(), guided_alignment_weight=0.5, **options)
    sample = tiny_models.sample()
    torch.manual_seed(7)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = guided(model, sample)[0]
    loss.backward()
    return {name: value.grad for name, value in model.named_parameters()}, sum(kept.values())


def same(ours: dict[str, torch.Tensor | None], wanted: dict[str, torch.Tensor | None]) -> None:
    """But for the rounding of float64: the order of sums over layers is another one."""
    assert ours.keys() == wanted.keys()
    for name, gradient in wanted.items():
        other = ours[name]
        assert (gradient is None) == (other is None), name
        if gradient is not None:
            assert gradient.dtype == torch.float64
            torch.testing.assert_close(other, gradient, rtol=1e-11, atol=1e-13)


CHECKPOINTED = {"checkpoint_activations": True}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("transformer", {}),
    ("transformer", {"offload_activations": True}),
    ("transformer_align", {"full_context_alignment": True, "alignment_layer": 1}),
]


@pytest.mark.parametrize(("layers", "guided"), [("-2", {1}), ("0,-1", {0, 2}), ("all", {0, 1, 2})])
def test_gradients_are_those_without_checkpointing(layers: str, guided: set[int]) -> None:
    for arch, options in KINDS:
        for dropout in (0.0, 0.3):
            makers = {**options, "dropout": dropout, "attention_dropout": dropout}
            plain = tiny_models.model(arch, **makers).double()
            checkpointed = tiny_models.model(arch, **makers, **CHECKPOINTED).double()
            runs = counted(checkpointed)
            wanted, all_bytes = gradients(plain, guided_alignment_layers=layers)
            ours, kept_bytes = gradients(checkpointed, guided_alignment_layers=layers)
            same(ours, wanted)
            assert any(gradient.any() for name, gradient in ours.items() if "encoder_attn.k_proj.weight" in name)
            assert runs[("encoder", 0)] == 2
            for layer in range(LAYERS):
                again = layer not in guided
                wanted_runs = 1 + again
                if arch == "transformer_align":
                    # The second pass of the decoder is for its attention: nothing follows from later layers.
                    wanted_runs += 1 + (again and layer < max(guided))
                assert runs[("decoder", layer)] == wanted_runs, (arch, layer)
            if "offload_activations" not in options:
                assert kept_bytes < all_bytes


def test_more_layers_that_are_not_guided_save_more() -> None:
    kept = [
        gradients(tiny_models.model(**CHECKPOINTED), guided_alignment_layers=layers)[1]
        for layers in ("1", "0,1", "all")
    ]
    assert kept[0] < kept[1] < kept[2]


def test_a_guided_layer_always_runs_and_the_others_are_dropped_as_often_as_before() -> None:
    batches = 200
    sample = tiny_models.sample()
    runs = {}
    for name, weight in (("guided", 0.05), ("stock", 0.0)):
        model = tiny_models.model(decoder_layerdrop=DROP)
        guided = criterion(tiny_models.task(), guided_alignment_weight=weight)
        runs[name] = counted(model)
        torch.manual_seed(3)
        with torch.no_grad():
            for _ in range(batches):
                guided(model, sample)
    assert runs["guided"][("decoder", 1)] == batches
    for layer in (0, 2):
        # As often, because the same are dropped; and that is at the rate that was asked for.
        assert runs["guided"][("decoder", layer)] == runs["stock"][("decoder", layer)]
    deviation = (batches * DROP * (1 - DROP)) ** 0.5
    for layer in range(LAYERS):
        assert abs(runs["stock"][("decoder", layer)] - batches * (1 - DROP)) < 4 * deviation


def test_every_layer_runs_outside_of_training() -> None:
    model = tiny_models.model(decoder_layerdrop=0.99)
    guided = criterion(tiny_models.task())
    gradients(model)
    runs = counted(model)
    model.eval()
    guided(model, tiny_models.sample())
    assert [runs[("decoder", layer)] for layer in range(LAYERS)] == [1, 1, 1]


@pytest.mark.parametrize("checkpointed", [False, True])
def test_gradients_with_dropped_layers_are_those_of_a_model_without_them(checkpointed: bool) -> None:
    """Under seeds that drop each of the four sets of layers that are not guided."""
    seen = set()
    for seed in range(20):
        model = tiny_models.model(decoder_layerdrop=0.5, checkpoint_activations=checkpointed).double()
        guided = criterion(tiny_models.task(), guided_alignment_layers="1", guided_alignment_weight=0.5)
        runs = counted(model)
        sample = tiny_models.sample()
        torch.manual_seed(seed)
        guided(model, sample)[0].backward()
        ran = tuple(layer for layer in range(LAYERS) if runs[("decoder", layer)])
        if ran in seen:
            continue
        seen.add(ran)
        shorter = tiny_models.model().double()
        names = {id(value): name for name, value in shorter.named_parameters()}
        shorter.decoder.layers = torch.nn.ModuleList(shorter.decoder.layers[layer] for layer in ran)
        reference = criterion(
            tiny_models.task(), guided_alignment_layers=str(ran.index(1)), guided_alignment_weight=0.5
        )
        reference(shorter, sample)[0].backward()
        wanted = {names[id(value)]: value.grad for value in shorter.parameters()}
        ours = {name: value.grad for name, value in model.named_parameters()}
        same({name: ours[name] for name in wanted}, wanted)
        assert all(ours[name] is None for name in set(ours) - set(wanted))
    assert seen == {(1,), (0, 1), (1, 2), (0, 1, 2)}


def test_the_log_says_what_is_exempt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="fairseq_guided_align.training.exempt_layers")
    both = {"decoder_layerdrop": 0.1, **CHECKPOINTED}
    guided = criterion(tiny_models.task())
    model = tiny_models.model(**both)
    guided.prepare(model)
    guided.prepare(model)
    criterion(tiny_models.task(), guided_alignment_layers="all").prepare(tiny_models.model(**CHECKPOINTED))
    criterion(tiny_models.task()).prepare(tiny_models.model())
    criterion(tiny_models.task(), guided_alignment_weight=0.0).prepare(tiny_models.model(**both))
    assert caplog.messages == [
        "guided decoder layers are exempt from --checkpoint-activations and --decoder-layerdrop: 1",
        "guided decoder layers are exempt from --checkpoint-activations: 0, 1, 2 (all of them, so nothing is saved "
        "in the decoder)",
    ]


SAVING = ["--checkpoint-activations", "--decoder-layerdrop", "0.5", "--encoder-layerdrop", "0.2"]


def test_all_pairs_of_languages(made_up: MadeUpData, tmp_path: Path) -> None:
    """Each pair has a decoder of its own; one whose guided layer is dropped or checkpointed stops the training."""
    log = train(
        made_up.binarised, tmp_path, "--task", "multilingual_translation_guided_alignment", *GUIDED[2:], "--arch",
        "multilingual_transformer", "--lang-pairs", "src-tgt,tgt-src", *SAVING, "--no-save", updates=8,
    )  # fmt: skip
    inner = of_logger(log, "train_inner")
    assert len(inner) == 8
    assert all(float(record[f"{pair}:alignment_loss"]) > 0 for record in inner for pair in ("src-tgt", "tgt-src"))


def test_commands_read_such_a_checkpoint_as_any_other(made_up: MadeUpData, tmp_path: Path, capsys: Any) -> None:
    """The same weights in a checkpoint whose model was made without the options give the same output."""
    train(made_up.binarised, tmp_path, *SAVING, "--offload-activations", "--disable-validation", updates=6)
    checkpoint, plain = tmp_path / "checkpoint_last.pt", tmp_path / "plain.pt"
    state = torch.load(checkpoint, map_location="cpu")
    model = state["cfg"]["model"]
    assert (model.checkpoint_activations, model.decoder_layerdrop) == (True, 0.5)
    model.checkpoint_activations = model.offload_activations = False
    model.decoder_layerdrop = model.encoder_layerdrop = 0.0
    torch.save(state, plain)
    source, target = (str(made_up.text / f"test.{side}") for side in ("src", "tgt"))

    printed: dict[str, list[str]] = {}
    for path in (checkpoint, plain):
        links = tmp_path / f"{path.stem}.align"
        assert main([
            "extract", str(path), "--source", source, "--target", target, "--subwords", "words", "--device", "cpu",
            "--output", str(links),
        ]) == 0  # fmt: skip
        capsys.readouterr()
        run(
            "generate", made_up.binarised, "--user-dir", USER_DIR, *GUIDED[:2], "--path", path, "--cpu",
            "--num-workers", 0, "--print-alignment", "hard", "--beam", 2, "--max-len-b", 20,
        )  # fmt: skip
        lines = [line for line in capsys.readouterr().out.splitlines() if line[:2] in ("H-", "A-")]
        assert any(line.startswith("A-") for line in lines)
        printed[path.stem] = [*links.read_text(encoding="utf-8").splitlines(), *lines]
    assert printed["plain"] == printed["checkpoint_last"]


def test_ctranslate2_converts_such_a_checkpoint(made_up: MadeUpData, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    train(made_up.binarised, tmp_path, *SAVING, "--disable-validation", updates=1)
    checkpoint = str(tmp_path / "checkpoint_last.pt")
    assert main(["ctranslate2", checkpoint, str(made_up.binarised), str(tmp_path / "ct2")]) == 0
