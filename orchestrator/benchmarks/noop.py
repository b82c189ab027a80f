"""Trials that do nothing, and the real search over them: all that is left to measure is the search itself.

`python -m orchestrator.benchmarks.noop TRIALS SAMPLER TRACKING` runs one such search in a folder of its own and prints
one JSON line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from orchestrator.experiment import Experiment
from workers.records import EpochReport, Message, Metrics, TrainRequest

RUNNER = "orchestrator.benchmarks.noop:run"
SLEEPER = "orchestrator.benchmarks.noop:sleep"
SLEEP_SECONDS = 2.0


def run(request: TrainRequest) -> Iterator[Message]:
    """Ends at once with an accuracy made of the plan's key."""
    yield _metrics(request, 0.0)


def sleep(request: TrainRequest) -> Iterator[Message]:
    """The same after SLEEP_SECONDS."""
    time.sleep(SLEEP_SECONDS)
    yield _metrics(request, SLEEP_SECONDS)


def _metrics(request: TrainRequest, seconds: float) -> Metrics:
    accuracy = 0.5 + (crc32(request.plan.key.encode()) % 10_000) / 20_000
    epochs = request.recipe.epochs
    report = EpochReport(
        key=request.key, epoch=epochs, accuracy=accuracy, train_loss=1.0, learning_rate=0.1, seconds=seconds
    )
    return Metrics(
        key=request.key,
        accuracy=accuracy,
        epochs=epochs,
        seconds=seconds,
        images_per_second=0.0,
        peak_memory_mib=0.0,
        device="none",
        threads=1,
        curve=(report,),
    )


def noop_experiment(folder: Path, trials: int, sampler: str, tracking: str, pool: str = "ray") -> Experiment:
    """Two workers over the default ranges of IGCV2 and IGCV3 under 20 M MACs."""
    return Experiment.model_validate(
        {
            "name": "noop",
            "families": ["igcv2", "igcv3"],
            "budget": {"max_macs": "20M"},
            "trials": trials,
            "training": {"epochs": 1, "warmup_epochs": 0},
            "resources": {"workers": 2 if pool == "ray" else 1, "pool": pool},
            "sampler": sampler,
            "tracking": tracking,
            "output": str(folder),
        }
    )


def measure(trials: int, sampler: str, tracking: str, runner: str = RUNNER) -> dict[str, float | int | str]:
    """One search, from a running Ray to its written report. `busy`: the workers' share of the time from the first
    launch to the last."""
    import orchestrator.pools.ray as pool
    from orchestrator.running import run_search

    with tempfile.TemporaryDirectory() as folder:
        experiment = noop_experiment(Path(folder), trials, sampler, tracking)
        pool.start_here(workers=2, cpus_per_worker=1)
        began = time.perf_counter()
        ended = run_search(experiment, runner)
        seconds = time.perf_counter() - began
    stints = sorted((stint.started_at, stint.ended_at or 0.0) for row in ended.rows for stint in row.stints)
    first, last = stints[0][0], stints[-1][0]
    worked = sum(max(0.0, min(end, last) - start) for start, end in stints)
    return {
        "trials": len(ended.rows),
        "sampler": sampler,
        "tracking": tracking,
        "seconds": round(seconds, 3),
        "seconds_per_trial": round(seconds / trials, 5),
        "proposal_seconds_per_trial": round(ended.proposal_seconds / trials, 5),
        "busy": round(worked / (2 * (last - first)), 4) if last > first else 0.0,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else RUNNER)))
