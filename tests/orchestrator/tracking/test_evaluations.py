"""Evaluations and single trainings as runs in a real MLflow store: below the study's run, and never twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dashboards.table import write_table
from orchestrator.evaluation.tracking import track_evaluation
from orchestrator.tracking.store import Store
from orchestrator.tracking.sync import sync_study
from orchestrator.training.run import Machine, train_one
from orchestrator.training.wanted import Asked, complete
from tests.dashboards.test_evaluation_table import ROW
from tests.orchestrator.tracking.making import BEGAN, facts, row
from workers.records import EpochReport, Message, Metrics, TrainRequest

DONE = replace(ROW, started_at=BEGAN, ended_at=BEGAN + 3, seconds=3.0)
ROWS = [
    DONE,
    replace(DONE, number=1, split="validation", curve=(0.4, 0.5), accuracy=0.5),
    replace(DONE, number=2, seed=2, state="failed", accuracy=None, failure_kind="nan", failure_message="no number"),
]


def contents(uri: str, experiment: str) -> list[tuple[object, ...]]:
    """Every run with all that it holds."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return sorted(
        (run.info.run_id, run.info.status, *(sorted(part.items()) for part in (run.data.tags, run.data.metrics)))
        for run in client.search_runs([found.experiment_id])
    )


def test_evaluations_stand_below_their_study_and_are_written_once(uri: str, tmp_path: Path) -> None:
    said: list[str] = []
    write_table(tmp_path / "trials.parquet", [row(0)], facts())
    track_evaluation(tmp_path, ROWS, uri, said.append)
    before = contents(uri, "digits")
    track_evaluation(tmp_path, ROWS, uri, said.append)
    sync_study(uri, tmp_path, [row(0)], facts())
    track_evaluation(tmp_path, ROWS, uri, said.append)
    assert not said
    after = contents(uri, "digits")
    assert {run[0] for run in before} < {run[0] for run in after}

    store = Store.connect(uri, "digits", None)
    parent = next(iter(store.runs("study")))
    runs = {run.tags["trial_key"]: run for run in store.runs("evaluation")}
    assert sorted(runs) == ["digits/evaluation/0", "digits/evaluation/1", "digits/evaluation/2"]
    assert {run.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.run_id}
    first = runs["digits/evaluation/0"]
    assert (first.status, first.metrics["test_accuracy"], first.params["seed"]) == ("FINISHED", 0.9, "1")
    assert "accuracy" not in first.metrics
    assert first.tags["environment.torch"] == "2"
    assert runs["digits/evaluation/1"].metrics["accuracy"] == 0.5
    assert runs["digits/evaluation/2"].status == "FAILED"


def test_an_outage_is_said_and_costs_no_result(tmp_path: Path) -> None:
    said: list[str] = []
    write_table(tmp_path / "trials.parquet", [row(0)], facts())
    track_evaluation(tmp_path, ROWS, "http://user:word@127.0.0.1:9", said.append)
    assert len(said) == 1
    assert "word" not in said[0]


def half(request: TrainRequest) -> Iterator[Message]:
    """Dies after the first of ten epochs."""
    yield _epoch(request, 1)
    raise KeyboardInterrupt


def whole(request: TrainRequest) -> Iterator[Message]:
    """Says all epochs as a training does that began anew."""
    curve = tuple(_epoch(request, epoch) for epoch in range(1, 11))
    yield from curve
    yield Metrics(
        key=request.key,
        accuracy=0.75,
        epochs=10,
        seconds=10.0,
        images_per_second=1.0,
        peak_memory_mib=1.0,
        device="cpu",
        threads=1,
        curve=curve,
    )


def _epoch(request: TrainRequest, epoch: int) -> EpochReport:
    accuracy = 0.25 + epoch / 20
    return EpochReport(
        key=request.key, epoch=epoch, accuracy=accuracy, train_loss=1 / epoch, learning_rate=0.1, seconds=1.0
    )


def test_a_training_is_one_run_also_when_it_is_interrupted(uri: str, tmp_path: Path) -> None:
    wanted = complete(Asked(name="igcv2-c64-d8", data={"name": "digits"}, recipe="search"))
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        train_one(wanted, tmp_path / "t", uri, Machine(), said.append, f"{__name__}:half")
    for _ in range(2):
        train_one(wanted, tmp_path / "t", uri, Machine(), said.append, f"{__name__}:whole")
    runs = list(Store.connect(uri, "trainings", None).runs("training"))
    assert len(runs) == 1
    run = runs[0]
    assert (run.status, run.metrics["accuracy"], run.metrics["macs"]) == ("FINISHED", 0.75, 521_216)
    assert (run.params["recipe"], run.params["recipe.epochs"], run.params["data"]) == ("search", "10", "digits")
    assert run.has_data
    assert run.tags["environment.python"]
    history = MlflowClient(uri).get_metric_history(run.run_id, "validation_accuracy")
    assert [(point.step, point.value) for point in history] == [(epoch, 0.25 + epoch / 20) for epoch in range(1, 11)]
    assert not any("MLflow at" in line for line in said), said
