"""The trial table: one row for each trial of a study, as an Arrow schema, a Parquet file, and frozen records.

The table is a projection of a study: one writer, rebuildable at any time. What belongs to the study and not to a trial
(`StudyFacts`) stands in the schema's metadata as JSON. Accuracies are fractions, times are seconds since the epoch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from search_spaces.networks import Value

SCHEMA_VERSION = "1"
VERSION_KEY, FACTS_KEY = b"igcv.trial_table", b"igcv.study"

State = Literal["queued", "training", "paused", "lost", "complete", "pruned", "failed"]
Source = Literal["search", "reference", "evaluation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPoint:
    """One epoch of a learning curve; epochs count from 1, `seconds` are this epoch's own."""

    epoch: int
    accuracy: float
    train_loss: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """One stay of a trial on a worker. `ended`: paused, complete, pruned, failed or lost; None while it trains."""

    worker: str
    started_at: float
    ended_at: float | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial. None where something is not known (yet); costs are those of `search_spaces.cost`."""

    number: int
    key: str  # the trial's key, unique in the study
    plan_key: str  # Plan.key: equal for equal networks
    name: str  # short and readable: the architecture's, or a reference network's own
    family: str
    state: State
    reference: str | None = None  # name of the reference network; references never count as found
    source: Source = "search"
    parameters: Mapping[str, Value] = field(default_factory=dict)  # `family.name` -> value
    plan: str | None = None  # search_spaces.plan.plan_to_json
    accuracy: float | None = None  # validation accuracy after the last epoch, of complete trials only
    accuracy_std: float | None = None  # over `seeds` trainings, where evaluated
    seeds: int | None = None
    published_accuracy: float | None = None  # of a reference network, from its paper
    published_params: float | None = None
    published_macs: float | None = None
    params: int | None = None
    params_conv: int | None = None
    params_norm: int | None = None
    params_linear: int | None = None
    macs: int | None = None
    flops: int | None = None
    activation_bytes: int | None = None
    depth: int | None = None
    latency_ms: float | None = None  # in use, one image; medians
    batch_latency_ms: float | None = None
    inference_memory_mib: float | None = None
    images_per_second: float | None = None
    peak_memory_mib: float | None = None
    seconds: float | None = None  # of training, all attempts that counted
    gpu_seconds: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    worker: str | None = None
    attempts: int = 0
    losses: int = 0  # workers lost while they trained this trial
    stints: tuple[Stint, ...] = ()
    epochs: tuple[EpochPoint, ...] = ()
    failure_kind: str | None = None
    failure_message: str | None = None
    failure_traceback: str | None = None
    seed: int | None = None
    recipe: str | None = None
    micro_batch: int | None = None
    device: str | None = None
    threads: int | None = None
    forms: tuple[str, ...] = ()
    mlflow_run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """What a reader must know of the study as a whole. `limits` are budget limits by column: {"macs": 1e7}."""

    study: str
    objectives: tuple[str, ...] = ("accuracy", "macs")
    experiment_hash: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)  # upper
    lower_limits: Mapping[str, float] = field(default_factory=dict)
    reference_point: tuple[float, ...] | None = None  # of the hypervolume; minimised (error, macs, …)
    families: tuple[str, ...] = ()
    data: str = ""
    class_names: tuple[str, ...] = ()
    recipe: str = ""
    epochs: int | None = None  # of a full training
    rungs: tuple[int, ...] = ()  # epochs at which trials are compared and paused
    sampler: str = ""
    trials_asked: int | None = None
    workers: int | None = None
    seed: int | None = None
    mlflow_url: str | None = None  # of the study's page
    created_at: float | None = None
    updated_at: float | None = None


_EPOCHS = pa.list_(
    pa.struct(
        [
            ("epoch", pa.int32()),
            ("accuracy", pa.float64()),
            ("train_loss", pa.float64()),
            ("seconds", pa.float64()),
        ]
    )
)
_STINTS = pa.list_(
    pa.struct(
        [("worker", pa.string()), ("started_at", pa.float64()), ("ended_at", pa.float64()), ("ended", pa.string())]
    )
)
_TYPES: Mapping[str, pa.DataType] = {
    "int": pa.int64(),
    "int | None": pa.int64(),
    "float | None": pa.float64(),
    "str": pa.string(),
    "str | None": pa.string(),
    "State": pa.string(),
    "Source": pa.string(),
    "Mapping[str, Value]": pa.string(),  # JSON
    "tuple[str, ...]": pa.list_(pa.string()),
    "tuple[EpochPoint, ...]": _EPOCHS,
    "tuple[Stint, ...]": _STINTS,
}
_RECORDS: Mapping[str, type[EpochPoint] | type[Stint]] = {"epochs": EpochPoint, "stints": Stint}
_NEVER_NULL = ("number", "key", "plan_key", "name", "family", "state", "source")
COLUMNS = tuple(field.name for field in fields(TrialRow))
HEAVY_COLUMNS = ("plan", "epochs", "stints", "failure_traceback")  # what a view of all trials can do without
SCHEMA = pa.schema(
    [
        pa.field(
            field.name,
            pa.large_string() if field.name == "plan" else _TYPES[str(field.type)],
            nullable=field.name not in _NEVER_NULL,
        )
        for field in fields(TrialRow)
    ]
)


def to_table(rows: Iterable[TrialRow], facts: StudyFacts) -> pa.Table:
    """The rows as an Arrow table with the study's facts in its metadata."""
    rows = list(rows)
    columns = [pa.array([_to_cell(getattr(row, name)) for row in rows], SCHEMA.field(name).type) for name in COLUMNS]
    return pa.table(columns, schema=SCHEMA.with_metadata(_metadata(facts)))


def rows_from_table(table: pa.Table) -> list[TrialRow]:
    """The rows in the order of their numbers. Columns that were not read keep the record's default."""
    names = [name for name in COLUMNS if name in table.column_names]
    columns = [_from_column(name, table.column(name)) for name in names]
    rows = [TrialRow(**dict(zip(names, cells, strict=True))) for cells in zip(*columns, strict=True)]
    return sorted(rows, key=lambda row: row.number)


def facts_from_table(table: pa.Table) -> StudyFacts:
    """The study's facts. ValueError where the table is no trial table, or of another version."""
    metadata = table.schema.metadata or {}
    check_version(metadata, "this table")
    return facts_from_json(metadata[FACTS_KEY])


def write_table(path: str | Path, rows: Iterable[TrialRow], facts: StudyFacts) -> None:
    """Writes the Parquet file whole or not at all."""
    write_arrow(path, to_table(rows, facts))


def write_arrow(path: str | Path, table: pa.Table) -> None:
    """Writes a trial table to a file beside `path` and puts it in place in one step."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        pq.write_table(table, unfinished, compression="zstd")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_arrow(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a trial table's file, or those of some columns that it has. ValueError where the file is none."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is no trial table: it is not a Parquet file ({error})") from error
    check_version(schema.metadata or {}, str(path))
    known = None if columns is None else [name for name in columns if name in schema.names]
    return pq.read_table(path, columns=known, partitioning=None)


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> tuple[list[TrialRow], StudyFacts]:
    """The rows and facts of one file. `columns` must hold the record's required ones (see `light_columns`)."""
    table = read_arrow(path, columns)
    return rows_from_table(table), facts_from_table(table)


def light_columns() -> tuple[str, ...]:
    """All columns but the heavy ones (plan, curves, stints, tracebacks)."""
    return tuple(name for name in COLUMNS if name not in HEAVY_COLUMNS)


def check_version(metadata: Mapping[bytes, bytes], what: str) -> None:
    """ValueError unless the metadata are those of a trial table of this version."""
    version = metadata.get(VERSION_KEY)
    if version is None or FACTS_KEY not in metadata:
        raise ValueError(f"{what} is no trial table: the key {VERSION_KEY.decode()!r} is missing from its metadata")
    if version.decode() != SCHEMA_VERSION:
        raise ValueError(
            f"{what} is a trial table of version {version.decode()}, this program reads version {SCHEMA_VERSION}; "
            "write it anew from its study"
        )


def _metadata(facts: StudyFacts) -> dict[bytes, bytes]:
    return {VERSION_KEY: SCHEMA_VERSION.encode(), FACTS_KEY: json.dumps(asdict(facts)).encode()}


def facts_from_json(text: bytes | str) -> StudyFacts:
    """Facts as they stand in a table's metadata; keys of another version are left out."""
    values: dict[str, Any] = json.loads(text)
    known = {field.name for field in fields(StudyFacts)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in known
    }
    return StudyFacts(**given)


def _to_cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()  # lone surrogates of broken file names
    if isinstance(value, tuple):
        return [_to_struct(item) if isinstance(item, EpochPoint | Stint) else item for item in value]
    return value


def _to_struct(record: EpochPoint | Stint) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _from_column(name: str, column: pa.ChunkedArray) -> list[Any]:
    """A column's cells as the record wants them."""
    if name in _RECORDS:
        return [cell for chunk in column.chunks for cell in _from_structs(_RECORDS[name], chunk)]
    cells: list[Any] = column.to_pylist()
    match name:
        case "parameters":
            return [json.loads(cell) if cell else {} for cell in cells]
        case "forms":
            return [tuple(cell or ()) for cell in cells]
        case "attempts" | "losses":
            return [cell or 0 for cell in cells]
        case _:
            return cells


def _from_structs(record: type[EpochPoint] | type[Stint], chunk: pa.ListArray) -> Iterator[tuple[Any, ...]]:
    """The lists of one chunk, made field by field: a dictionary for each struct would be several times slower."""
    names = [field.name for field in fields(record)]
    structs = chunk.flatten()
    values = [structs.field(name).to_pylist() for name in names]
    records = [record(**dict(zip(names, cells, strict=True))) for cells in zip(*values, strict=True)]
    end = 0
    for length in pc.fill_null(pc.list_value_length(chunk), 0).to_pylist():
        start, end = end, end + length
        yield tuple(records[start:end])
