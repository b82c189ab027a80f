"""What was measured of a network in use, with its spread: frozen data, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

MeasuredName = Literal["latency_ms", "batch_latency_ms", "inference_memory_mib"]  # can be objectives, all minimised
MEASURED: tuple[MeasuredName, ...] = get_args(MeasuredName)
LATENCY: MeasuredName = "latency_ms"  # of one image
LEAST_REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSpec:
    """How to measure. ValueError where it makes no sense."""

    batch_size: int = 32
    repeats: int = 30
    warm_up: int = 5  # runs before, not counted

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"the batch to measure is {self.batch_size} images, expected at least 1")
        if self.repeats < LEAST_REPEATS:
            raise ValueError(f"{self.repeats} repeats show no spread, expected at least {LEAST_REPEATS}")
        if self.warm_up < 1:
            raise ValueError(f"{self.warm_up} runs to warm up, expected at least 1: the first run is never typical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and quartiles of `n` repeats."""

    median: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCost:
    """The inference form of a network on one device, fp32. `batch_…` and memory are those of `batch_size` images."""

    latency_ms: Spread  # one image
    batch_latency_ms: Spread
    images_per_second: Spread  # in batches
    inference_memory_mib: float  # tensors at their highest: weights, images, activations, workspaces torch asks for
    batch_size: int
    warm_up: int
    device: str  # cpu, cuda:0
    hardware: str
    threads: int
    torch: str

    def value(self, name: str) -> float:
        """One of MEASURED as a number: medians."""
        assert name in MEASURED
        found = getattr(self, name)
        return float(found.median if isinstance(found, Spread) else found)


def spread(values: Sequence[float]) -> Spread:
    """The spread of repeats."""
    lower, median, upper = np.percentile(values, (25, 50, 75)).tolist()
    return Spread(median=median, lower=lower, upper=upper, n=len(values))


def measured_from(plain: Mapping[str, Any]) -> MeasuredCost:
    """The record of what `dataclasses.asdict` made of it."""
    parts: dict[str, Any] = {
        name: Spread(**value) if isinstance(value, Mapping) else value for name, value in plain.items()
    }
    return MeasuredCost(**parts)
