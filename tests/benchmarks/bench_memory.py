"""The memory estimate of a training beside its measured peak: six families, narrow and wide, through the real trainer.

    python -m tests.benchmarks.bench_memory [--json] [--batch 128] [--plain]

Each network trains two steps in a process of its own, in the workers' environment. `ratio` is estimate over peak
resident memory of the process; `growth_ratio` leaves out on both sides what the process held before. `--plain` takes
every unit node by node instead of the forms that the worker chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from search_spaces.families.table import FAMILIES
from workers.allocator import worker_environment
from workers.benchmarks.network import members
from workers.device import peak_memory_mib, pick_device, reset_peak_memory
from workers.memory import MIB, training_memory
from workers.native.library import library
from workers.records import DataSpec, Metrics, Recipe, TrainRequest
from workers.trainer import train
from workers.units import GROUPED, chosen_forms, units

ROOT = Path(__file__).parents[2]
MEMBERS = tuple(f"{family} {width}" for family in FAMILIES for width in ("narrow", "wide"))


def once(name: str, batch: int, plain: bool, folder: Path) -> dict[str, Any]:
    """Trains one network here and compares; a small batch before fills the process with what any training loads."""
    family, width = name.split()
    plan = members(family)[width]
    forms = tuple(GROUPED for _ in units(plan)) if plain else chosen_forms(plan, native=library() is not None)
    images = folder / "images.npz"
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (batch + 20, 32, 32, 3), dtype=np.uint8)
    np.savez(images, train_images=pixels, train_labels=np.arange(len(pixels)) % 10)
    data = DataSpec(name="npz", path=str(images), max_train=batch, max_validation=10, validation_fraction=0.1)

    def peak(recipe: Recipe) -> float:
        request = TrainRequest(key="m", plan=plan, data=data, recipe=recipe, device="cpu", threads=1, forms=forms)
        *_, metrics = train(request)
        assert isinstance(metrics, Metrics)
        return metrics.peak_memory_mib

    device = pick_device("cpu")
    warm_up(folder)
    reset_peak_memory(device)
    before = peak_memory_mib(device)
    recipe = Recipe(epochs=2, batch_size=batch, precision="fp32")
    estimate = training_memory(plan, recipe, gpu=False, images=batch + 10, forms=forms)
    measured = peak(recipe)
    expected, growth = estimate.total() / MIB, (estimate.total() - estimate.context) / MIB
    return {
        "estimate_mib": round(expected),
        "peak_mib": round(measured),
        "before_mib": round(before),
        "growth_mib": [round(growth), round(measured - before)],
        "ratio": round(expected / measured, 2),
        "growth_ratio": round(growth / (measured - before), 2),
    }


def warm_up(folder: Path) -> None:
    """Another, small training: whatever a process loads once is loaded."""
    plan = members("mobilenetv1")["narrow"]
    images = folder / "few.npz"
    np.savez(images, train_images=np.zeros((40, 32, 32, 3), np.uint8), train_labels=np.arange(40) % 10)
    recipe = Recipe(epochs=1, batch_size=2, precision="fp32")
    data = DataSpec(name="npz", path=str(images), max_train=10, max_validation=10)
    for _ in train(TrainRequest(key="w", plan=plan, data=data, recipe=recipe, device="cpu", threads=1)):
        pass


def in_a_process(name: str, batch: int, plain: bool) -> dict[str, Any]:
    """`once`, where nothing else was allocated before."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_memory", "--once", name, "--batch", str(batch)]
    environment = os.environ | worker_environment(1)
    done = subprocess.run(
        [*command, *(["--plain"] if plain else [])], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--plain", action="store_true", help="every unit node by node")
    parser.add_argument("--once", choices=MEMBERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(once(arguments.once, arguments.batch, arguments.plain, Path(folder))))
        return
    found: dict[str, Any] = {}
    for name in MEMBERS:
        found[name] = in_a_process(name, arguments.batch, arguments.plain)
        if not arguments.json:
            print(f"{name:<22} {found[name]}", flush=True)
    summary = {f"{kind}_median": median(row[kind] for row in found.values()) for kind in ("ratio", "growth_ratio")}
    print(json.dumps({**summary, "networks": found}) if arguments.json else summary)


if __name__ == "__main__":
    main()
