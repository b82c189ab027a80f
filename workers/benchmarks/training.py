"""Images per second of our trainer, as a ratio to a loop written by hand on the same network, run in turn.

The network has 25,354 parameters (channel-wise 3x3, two group 1x1 with shuffles, three stages of two blocks), batches of
128 random 32 x 32 images, crops and flips. Each run is a process of its own and leaves its first five steps out. The peer
runs in a clean environment, and once more in our workers' (the same allocator). Between it and ours stand the parts,
one after the other: data path (resident images, augmented as a batch), layout, form, native kernels.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch

from workers.allocator import worker_environment
from workers.benchmarks.bounds import bounds
from workers.benchmarks.by_hand import BATCH
from workers.benchmarks.network import PARAMETERS, peer_plan
from workers.benchmarks.ours import write_images
from workers.native.library import library
from workers.units import COMPOSED, GROUPED, chosen_forms

Say = Callable[[str], None]
ALLOCATION = ("LD_PRELOAD", "MALLOC_", "OMP_", "MKL_", "GLIBC_TUNABLES", "KMP_", "GOMP_")
PARTS = {  # name -> the run that has it and everything before it
    "plain loop": "peer",
    "allocator": "peer_same_allocator",
    "data path": "ours_grouped",
    "layout": "ours_grouped_channels_last",
    "form": "ours_composed",
    "native kernels": "ours",
}


def clean_environment() -> dict[str, str]:
    """This process's, without anything that chooses an allocator or threads."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ALLOCATION)}


def run(command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
    """What a process prints as JSON in its last line. ValueError with its messages where it fails."""
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def measure(pairs: int, steps: int, threads: int, peer: str | None, compiled: bool, say: Say) -> dict[str, Any]:
    """All runs in turn, and their ratios. `peer`: a script that is run as `FILE synthetic --steps N` instead of ours."""
    clean = clean_environment()
    cured = clean | worker_environment(threads)
    module = [sys.executable, "-m"]
    by_hand = [*module, "workers.benchmarks.by_hand", str(steps)]
    other = [sys.executable, peer, "synthetic", "--steps", str(steps)] if peer else by_hand
    runs: dict[str, list[float]] = {}
    extra: dict[str, Any] = {}

    def note(name: str, command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
        found = run(command, environment)
        runs.setdefault(name, []).append(found["images_per_second"])
        say(f"{name:<28} {found['images_per_second']:>8.1f} images/s")
        return found

    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), steps)

        def own(form: str, *layout: str) -> list[str]:
            return [*module, "workers.benchmarks.ours", str(steps), str(threads), form, folder, *layout]

        for _ in range(pairs):
            note("peer", other, clean)
            note("peer_same_allocator", other, cured)
            note("ours", own("chosen"), cured)
            note("ours_composed", own(COMPOSED), cured)
            note("ours_grouped_channels_last", own(GROUPED, "channels_last"), cured)
            note("ours_grouped", own(GROUPED), cured)
            note("ours_clean_environment", own("chosen"), clean)
        if compiled:
            found = note("peer_compiled_same_allocator", [*by_hand, "--compile"], cured)
            extra["compile_seconds"] = round(found["first_step_seconds"], 1)
    limits = run([*module, "workers.benchmarks.bounds", str(threads)], cured)
    return {
        **ratios(runs),
        **{name: [round(value, 1) for value in values] for name, values in runs.items()},
        **extra,
        "parts": parts(runs),
        "bounds": _bounds(median(runs["ours"]), limits),
        "batch": BATCH,
        "steps": steps,
        "threads": threads,
        "parameters": PARAMETERS,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}",
    }


def ratios(runs: Mapping[str, list[float]]) -> dict[str, Any]:
    """Ours over the peer, pair by pair, with the peer in its own and in our environment."""
    free = [a / b for a, b in zip(runs["ours"], runs["peer"], strict=True)]
    same = [a / b for a, b in zip(runs["ours"], runs["peer_same_allocator"], strict=True)]
    return {
        "ratio_median": round(median(free), 2),
        "ratios": [round(ratio, 2) for ratio in free],
        "ratio_median_same_allocator": round(median(same), 2),
        "ratios_same_allocator": [round(ratio, 2) for ratio in same],
    }


def parts(runs: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    """Each part with the speed that it brings the ones before it to, and its factor; the factors multiply to the ratio.

    The last row is our whole trainer without the allocator alone.
    """
    rows: list[dict[str, Any]] = []
    before = median(runs["peer"])
    for name, run_name in PARTS.items():
        speed = median(runs[run_name])
        rows.append({"part": name, "images_per_second": round(speed, 1), "factor": round(speed / before, 2)})
        before = speed
    speed = median(runs["ours_clean_environment"])
    rows.append(
        {"part": "all but the allocator", "images_per_second": round(speed, 1), "factor": round(speed / before, 2)}
    )
    return rows


def _bounds(images_per_second: float, limits: dict[str, float]) -> dict[str, Any]:
    plan = peer_plan()
    return bounds(plan, chosen_forms(plan, native=library() is not None), images_per_second, limits)
