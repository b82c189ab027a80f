"""A finished study as a table of recorded trainings, in the form that the simulator reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dashboards.evaluation import EvaluationRow
from dashboards.table import TrialRow
from search_spaces.networks import Value


def write_recorded(rows: Sequence[TrialRow], path: str | Path, evaluated: Sequence[EvaluationRow] = ()) -> int:
    """Writes the networks of a study that were trained to the end, and returns their number. ValueError: there is none.

    `accuracy_seeds` begins with what the search saw; those that were evaluated on the validation part under the same
    recipe go on with their other seeds. `accuracy` is the mean. References are left out: they are no points of the space.
    """
    known = [row for row in rows if row.state == "complete" and row.source == "search" and row.accuracy is not None]
    if not known:
        raise ValueError("no network of this study was trained to the end, so there is nothing to record")
    seeds = accuracy_seeds(known, evaluated)
    names = list(dict.fromkeys(name for row in known for name in row.parameters))
    columns: dict[str, Any] = {
        "family": [row.family for row in known],
        **{name: _column([row.parameters.get(name) for row in known]) for name in names},
        "macs": [row.macs for row in known],
        "params": [row.params for row in known],
        "accuracy": [fmean(found) for found in seeds],
        "accuracy_seeds": pa.array(seeds, pa.list_(pa.float64())),
        "curve": pa.array([[point.accuracy for point in row.epochs] or None for row in known], pa.list_(pa.float64())),
        "epoch_seconds": pa.array([_seconds(row) for row in known], pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(columns), path)
    return len(known)


def accuracy_seeds(rows: Sequence[TrialRow], evaluated: Sequence[EvaluationRow]) -> list[list[float]]:
    """Of each row the search's own accuracy, then those of its repeats in the order of their seeds."""
    repeats: Mapping[int, dict[int, float]] = {row.number: {} for row in rows}
    for repeat in sorted(evaluated, key=lambda repeat: repeat.seed):
        is_alike = repeat.split == "validation" and repeat.as_searched and repeat.state == "complete"
        if is_alike and repeat.accuracy is not None and repeat.trial in repeats:
            repeats[repeat.trial][repeat.seed] = repeat.accuracy
    return [[row.accuracy or 0.0, *repeats[row.number].values()] for row in rows]


def _column(values: list[Value | None]) -> list[Any]:
    """Values of one kind as they are; a column of several kinds as texts."""
    kinds = {type(value) for value in values if value is not None}
    return values if len(kinds) == 1 else [None if value is None else str(value) for value in values]


def _seconds(row: TrialRow) -> list[float] | None:
    """Seconds of each epoch; None where one is not known."""
    seconds = [point.seconds for point in row.epochs if point.seconds is not None]
    return seconds if seconds and len(seconds) == len(row.epochs) else None
