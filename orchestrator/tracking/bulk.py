"""Many new runs at once, for rebuilding a store: inserted into MLflow's own tables in one transaction.

MLflow's client takes some 40 ms a run on a database, all of it Python and one transaction for each part of a run. The
tables are read from the database that MLflow set up, so nothing here is an MLflow class; whatever does not fit them
(a newer schema, a foreign database) is answered by False, and the client does the work. A test compares the two ways.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import MetaData, Table, create_engine
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.tracking.differences import StoredRun
from orchestrator.tracking.records import NAME_TAG, Point, RunRecord

TABLES = ("runs", "tags", "params", "metrics", "latest_metrics")
WORTH_IT = 20  # new runs
LARGEST = 1.7976931348623157e308  # what MLflow writes for an infinity
Row = dict[str, Any]


def new_run(record: RunRecord, artifact_location: str) -> StoredRun:
    """The run that `insert_runs` is going to make of a record; its artifacts may be written before it."""
    run_id = uuid.uuid4().hex
    points = sorted(record.curve + record.metrics, key=lambda point: (point.step, point.at_ms))
    return StoredRun(
        run_id=run_id,
        artifact_uri=f"{artifact_location.rstrip('/')}/{run_id}/artifacts",
        status=record.status,
        start_ms=record.start_ms,
        end_ms=record.end_ms,
        tags=dict(record.tags),
        params=dict(record.params),
        metrics={point.key: point.value for point in points},
    )


def insert_runs(uri: str, experiment_id: str, records: Sequence[RunRecord], runs: Sequence[StoredRun]) -> bool:
    """Inserts the runs of records as the client would have left them; False where the database does not take them."""
    try:
        engine = create_engine(uri)
        try:
            metadata = MetaData()
            tables = {name: Table(name, metadata, autoload_with=engine) for name in TABLES}
            rows = _rows(experiment_id, records, runs)
            with engine.begin() as connection:
                for name in TABLES:
                    if rows[name]:
                        connection.execute(tables[name].insert(), rows[name])
        finally:
            engine.dispose()
    except SQLAlchemyError:
        return False
    return True


def _rows(experiment_id: str, records: Sequence[RunRecord], runs: Sequence[StoredRun]) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    for record, run in zip(records, runs, strict=True):
        rows["runs"].append(_run_row(experiment_id, run))
        rows["tags"] += [{"key": key, "value": value, "run_uuid": run.run_id} for key, value in run.tags.items()]
        rows["params"] += [{"key": key, "value": value, "run_uuid": run.run_id} for key, value in run.params.items()]
        points = record.curve + record.metrics
        rows["metrics"] += [_metric_row(point, run.run_id) for point in points]
        rows["latest_metrics"] += [_metric_row(point, run.run_id) for point in _latest(points)]
    return rows


def _run_row(experiment_id: str, run: StoredRun) -> Row:
    return {
        "run_uuid": run.run_id,
        "name": run.tags[NAME_TAG],
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "unknown",
        "status": run.status,
        "start_time": run.start_ms,
        "end_time": run.end_ms,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": run.artifact_uri,
        "experiment_id": int(experiment_id),
    }


def _metric_row(point: Point, run_id: str) -> Row:
    is_nan = point.value != point.value
    value = 0.0 if is_nan else max(-LARGEST, min(LARGEST, point.value))
    return {
        "key": point.key,
        "value": value,
        "timestamp": point.at_ms,
        "run_uuid": run_id,
        "step": point.step,
        "is_nan": is_nan,
    }


def _latest(points: Sequence[Point]) -> Iterator[Point]:
    """Of each metric the point with the last step, then time, then value: MLflow's order."""
    newest: dict[str, Point] = {}
    for point in sorted(points, key=lambda point: (point.step, point.at_ms, point.value)):
        newest[point.key] = point
    yield from newest.values()
