"""What a run's figures depend on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("torch", "triton", "numpy", "ve-fairseq", "fairseq", "sentencepiece", "liger-kernel", "cut-cross-entropy")


def described(device: str) -> dict[str, Any]:
    """Device, driver, versions, number of processors, and the checkout's commit where git can tell."""
    import torch

    found: dict[str, Any] = {"device": platform.machine(), "driver": None, "cuda": torch.version.cuda}
    if device == "cuda" and torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
        found["devices"] = torch.cuda.device_count()
        found["memory"] = torch.cuda.get_device_properties(0).total_memory
        found["driver"] = _printed(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"])
    versions = {name: _version(name) for name in PACKAGES}
    return {
        **found,
        "commit": _printed(["git", "rev-parse", "--short", "HEAD"]),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{name: one for name, one in versions.items() if one is not None},
    }


def _printed(command: Sequence[str]) -> str | None:
    """First line of what a command prints; None where there is no such command, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
