"""The evaluation table: one row for each training of a study's network after its search, and what they say together.

`evaluation.parquet` beside the study. Accuracies are fractions, times are seconds since the epoch. A network was
trained several times, each time with another seed; rows belong together where `trial`, `split` and `recipe_key` agree.
split `validation`: trained on the training part and scored on the validation part, as in the search.
split `test`: trained on both parts and scored once on the test split, which the search never reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from dashboards.table import State, TrialRow, write_arrow

TABLE_NAME = "evaluation.parquet"
SCHEMA_VERSION = "1"
VERSION_KEY = b"igcv.evaluation_table"
Split = Literal["validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One training. None where something is not known (yet)."""

    number: int  # of the trial in the study `<name>/evaluation`
    trial: int  # of the trial whose network it is, in the study itself
    plan_key: str
    name: str
    family: str
    source: str  # search | reference
    split: Split
    seed: int
    recipe: str
    recipe_key: str  # equal for equal recipes, whatever they are called
    as_searched: bool  # the recipe is the search's own
    epochs_asked: int
    state: State
    accuracy: float | None = None  # on the split, after the last epoch; of complete trainings only
    searched_accuracy: float | None = None  # what the search saw: one training, on the validation part
    published_accuracy: float | None = None  # of a reference network, from its paper
    macs: int
    params: int
    seconds: float | None = None
    images_per_second: float | None = None
    peak_memory_mib: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    attempts: int = 0
    device: str | None = None
    threads: int | None = None
    micro_batch: int | None = None
    forms: tuple[str, ...] = ()
    train_loss: tuple[float, ...] = ()  # of each epoch
    curve: tuple[float, ...] = ()  # accuracy on the validation part after each epoch; empty for the split `test`
    failure_kind: str | None = None
    failure_message: str | None = None
    environment: str = "{}"  # versions, machine and commit, as JSON


_TYPES = {
    "int": pa.int64(),
    "int | None": pa.int64(),
    "float | None": pa.float64(),
    "str": pa.string(),
    "str | None": pa.string(),
    "bool": pa.bool_(),
    "Split": pa.string(),
    "State": pa.string(),
    "tuple[str, ...]": pa.list_(pa.string()),
    "tuple[float, ...]": pa.list_(pa.float64()),
}
COLUMNS = tuple(field.name for field in fields(EvaluationRow))
SCHEMA = pa.schema([pa.field(field.name, _TYPES[str(field.type)]) for field in fields(EvaluationRow)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What all trainings of one network under one recipe, scored on one split, say together."""

    trial: int
    plan_key: str
    name: str
    source: str
    split: Split
    recipe: str
    recipe_key: str
    macs: int
    params: int
    searched_accuracy: float | None
    published_accuracy: float | None
    accuracies: tuple[float, ...]  # of those that were trained to the end, in the order of their seeds
    seeds: tuple[int, ...]
    failed: int  # seeds whose trainings failed, and were not trained again with success
    mean: float | None  # None where none was trained to the end
    std: float | None  # of the sample (n - 1); None below two

    @property
    def n(self) -> int:
        return len(self.accuracies)


def spreads(rows: Sequence[EvaluationRow]) -> list[Spread]:
    """One for each network, split and recipe; the searched ones first, the cheapest first."""
    groups: dict[tuple[int, str, str], list[EvaluationRow]] = {}
    for row in sorted(rows, key=lambda row: (row.source == "reference", row.macs, row.params, row.trial, row.seed)):
        groups.setdefault((row.trial, row.split, row.recipe_key), []).append(row)
    return [_spread(group) for group in groups.values()]


def with_spread(rows: Sequence[TrialRow], folder: str | Path) -> list[TrialRow]:
    """The trials with the spread over seeds of what `igcv evaluate --on validation` trained as the search does.

    Their accuracies stay the search's own, of one training. A row that knows its spread keeps it.
    """
    known = {
        spread.trial: spread
        for spread in spreads([one for one in read_evaluation(folder) if one.as_searched and one.split == "validation"])
        if spread.std is not None
    }
    return [
        replace(row, accuracy_std=known[row.number].std, seeds=known[row.number].n)
        if row.number in known and row.accuracy_std is None and known[row.number].plan_key == row.plan_key
        else row
        for row in rows
    ]


def _spread(group: Sequence[EvaluationRow]) -> Spread:
    first = group[0]
    done = [(row.seed, row.accuracy) for row in group if row.state == "complete" and row.accuracy is not None]
    accuracies = tuple(accuracy for _, accuracy in done)
    return Spread(
        **{name: getattr(first, name) for name in Spread.__dataclass_fields__ if name in COLUMNS},
        accuracies=accuracies,
        seeds=tuple(seed for seed, _ in done),
        failed=len({row.seed for row in group if row.state == "failed"} - {seed for seed, _ in done}),
        mean=fmean(accuracies) if accuracies else None,
        std=stdev(accuracies) if len(accuracies) > 1 else None,
    )


def write_evaluation(folder: str | Path, rows: Iterable[EvaluationRow]) -> Path:
    """Writes the table into a study's folder, in one step."""
    ordered = sorted(rows, key=lambda row: row.number)
    columns = [pa.array([_cell(getattr(row, name)) for row in ordered], SCHEMA.field(name).type) for name in COLUMNS]
    path = Path(folder) / TABLE_NAME
    write_arrow(path, pa.table(columns, schema=SCHEMA.with_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})))
    return path


def read_evaluation(folder: str | Path) -> list[EvaluationRow]:
    """The rows of a study's folder; none where nothing was evaluated. ValueError where the file is another one."""
    path = Path(folder) / TABLE_NAME
    if not path.exists():
        return []
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is no evaluation table: it is not a Parquet file ({error})") from error
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path} is an evaluation table of version {version}, this program reads version {SCHEMA_VERSION}; "
            "`igcv evaluate` writes it anew from its study"
        )
    return [EvaluationRow(**{name: _value(cell) for name, cell in row.items()}) for row in table.to_pylist()]


def environment_of(row: EvaluationRow) -> dict[str, str]:
    """Versions, machine and commit under which a training was recorded."""
    found: dict[str, str] = json.loads(row.environment)
    return found


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _value(cell: Any) -> Any:
    return tuple(cell) if isinstance(cell, list) else cell
