"""Images per second of our trainer, as a ratio to a loop written by hand on the same network, run in turn.

    python -m tests.benchmarks.bench_train [--json] [--pairs 5] [--steps 20] [--threads 2] [--forms] [--peer FILE]

The network has 25,354 parameters (channel-wise 3x3, two group 1x1 with shuffles, three stages of two blocks), batches
of 128 random 32 x 32 images, crops and flips. Each pair runs the peer in a clean environment, the peer in our workers'
environment (the same allocator), and our whole trainer in it; each run is a process of its own and leaves its first
five steps out. `--forms` adds what our trainer does with less: every unit grouped or composed, or the clean environment.
`--peer` names a script that is run as `FILE synthetic --steps N` instead of tests/benchmarks/train_by_hand.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from search_spaces.plan import Activation, Conv, Linear, Norm, Plan, PlanBuilder, Pool, Product
from workers.allocator import worker_environment
from workers.builder import build, count_parameters
from workers.records import DataSpec, Metrics, Recipe, TrainRequest
from workers.trainer import train
from workers.units import COMPOSED, GROUPED, NATIVE, chosen_forms, units

BATCH = 128
WARM_UP = 5
PARAMETERS = 25_354
ROOT = Path(__file__).parents[2]
ALLOCATION = ("LD_PRELOAD", "MALLOC_", "OMP_", "MKL_", "GLIBC_TUNABLES", "KMP_", "GOMP_")


def peer_plan() -> Plan:
    """The network of tests/benchmarks/train_by_hand.py as a plan."""
    builder = PlanBuilder((3, 32, 32))
    builder.add(Conv(out_channels=64, kernel=3))
    builder.add(Norm())
    builder.add(Activation())
    for width, out, stride in ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)):
        groups = width // 8
        factors = (Conv(out_channels=width, groups=groups), Conv(out_channels=out, groups=groups))
        builder.add(Conv(out_channels=width, kernel=3, stride=stride, groups=width))
        builder.add(Product(factors=factors, shuffles=(groups, groups)))
        builder.add(Norm())
        builder.add(Activation())
    builder.add(Pool())
    builder.add(Linear(out_features=10))
    return builder.build()


def forms_named(plan: Plan, name: str) -> tuple[str, ...]:
    """`chosen`: the worker's own choice; else that form for every unit that has it."""
    if name == "chosen":
        return ()
    if name == NATIVE:
        return chosen_forms(plan, native=True)
    return tuple(name if name in unit.forms else GROUPED for unit in units(plan))


def ours(folder: Path, steps: int, threads: int, forms: str) -> Metrics:
    """One epoch of our trainer, after a short one that warms up."""
    plan = peer_plan()
    assert count_parameters(build(plan)) == PARAMETERS
    for count in (WARM_UP, steps):
        request = TrainRequest(
            key="bench",
            plan=plan,
            data=DataSpec(name="npz", path=str(folder / "images.npz"), max_train=count * BATCH, max_validation=1),
            recipe=Recipe(epochs=1, batch_size=BATCH, precision="fp32"),
            device="cpu",
            threads=threads,
            forms=forms_named(plan, forms),
        )
        *_, metrics = train(request)
    assert isinstance(metrics, Metrics)
    return metrics


def write_images(folder: Path, count: int) -> None:
    """Random images with labels; the first of each class are left for validation."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", train_images=pixels, train_labels=np.arange(count) % 10)


def clean_environment() -> dict[str, str]:
    """This process's, without anything that chooses an allocator or threads."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ALLOCATION)}


def run(command: list[str], environment: Mapping[str, str]) -> float:
    """The images per second that a process prints in its last line."""
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return float(json.loads(done.stdout.strip().splitlines()[-1])["images_per_second"])


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All runs in turn, and their ratios."""
    clean = clean_environment()
    cured = clean | worker_environment(arguments.threads)
    peer = [sys.executable, "-m", "tests.benchmarks.train_by_hand", str(arguments.steps)]
    if arguments.peer:
        peer = [sys.executable, arguments.peer, "synthetic", "--steps", str(arguments.steps)]
    runs: dict[str, list[float]] = {}

    def note(name: str, command: list[str], environment: Mapping[str, str]) -> None:
        runs.setdefault(name, []).append(run(command, environment))
        print(f"{name:<24} {runs[name][-1]:>8.1f} images/s", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), int((max(arguments.steps, WARM_UP) + 1) * BATCH * 1.3))
        own = [sys.executable, "-m", "tests.benchmarks.bench_train", "--steps", str(arguments.steps)]
        own += ["--threads", str(arguments.threads), "--once", folder]
        for _ in range(arguments.pairs):
            note("peer", peer, clean)
            note("peer_same_allocator", peer, cured)
            note("ours", own, cured)
            if arguments.forms:
                note("ours_clean_environment", own, clean)
                for form in (GROUPED, COMPOSED):
                    note(f"ours_{form}", [*own, "--form", form], cured)
    ratios = [a / b for a, b in zip(runs["ours"], runs["peer"], strict=True)]
    same = [a / b for a, b in zip(runs["ours"], runs["peer_same_allocator"], strict=True)]
    return {
        "ratio_median": round(median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "ratio_median_same_allocator": round(median(same), 2),
        "ratios_same_allocator": [round(ratio, 2) for ratio in same],
        **{name: [round(value, 1) for value in values] for name, values in runs.items()},
        "batch": BATCH,
        "steps": arguments.steps,
        "threads": arguments.threads,
        "parameters": PARAMETERS,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--forms", action="store_true", help="also with less: other forms, the clean environment")
    parser.add_argument("--peer", help="another peer's script")
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--form", default="chosen", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        metrics = ours(arguments.once, arguments.steps, arguments.threads, arguments.form)
        print(json.dumps({"images_per_second": metrics.images_per_second, "forms": metrics.forms}))
        return
    result = measure(arguments)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<28} {value}")


if __name__ == "__main__":
    main()
