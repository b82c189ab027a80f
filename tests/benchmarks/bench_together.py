"""Two trials side by side on two cores, as a share of the throughput of the best sequential arrangement.

    python -m tests.benchmarks.bench_together [--json] [--pairs 5] [--steps 20]

Both train the network of bench_train. Sequential: one process after the other, each with both cores. Side by side: two
processes of one thread, from the first one's start to the last one's end (starting up and loading left out).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.bench_train import BATCH, ROOT, WARM_UP, clean_environment, ours, write_images
from workers.allocator import worker_environment

CORES = 2
GATE = "go"  # a file that lets warmed-up processes begin together


def once(folder: Path, steps: int, threads: int, name: str) -> None:
    """Warms up, waits for the gate, trains; prints when it began and ended."""
    ours(folder, WARM_UP, threads, "chosen")
    (folder / f"ready-{name}").touch()
    while not (folder / GATE).exists():
        time.sleep(0.005)
    started = time.monotonic()
    ours(folder, steps, threads, "chosen")
    print(json.dumps([started, time.monotonic()]))


def throughput(steps: int, threads: int, processes: int) -> float:
    """Images per second of so many processes at once."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder, int((max(steps, WARM_UP) + 1) * BATCH * 1.3))
        command = [sys.executable, "-m", "tests.benchmarks.bench_together", "--steps", str(steps)]
        environment = clean_environment() | worker_environment(threads)
        running = [
            subprocess.Popen(
                [*command, "--threads", str(threads), "--once", place, "--name", str(number)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]
        while len(list(folder.glob("ready-*"))) < processes:
            if any(process.poll() for process in running):
                raise SystemExit("a training failed; its message stands above")
            time.sleep(0.01)
        (folder / GATE).touch()
        times = [json.loads(process.communicate()[0].strip().splitlines()[-1]) for process in running]
    images = processes * (WARM_UP + steps) * BATCH  # `ours` trains a few steps first each time
    return float(images / (max(end for _, end in times) - min(start for start, _ in times)))


def measure(pairs: int, steps: int) -> dict[str, Any]:
    """All runs in turn."""
    shares: list[float] = []
    runs: dict[str, list[float]] = {"two_threads": [], "one_thread": [], "side_by_side": []}
    for _ in range(pairs):
        for name, threads, processes in (("two_threads", CORES, 1), ("one_thread", 1, 1), ("side_by_side", 1, CORES)):
            runs[name].append(throughput(steps, threads, processes))
            print(f"{name:<14} {runs[name][-1]:>8.1f} images/s", file=sys.stderr, flush=True)
        shares.append(runs["side_by_side"][-1] / max(runs["two_threads"][-1], runs["one_thread"][-1]))
    rounded = {name: [round(value, 1) for value in values] for name, values in runs.items()}
    return {"share_median": round(median(shares), 3), "shares": [round(share, 3) for share in shares], **rounded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--name", default="0", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        once(arguments.once, arguments.steps, arguments.threads, arguments.name)
        return
    result = measure(arguments.pairs, arguments.steps)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<16} {value}")


if __name__ == "__main__":
    main()
