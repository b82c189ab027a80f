"""What the workers of these tests run instead of trainings, and a driver for them: module:function, importable by name."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from workers.records import EpochReport, Message, Metrics, TrainRequest

SECONDS = 0.5


def gpus(request: TrainRequest) -> Iterator[Message]:
    """Notes when it ran and on which device, in a file of its own."""
    began = time.time()
    time.sleep(SECONDS)
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    note(request, {"device": device, "began": began, "ended": time.time(), "kind": os.environ.get("KIND")})
    yield from ending(request, 0, device)


def poison(request: TrainRequest) -> Iterator[Message]:
    """Trial 1 kills its process after its first epoch, trial 2 hangs; the others end."""
    yield report(request, 1)
    if request.key == "1":
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    if request.key == "2":
        os.kill(os.getpid(), signal.SIGSTOP)
    yield from ending(request, 1, "none")


def note(request: TrainRequest, facts: dict[str, object]) -> None:
    assert request.checkpoint is not None
    path = Path(request.checkpoint).with_name(f"note-{request.key}-{os.getpid()}.part")
    path.write_text(json.dumps(facts))
    path.rename(path.with_suffix(".json"))


def report(request: TrainRequest, epoch: int) -> EpochReport:
    return EpochReport(key=request.key, epoch=epoch, accuracy=0.5, train_loss=1.0, learning_rate=0.1, seconds=0.1)


def ending(request: TrainRequest, epochs: int, device: str) -> Iterator[Message]:
    for epoch in range(epochs + 1, request.recipe.epochs + 1):
        yield report(request, epoch)
    yield Metrics(
        key=request.key,
        accuracy=0.5,
        epochs=request.recipe.epochs,
        seconds=1.0,
        images_per_second=1.0,
        peak_memory_mib=0.0,
        device=device,
        threads=1,
        curve=tuple(report(request, epoch) for epoch in range(1, request.recipe.epochs + 1)),
    )


def main(file: str, runner: str, *overrides: str) -> None:
    """A search whose workers run `runner`; it has less patience than a real one."""
    import orchestrator.pools.head as head
    import orchestrator.pools.ray as pool
    import orchestrator.running as running
    from orchestrator.experiment import load_experiment

    pool.SECONDS_WITHOUT_WORKERS = 1.0
    head.SECONDS_OF_PATIENCE = 5.0
    running.SHORTEST_GRACE = 2.0
    ended = running.run_search(load_experiment(file, overrides), f"tests.orchestrator.ray_runner:{runner}")
    print(
        json.dumps([[row.number, row.state, row.failure_kind, row.failure_message, row.losses] for row in ended.rows])
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
