"""How long a search takes to go on: from opening its study to the first trial that it launches.

`python -m orchestrator.benchmarks.resume FOLDER TRIALS` goes on with the search that `measure` left there, by one more trial,
and prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from orchestrator.benchmarks.child import measured_in_child
from orchestrator.benchmarks.noop import RUNNER, noop_experiment, run
from orchestrator.running import run_search
from workers.records import Message, TrainRequest

MARKING = "orchestrator.benchmarks.resume:marking"
launched: list[float] = []  # when, by the clock of `time.perf_counter`


def marking(request: TrainRequest) -> Iterator[Message]:
    """As `noop.run`, and notes when."""
    launched.append(time.perf_counter())
    yield from run(request)


def measure(trials: int, times: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Makes a study of so many no-op trials, one more each time, and goes on with it in new processes."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        run_search(noop_experiment(Path(folder), trials, "uniform", "off", "inline"), RUNNER)
        for number in range(times):
            runs.append(measured_in_child("resume", folder, trials + 1 + number))
            say(f"{runs[-1]['seconds']:.2f} s to the first launch")
    return {"trials": trials, "seconds_median": median(each["seconds"] for each in runs), "runs": runs}


def go_on(folder: Path, trials: int) -> dict[str, float]:
    """`seconds` count all that a search does before it launches; `in_all` goes to its end with the report."""
    began = time.perf_counter()
    run_search(noop_experiment(folder, trials, "uniform", "off", "inline"), MARKING)
    return {"seconds": round(launched[0] - began, 3), "in_all": round(time.perf_counter() - began, 3)}


if __name__ == "__main__":
    from orchestrator.benchmarks import resume  # the runner is found by this name, not as __main__

    print(json.dumps(resume.go_on(Path(sys.argv[1]), int(sys.argv[2]))))
