"""What people use instead: Ray Tune with OptunaSearch, on a trial that does nothing.

`python -m orchestrator.benchmarks.tune_peer TRIALS default|reuse_actors|mlflow` prints one JSON line. Ray is started
before the clock.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import orchestrator.pools.ray as pool


def objective(config: dict[str, Any]) -> None:
    from ray import tune

    accuracy = 1 - math.exp(-config["width"] / 64) - 0.01 * config["groups"]
    tune.report({"accuracy": accuracy, "macs": config["width"] ** 2 / config["groups"]})


def measure(trials: int, mode: str) -> dict[str, float | int | str]:
    """One run of Tuner.fit over two CPUs."""
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    with tempfile.TemporaryDirectory() as folder:
        space = {"width": tune.randint(16, 256), "groups": tune.randint(2, 8)}
        tuner = tune.Tuner(
            objective,
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(space, metric=["accuracy", "macs"], mode=["max", "min"]),
                num_samples=trials,
                reuse_actors=mode == "reuse_actors",
            ),
            run_config=tune.RunConfig(
                storage_path=folder, verbose=0, callbacks=_callbacks(Path(folder)) if mode == "mlflow" else []
            ),
        )
        pool.start_here(workers=2, cpus_per_worker=1)
        began = time.perf_counter()
        tuner.fit()
        seconds = time.perf_counter() - began
    return {
        "trials": trials,
        "mode": mode,
        "seconds": round(seconds, 3),
        "seconds_per_trial": round(seconds / trials, 5),
    }


def _callbacks(folder: Path) -> list[Any]:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    return [MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/peer.db", experiment_name="peer")]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
