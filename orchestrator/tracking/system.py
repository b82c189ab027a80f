"""MLflow's system metrics (CPU, memory, network, GPUs) of the machine that drives a search, on the study's run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from orchestrator.tracking.differences import StoredRun
from orchestrator.tracking.records import Point
from orchestrator.tracking.store import Store

PREFIX = "system/"  # by which MLflow's page tells them from others


class Monitor(Protocol):
    """MLflow's own monitors have these, without types."""

    def collect_metrics(self) -> None: ...
    def aggregate_metrics(self) -> Mapping[str, float]: ...
    def clear_metrics(self) -> None: ...


class SystemMetrics:
    """Samples at most every `seconds`; the step of a sample is the seconds since the run's start."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = 0.0
        self._monitors: list[Monitor] = []

    def sample(self, store: Store, run: StoredRun) -> None:
        now = time.time()
        if now < self._due:
            return
        self._due = now + self._seconds
        self._monitors = self._monitors or list(_monitors())
        at_ms = round(1000 * now)
        step = max(0, (at_ms - run.start_ms) // 1000)
        points = [Point(key=PREFIX + key, value=value, at_ms=at_ms, step=step) for key, value in self._read()]
        store.write(run, points, {}, {})

    def _read(self) -> Iterator[tuple[str, float]]:
        for monitor in self._monitors:
            monitor.collect_metrics()
            yield from monitor.aggregate_metrics().items()
            monitor.clear_metrics()


def _monitors() -> Iterator[Monitor]:
    """Without that of GPUs on a machine that has none, or not the library that reads them."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    kinds: tuple[Callable[[], Monitor], ...] = (CPUMonitor, NetworkMonitor, GPUMonitor)
    for kind in kinds:
        try:
            yield kind()
        except (ImportError, RuntimeError):
            continue
