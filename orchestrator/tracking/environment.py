"""What a search ran on: versions, machine, commit. Read without importing any framework."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = ("igcv-search", "mlflow", "numpy", "optuna", "ray", "torch", "torchvision")


def environment() -> Mapping[str, str]:
    """Names and values as they become tags `environment.…`; what cannot be found out is left out."""
    memory_gib = psutil.virtual_memory().total / 2**30
    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": str(os.cpu_count() or ""),
        "memory_gib": f"{memory_gib:.1f}",
        "gpus": _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").replace("\n", ", "),
        "commit": _commit(),
    }
    return {name: value for name, value in (facts | _versions()).items() if value}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    """The commit of the program's source tree, marked where files differ from it; empty for an installed wheel."""
    here = str(Path(__file__).parent)
    if not _output("git", "-C", here, "ls-files", "--error-unmatch", __file__):
        return ""
    commit = _output("git", "-C", here, "rev-parse", "HEAD")
    return commit + "-dirty" if commit and _output("git", "-C", here, "status", "--porcelain", "-uno") else commit


def _output(*command: str) -> str:
    """What a command prints; nothing where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
