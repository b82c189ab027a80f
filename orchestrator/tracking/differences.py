"""What must be written so that MLflow holds what a record says: records against what a store was last known to hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.tracking.records import EPOCHS_TAG, MARKS, Point, RunRecord


@dataclass(slots=True, kw_only=True)
class StoredRun:
    """A run as the store has it; kept true with each writing. `metrics` are the newest values."""

    run_id: str
    artifact_uri: str
    status: str = "RUNNING"
    start_ms: int = 0
    end_ms: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    has_data: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is missing in a run, in the order of writing: artifacts, points, params, tags, the end."""

    texts: Mapping[str, str]
    points: tuple[Point, ...]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    end: bool

    def __bool__(self) -> bool:
        return bool(self.texts or self.points or self.params or self.tags or self.end)


def difference(record: RunRecord, stored: StoredRun, now_ms: int) -> Difference:
    """What to write so that `stored` becomes `record`. A changed number is written at `now_ms`, to be the newest."""
    epochs = logged_epochs(stored)
    changed = [point for point in record.metrics if not _same(stored.metrics.get(point.key), point.value)]
    values = tuple(_newer(point, now_ms) if point.key in stored.metrics else point for point in changed)
    return Difference(
        texts={name: text for name, text in record.texts.items() if _unmarked(name, record, stored)},
        points=tuple(point for point in record.curve if point.step > epochs) + values,
        params={key: value for key, value in record.params.items() if key not in stored.params},
        tags=changed_tags(record.tags, stored),
        end=record.status != "RUNNING" and (stored.status, stored.end_ms) != (record.status, record.end_ms),
    )


def is_another(record: RunRecord, stored: StoredRun) -> bool:
    """Whether the run tells of something that cannot be undone: other params, another start, end or curve."""
    return (
        any(record.params.get(key) != value for key, value in stored.params.items())
        or stored.start_ms != record.start_ms
        or (stored.status != "RUNNING" and record.status == "RUNNING")
        or logged_epochs(stored) > record.epochs
        or _has_another_curve(record, stored)
    )


def changed_tags(wanted: Mapping[str, str], stored: StoredRun) -> dict[str, str]:
    """The tags that are missing or say something else."""
    return {key: value for key, value in wanted.items() if stored.tags.get(key) != value}


def logged_epochs(stored: StoredRun) -> int:
    """How many epochs of the curve the store has for certain."""
    text = stored.tags.get(EPOCHS_TAG, "0")
    return int(text) if text.isdecimal() else 0


def _has_another_curve(record: RunRecord, stored: StoredRun) -> bool:
    """Whether a curve's newest value is none of those since the last epoch that the store has for certain."""
    epochs = logged_epochs(stored)
    since = [point for point in record.curve if point.step >= epochs]
    for key in {point.key for point in since if point.step == epochs}:
        if not any(_same(stored.metrics.get(key), point.value) for point in since if point.key == key):
            return True
    return False


def _unmarked(name: str, record: RunRecord, stored: StoredRun) -> bool:
    mark = MARKS[name]
    return stored.tags.get(mark) != record.tags.get(mark)


def _newer(point: Point, now_ms: int) -> Point:
    return Point(key=point.key, value=point.value, at_ms=max(now_ms, point.at_ms + 1), step=point.step)


def _same(stored: float | None, value: float) -> bool:
    return stored is not None and (stored == value or (math.isnan(stored) and math.isnan(value)))
