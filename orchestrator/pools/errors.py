"""What an error of Ray's means for the trial: its own failure, or a worker that is gone."""

from __future__ import annotations

from typing import Literal

from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, UnserializableException

LONGEST = 500  # characters of a reason

Meaning = Literal["failed", "lost", "short of memory"]


def what_it_means(error: RayError) -> Meaning:
    """failed: the worker's code raised it. All else befell its process, its node or the cluster, and may not again.

    An error of Ray's that the worker's code met, such as that of a node that left, is no fault of the trial either.
    """
    if isinstance(error, OutOfMemoryError):  # its node's memory was short, and Ray has ended it
        return "short of memory"
    if isinstance(error, RayTaskError):
        met = error.cause  # RayError itself stands for an error that could not be sent
        return "lost" if isinstance(met, RayError) and type(met) is not RayError else "failed"
    return "failed" if isinstance(error, UnserializableException) else "lost"


def reason(error: RayError) -> str:
    """In one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:LONGEST] or type(error).__name__
