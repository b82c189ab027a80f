"""Two trials side by side on two cores, as a share of the throughput of the best sequential arrangement.

    python -m workers.benchmarks.together STEPS THREADS FOLDER NAME

is one of the processes. Both train the network of by_hand.py. Sequential: one process after the other, each with both
cores, or each with one. Side by side: two processes of one thread, from the first one's start to the last one's end
(starting up and loading left out).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from workers.allocator import worker_environment
from workers.benchmarks.by_hand import BATCH, WARM_UP
from workers.benchmarks.ours import ours, write_images
from workers.benchmarks.training import Say, clean_environment

CORES = 2
GATE = "go"  # a file that lets warmed-up processes begin together


def once(steps: int, threads: int, folder: Path, name: str) -> None:
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
        write_images(folder, steps)
        command = [sys.executable, "-m", "workers.benchmarks.together", str(steps), str(threads), place]
        running = [
            subprocess.Popen(
                [*command, str(number)],
                env=clean_environment() | worker_environment(threads),
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(processes)
        ]
        while len(list(folder.glob("ready-*"))) < processes:
            if any(process.poll() for process in running):
                raise ValueError(f"{' '.join(command)} failed; its message stands above")
            time.sleep(0.01)
        (folder / GATE).touch()
        times = [json.loads(process.communicate()[0].strip().splitlines()[-1]) for process in running]
    images = processes * (WARM_UP + steps) * BATCH  # `ours` trains a few steps first each time
    return float(images / (max(end for _, end in times) - min(start for start, _ in times)))


def measure(pairs: int, steps: int, say: Say) -> dict[str, Any]:
    """All runs in turn."""
    shares: list[float] = []
    runs: dict[str, list[float]] = {"two_threads": [], "one_thread": [], "side_by_side": []}
    for _ in range(pairs):
        for name, threads, processes in (("two_threads", CORES, 1), ("one_thread", 1, 1), ("side_by_side", 1, CORES)):
            runs[name].append(throughput(steps, threads, processes))
            say(f"{name:<28} {runs[name][-1]:>8.1f} images/s")
        shares.append(runs["side_by_side"][-1] / max(runs["two_threads"][-1], runs["one_thread"][-1]))
    rounded = {name: [round(value, 1) for value in values] for name, values in runs.items()}
    return {"share_median": round(median(shares), 3), "shares": [round(share, 3) for share in shares], **rounded}


if __name__ == "__main__":
    once(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
