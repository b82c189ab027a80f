"""What a worker runs: named by `module:function` so that the driver never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from workers.records import Message, TrainRequest

Runner = Callable[[TrainRequest], Iterator[Message]]
TRAIN = "workers.guard:run"
ATTEMPT = "workers.guard:attempt"  # where the decisions know what follows from an out-of-memory


def resolve(name: str) -> Runner:
    """The function at `module:function`."""
    module, _, function = name.partition(":")
    runner: Runner = getattr(import_module(module), function)
    return runner
