"""How fast a study is synced to MLflow, beside a client that logs value by value: python -m tests.benchmarks.bench_track

Both write the same runs to SQLite stores of their own on this machine. The naive client does what a training script
does: a run, then `log_param`, `set_tag` and `log_metric` for each value; it is timed on a sample of the trials, and the
ratio is of seconds a trial. `--server` puts an MLflow server before both stores.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import click
from mlflow import MlflowClient

from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import ARTIFACTS_NAME, tracking_uri
from orchestrator.tracking.environment import environment
from orchestrator.tracking.records import RunRecord, run_record
from orchestrator.tracking.store import Store
from orchestrator.tracking.sync import sync_study
from tests.orchestrator.tracking.making import facts, mixed
from tests.orchestrator.tracking.serving import Server


@click.command()
@click.option("--trials", default=10_000, show_default=True, help="Synced by us.")
@click.option("--sample", default=50, show_default=True, help="Of them, logged by the naive client each time.")
@click.option("--repeats", default=3, show_default=True, help="Runs of the naive client.")
@click.option("--server", "with_server", is_flag=True, help="Over HTTP, through an MLflow server for each store.")
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON on stdout.")
def main(trials: int, sample: int, repeats: int, with_server: bool, as_json: bool) -> None:
    """Measures trials synced a second, a second sync that finds nothing to do, and the naive client."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    rows, study = mixed(trials), facts("synced")
    with tempfile.TemporaryDirectory() as name:
        with _store(Path(name) / "ours", with_server) as uri:
            folder = Path(name) / "ours"
            first = _timed(lambda: sync_study(uri, folder, rows, study, environment=environment()))
            again = _timed(lambda: sync_study(uri, folder, rows, study, environment=environment()))
        with _store(Path(name) / "naive", with_server) as uri:
            files = None if with_server else str(Path(name) / "naive" / ARTIFACTS_NAME)
            naive = [_naive(uri, files, rows[:sample], study, repeat) for repeat in range(repeats)]
    result = {
        "trials": len(rows),
        "over": "http" if with_server else "sqlite",
        "seconds": first,
        "trials_a_second": len(rows) / first,
        "second_sync_seconds": again,
        "naive_sample": sample,
        "naive_trials_a_second": [sample / seconds for seconds in naive],
        "ratio": sorted(seconds / sample for seconds in naive)[len(naive) // 2] / (first / len(rows)),
    }
    click.echo(json.dumps(result) if as_json else "\n".join(f"{key:<22}{value}" for key, value in result.items()))


@contextmanager
def _store(folder: Path, with_server: bool) -> Iterator[str]:
    """An empty store, set up before anything is timed."""
    folder.mkdir()
    uri = tracking_uri("local", folder)
    assert uri is not None
    Store.connect(uri, "empty", str(folder / ARTIFACTS_NAME))
    if not with_server:
        yield uri
        return
    server = Server.of_a_team(uri, folder / ARTIFACTS_NAME, folder / "server.log")
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def _naive(uri: str, files: str | None, rows: Sequence[TrialRow], study: StudyFacts, repeat: int) -> float:
    """The same values one by one, with what every script does and no more."""
    client = MlflowClient(uri)
    experiment = client.create_experiment(f"naive-{repeat}", artifact_location=files)
    records = [record for row in rows if (record := run_record(row, study, is_front=False, parent="")) is not None]
    return _timed(lambda: [_log(client, experiment, record) for record in records])


def _log(client: MlflowClient, experiment: str, record: RunRecord) -> None:
    run = client.create_run(experiment, start_time=record.start_ms, run_name=record.name).info.run_id
    for key, value in record.params.items():
        client.log_param(run, key, value)
    for key, value in record.tags.items():
        client.set_tag(run, key, value)
    for point in (*record.curve, *record.metrics):
        client.log_metric(run, point.key, point.value, point.at_ms, point.step)
    for name, text in record.texts.items():
        client.log_text(run, text, name)
    client.set_terminated(run, record.status, record.end_ms)


def _timed(act: object) -> float:
    assert callable(act)
    began = perf_counter()
    act()
    return perf_counter() - began


if __name__ == "__main__":
    main()
