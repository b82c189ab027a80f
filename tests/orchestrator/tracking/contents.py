"""All that an MLflow store holds, read from its database without MLflow, so that two stores can be compared."""

import sqlite3
from collections.abc import Iterator
from typing import Any

Cells = tuple[Any, ...]

RUNS = """SELECT run_uuid, name, status, start_time, end_time, user_id, source_type, source_name, entry_point_name,
    source_version, experiment_id FROM runs WHERE lifecycle_stage = 'active'"""
TAGS = "SELECT run_uuid, key, value FROM tags JOIN runs USING (run_uuid) WHERE lifecycle_stage = 'active'"
MODELS = "SELECT model_id, name, status, model_type FROM logged_models WHERE lifecycle_stage = 'active'"
MODEL_PARTS = (
    "SELECT model_id, 'tag', tag_key, tag_value FROM logged_model_tags",
    "SELECT model_id, 'param', param_key, param_value FROM logged_model_params",
    "SELECT model_id, metric_name, metric_value, metric_timestamp_ms, metric_step FROM logged_model_metrics",
)


def contents(uri: str) -> dict[str, Any]:
    """Without what no two stores share: ids, system metrics, and what the machine is like."""
    database = sqlite3.connect(uri.removeprefix("sqlite:///"))
    names = _names(database)
    found: dict[str, Any] = {
        "runs": {names[run]: rest for run, *rest in database.execute(RUNS)},
        "models": _models(database),
        "data": database.execute("SELECT name, digest, dataset_source, dataset_profile FROM datasets").fetchall(),
        "versions": database.execute("SELECT name, version, description FROM model_versions").fetchall(),
    }
    for table in ("tags", "params", "metrics", "latest_metrics"):
        found[table] = sorted(_rows(database, table, names))
    database.close()
    return found


def tags(uri: str) -> dict[str, dict[str, str]]:
    """Tags by trial key; those of the study by `study`."""
    found: dict[str, dict[str, str]] = {}
    for run, key, value in contents(uri)["tags"]:
        found.setdefault(run, {})[key] = value
    return found


def metrics(uri: str, run: str, key: str) -> list[tuple[int, float]]:
    """A metric's history as (step, value)."""
    rows = contents(uri)["metrics"]
    return sorted((int(step), float(value)) for name, _, metric, step, _, value in rows if (name, metric) == (run, key))


def _names(database: sqlite3.Connection) -> dict[str, str]:
    """Runs by what they are called in their tags: the trial's key, or `study`."""
    found: dict[str, dict[str, str]] = {}
    for run, key, value in database.execute(TAGS):
        found.setdefault(run, {})[key] = value
    return {run: values.get("trial_key", values["kind"]) for run, values in found.items()}


def _models(database: sqlite3.Connection) -> dict[str, list[Cells]]:
    models: dict[str, list[Cells]] = {model: [tuple(rest)] for model, *rest in database.execute(MODELS)}
    for query in MODEL_PARTS:
        for model, *rest in database.execute(query):
            if model in models:
                models[model].append(tuple(rest))
    by_key = {}
    for parts in models.values():
        key = next(part[2] for part in parts if part[:2] == ("tag", "trial_key"))
        assert key not in by_key, f"two models of {key}"
        by_key[key] = sorted(parts, key=str)
    return by_key


def _rows(database: sqlite3.Connection, table: str, names: dict[str, str]) -> Iterator[Cells]:
    cursor = database.execute(f"SELECT * FROM {table}")  # a name from above
    columns = [column[0] for column in cursor.description]
    for cells in cursor:
        cell = dict(zip(columns, cells, strict=True))
        run = names.get(cell.pop("run_uuid"))
        if run is None or cell["key"].startswith(("system/", "environment.")):
            continue
        if cell["key"] == "mlflow.parentRunId":
            cell["value"] = names[cell["value"]]
        yield (run, *(str(cell[column]) for column in sorted(cell)))
