"""What a run's figures depend on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional

PACKAGES = ("torch", "triton", "numpy", "ve-fairseq", "fairseq", "sentencepiece", "liger-kernel", "cut-cross-entropy")


def described(device: str) -> dict[str, Any]:
    """Device, driver, versions, number of processors."""
    import torch

    found: dict[str, Any] = {"device": platform.machine(), "driver": None, "cuda": torch.version.cuda}
    if device == "cuda" and torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
        found["devices"] = torch.cuda.device_count()
        found["memory"] = torch.cuda.get_device_properties(0).total_memory
        found["driver"] = _driver()
    versions = {name: _version(name) for name in PACKAGES}
    return {
        **found,
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{name: one for name, one in versions.items() if one is not None},
    }


def _driver() -> Optional[str]:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, encoding="utf-8", check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()[0].strip()


def _version(name: str) -> Optional[str]:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
