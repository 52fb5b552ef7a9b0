"""The parts of a run, the most important first: what each starts, and how long it may take."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = ("tests/gpu/test_on_gpu.py", "tests/gpu/test_like_on_gpu.py", "tests/losses/test_cross_entropy_kernel.py")

GREEK = (
    *(f"weight={weight}" for weight in (0.25, 0.5, 2, 4)),
    *("layers=-1", "layers=-1+-2", "heads=all", "heads=all,reduction=each", "weight=1", "weight=0"),
)
GERMAN = tuple(
    f"{setting},updates=1000" for setting in ("weight=0.25", "layers=-1", "weight=4", "weight=1", "weight=0")
)
"""What is guided, and how strongly; what is not yet known comes first."""


@dataclass(frozen=True)
class Part:
    """One command of its own.

    :param name: what the results call it.
    :param command: program and arguments; ``{figures}`` stands for the file that it writes its figures to.
    :param seconds: after so long it is stopped; what it had written by then counts.
    :param gpu_only: it says nothing on a CPU.
    :param alone: nothing else runs beside it, since it measures time. Neighbours that need not be alone run together.
    """

    name: str
    command: Sequence[str]
    seconds: int
    gpu_only: bool = False
    alone: bool = True


def parts(kit: Path, device: str, quick: bool) -> list[Part]:
    """All parts.

    :param kit: the folder that prepare.sh filled.
    :param device: ``cuda`` or ``cpu``.
    :param quick: sizes of no interest, which show that everything works.
    """
    python = sys.executable
    on = ["--device", device]
    data = ["--data", str(kit / "greek-english" / "data-bin"), "--work", "{work}"]

    def tests(*options: str) -> list[str]:
        return [python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--junitxml", "{figures}", *options]

    def benchmark(module: str, *options: str) -> list[str]:
        return [python, "-m", f"benchmarks.{module}", *on, "--json", "{figures}", *options]

    def steps(dtype: str, models: str) -> list[str]:
        if quick:
            sizes = ["--models", "small", "--vocabularies", "512", "--tokens", "64", "--rounds", "3", "--seconds", "0"]
        else:
            sizes = ["--models", models, "--vocabularies", "32768", "--tokens", "16384,4096"]
            sizes += ["--rounds", "30", "--seconds", "6"]
        return benchmark("training", "--dtype", dtype, *sizes)

    def loss(dtype: str) -> list[str]:
        if quick:
            sizes = ["--models", "small", "--vocabularies", "512", "--tokens", "64", "--rounds", "3", "--seconds", "0"]
        else:
            sizes = ["--models", "base", "--vocabularies", "32768", "--tokens", "16384,4096"]
            sizes += ["--chunk-rows", "1024,4096", "--rounds", "15", "--seconds", "3"]
        return benchmark("linear_cross_entropy", "--dtype", dtype, *sizes)

    def translation(name: str, *options: str) -> list[str]:
        sizes = ["--updates", "10", "--longest", "5"] if quick else ["--updates", "1000"]
        return benchmark("gpu.translation", *data, "--name", name, *sizes, *options)

    def quality(corpus: str, settings: Sequence[str], *options: str) -> Part:
        chosen = [word for setting in settings for word in ("--setting", setting)]
        command = benchmark("quality", "--data", str(kit), "--work", "{work}", "--corpus", corpus, *chosen, *options)
        return Part(f"quality, {corpus}", command, 400, gpu_only=True, alone=False)

    decoding = ["--dim", "32", "--layers", "2", "--sentences", "2", "--length", "5", "--repeats", "2"]
    if not quick:
        decoding = ["--dim", "512", "--layers", "6", "--heads", "8", "--sentences", "64", "--repeats", "3"]
    use = [*data, "--name", "float16", *(["--sentences", "24"] if quick else [])]
    two = "test_two_processes"
    # What runs on a CPU is shown elsewhere.
    chosen = f"not {two}" + (" and not cpu and not interpreter" if device == "cuda" else "")

    def together(name: str, command: list[str], gpu_only: bool = False) -> Part:
        return Part(name, command, 170, gpu_only, alone=False)

    def timed(name: str, command: list[str], gpu_only: bool = False) -> Part:
        return Part(name, command, 60, gpu_only)

    others = [quality("english-german", GERMAN, "--jobs", "4")] if (kit / "english-german").is_dir() else []
    return [
        together("tests", tests(*TESTS, "-k", chosen)),
        together("two processes", tests("tests/gpu/test_on_gpu.py", "-k", two)),
        together("Greek to English, float16", translation("float16", "--precision", "fp16")),
        together("Greek to English, bfloat16", translation("bfloat16", "--precision", "bf16")),
        together(
            "Greek to English, float16, no guidance", translation("unguided", "--precision", "fp16", "--unguided"), True
        ),
        quality("greek-english", GREEK, "--jobs", "9"),
        *others,
        timed("steps, float16, base", steps("float16", "base")),
        timed("loss, float16", loss("float16")),
        timed("profile of a step", benchmark("gpu.profiles", *(["--quick"] if quick else []))),
        timed("steps, bfloat16, base", steps("bfloat16", "base"), True),
        timed("extraction", benchmark("gpu.extraction", *use)),
        timed("decoding", benchmark("decoding", *decoding)),
        timed("steps, float16, big", steps("float16", "big"), True),
        timed("loss, bfloat16", loss("bfloat16"), True),
        timed("steps, bfloat16, big", steps("bfloat16", "big"), True),
        timed("choices of the kernel", benchmark("gpu.kernel_choices"), True),
    ]
