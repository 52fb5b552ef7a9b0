"""Seconds and peak memory of functions that take turns."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.training.counting import CountedMemory


@dataclass
class Measured:
    """Figures of one function.

    :param seconds: of each turn.
    :param peak: bytes in use at the peak of a turn, above what was in use before it; None where it cannot be read.
    """

    seconds: list[float] = field(default_factory=list)
    peak: int | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, base: Measured) -> tuple[float, float, float]:
        """Median of the ratios turn by turn, with the lower and upper quartile."""
        ratios = sorted(one / other for one, other in zip(self.seconds, base.seconds))
        if len(ratios) < 2:
            return ratios[0], ratios[0], ratios[0]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return middle, low, high


def measure(cases: Mapping[str, Callable[[], object]], device: str, rounds: int, seconds: float) -> dict[str, Measured]:
    """Run every case once for its memory, then all of them in turn.

    :param rounds: turns at most; the first is not counted.
    :param seconds: no further turn begins after so long, but there are three at least.
    """
    found = {name: Measured(peak=peak_memory(case, device)) for name, case in cases.items()}
    end = time.perf_counter() + seconds
    for turn in range(rounds):
        if turn >= 3 and time.perf_counter() > end:
            break
        for name, case in cases.items():
            found[name].seconds.append(_seconds(case, device))
    return found


def _seconds(case: Callable[[], object], device: str) -> float:
    _finish(device)
    start = time.perf_counter()
    case()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def waits_for_gpu(step: Callable[[], object]) -> list[str]:
    """Lines of Python at which a step makes the host wait for the GPU, one entry each time."""
    step()  # Memory and cuBLAS' set-up come first
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return [f"{one.filename}:{one.lineno}" for one in found if "synchronizing CUDA operation" in str(one.message)]


def peak_memory(case: Callable[[], object], device: str) -> int | None:
    """Bytes: from torch's allocator on a GPU; the growth of the resident memory on Linux; elsewhere None.

    Resident memory counts whatever the matrix products need for themselves, too. On the device "meta", whose tensors
    have no values, the sizes of tensors are added up.
    """
    if device == "meta":
        case()  # Leaves behind what is there from now on, such as Adam's averages
        with CountedMemory() as counted:
            case()
        return counted.peak
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        case()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    gc.collect()
    # Else, memory that was freed but not given back would hide what the case takes
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _status("VmRSS")
    reset.write_text("5")
    case()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(key)


def available_memory(device: str) -> int:
    """Bytes that can still be had."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise LookupError("MemAvailable")


def figures(measured: Mapping[str, Measured], base_name: str, standing: int = 0) -> dict[str, dict[str, Any]]:
    """Medians, and ratios to one case's, where it was measured.

    :param standing: bytes that are there all the time and count as well.
    """
    found: dict[str, dict[str, Any]] = {}
    base = measured.get(base_name)
    for name, one in measured.items():
        found[name] = {
            "seconds": one.median,
            "fastest": min(one.seconds),
            "slowest": max(one.seconds),
            "turns": len(one.seconds),
            "bytes": None if one.peak is None else one.peak + standing,
        }
        if base is not None:
            ratio, low, high = one.ratio(base)
            found[name].update(ratio=ratio, quartiles=[low, high])
            if one.peak is not None and base.peak is not None:
                found[name]["memory_ratio"] = (one.peak + standing) / (base.peak + standing)
    return found


def machine(device: str, dtype: str) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "dtype": dtype,
        "torch": torch.__version__,
    }
