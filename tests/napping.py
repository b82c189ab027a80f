"""The command `igcv` whose workers sleep instead of training: `python -m tests.napping search FILE`. No torch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from zlib import crc32

from workers.records import EpochReport, Message, Metrics, TrainRequest

SECONDS = float(os.environ.get("NAP_SECONDS", "0.1"))  # of an epoch


def run(request: TrainRequest) -> Iterator[Message]:
    """An accuracy made of the plan's key; nothing is resumed."""
    accuracy = 0.5 + (crc32(request.plan.key.encode()) % 10_000) / 20_000
    curve = []
    for epoch in range(1, request.recipe.epochs + 1):
        time.sleep(SECONDS)
        report = EpochReport(
            key=request.key, epoch=epoch, accuracy=accuracy, train_loss=1.0, learning_rate=0.1, seconds=SECONDS
        )
        curve.append(report)
        yield report
    yield Metrics(
        key=request.key,
        accuracy=accuracy,
        epochs=len(curve),
        seconds=SECONDS * len(curve),
        images_per_second=0.0,
        peak_memory_mib=0.0,
        device="none",
        threads=1,
        curve=tuple(curve),
    )


if __name__ == "__main__":
    from orchestrator.cli import main, search

    search.run_search = partial(search.run_search, runner="tests.napping:run")
    main.main()
