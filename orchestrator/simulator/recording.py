"""A finished study as a table of recorded trainings, in the form that the simulator reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dashboards.table import TrialRow
from search_spaces.networks import Value


def write_recorded(rows: Sequence[TrialRow], path: str | Path) -> int:
    """Writes the networks of a study that were trained to the end, and returns their number. ValueError: there is none.

    References are left out: they are no points of the study's space.
    """
    known = [row for row in rows if row.state == "complete" and row.source == "search" and row.accuracy is not None]
    if not known:
        raise ValueError("no network of this study was trained to the end, so there is nothing to record")
    names = list(dict.fromkeys(name for row in known for name in row.parameters))
    columns: dict[str, Any] = {
        "family": [row.family for row in known],
        **{name: _column([row.parameters.get(name) for row in known]) for name in names},
        "macs": [row.macs for row in known],
        "params": [row.params for row in known],
        "accuracy": [row.accuracy for row in known],
        "curve": pa.array([[point.accuracy for point in row.epochs] or None for row in known], pa.list_(pa.float64())),
        "epoch_seconds": pa.array([_seconds(row) for row in known], pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(columns), path)
    return len(known)


def _column(values: list[Value | None]) -> list[Any]:
    """Values of one kind as they are; a column of several kinds as texts."""
    kinds = {type(value) for value in values if value is not None}
    return values if len(kinds) == 1 else [None if value is None else str(value) for value in values]


def _seconds(row: TrialRow) -> list[float] | None:
    """Seconds of each epoch; None where one is not known."""
    seconds = [point.seconds for point in row.epochs if point.seconds is not None]
    return seconds if seconds and len(seconds) == len(row.epochs) else None
