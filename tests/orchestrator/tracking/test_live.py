"""Tracking while a search runs: beside it, never in its way."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.tracking import live
from orchestrator.tracking.address import page, redact
from orchestrator.tracking.open import NoTracker, open_tracker
from orchestrator.tracking.sync import sync_study
from tests.orchestrator.tracking.contents import contents, tags
from tests.orchestrator.tracking.making import facts, failed, mixed, row, training

NOWHERE = "http://me:hidden@127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SECONDS_BETWEEN_BATCHES", 0.0)


def files(folder: Path) -> tuple[Path, Path]:
    report, table = folder / "report.html", folder / "trials.parquet"
    report.write_text("<h1>report</h1>")
    table.write_text("table")
    return report, table


def test_what_was_tracked_live_is_what_a_rebuild_makes(make_store: Callable[[str], str], tmp_path: Path) -> None:
    was, rebuilt, said = make_store("live"), make_store("rebuilt"), list[str]()
    ends = mixed(6)
    tracker = open_tracker(was, facts(), said.append)
    for end in ends:
        for epochs in (1, 2):
            if end.epochs:
                tracker.update([replace(end, state="training", epochs=end.epochs[:epochs], accuracy=None)])
        tracker.update([end])
    assert tracker.close(*files(tmp_path / "live"), timeout=60)
    files(tmp_path / "rebuilt")
    sync_study(rebuilt, tmp_path / "rebuilt", ends, facts())
    one, other = contents(was), contents(rebuilt)
    assert one["runs"] == other["runs"]
    assert {table: one[table] for table in ("tags", "params", "metrics")} == {
        table: other[table] for table in ("tags", "params", "metrics")
    }
    assert said == []


def test_a_resumed_search_goes_on_in_its_runs(uri: str, tmp_path: Path) -> None:
    first = open_tracker(uri, facts(), print)
    first.update([row(0), training(1, 2), training(2, 1)])
    assert first.close(*files(tmp_path), timeout=60)
    before = contents(uri)["runs"]
    second = open_tracker(uri, facts(), print)
    second.update([row(0), training(1, 5), failed(2)])
    second.update([row(1)])
    assert second.close(*files(tmp_path), timeout=60)
    after = contents(uri)["runs"]
    assert before.keys() == after.keys()
    assert after["digits/0"] == before["digits/0"]
    assert [after[key][1] for key in ("study", "digits/1", "digits/2")] == ["FINISHED", "FINISHED", "FAILED"]


def test_the_study_s_run_tells_of_machine_and_versions(uri: str, tmp_path: Path) -> None:
    tracker = open_tracker(uri, facts(), print)
    tracker.update([row(0)])
    assert tracker.close(*files(tmp_path), timeout=60)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    study = client.search_runs([experiment.experiment_id], "tags.kind = 'study'")[0]
    assert {"environment.python", "environment.mlflow", "environment.torch"} <= study.data.tags.keys()
    assert "system/cpu_utilization_percentage" in study.data.metrics
    assert tracker.run_id("digits/0") is not None
    assert tracker.study_page() == page(uri, experiment.experiment_id, study.info.run_id)


def test_a_new_store_is_set_up_and_told_of(tmp_path: Path) -> None:
    said: list[str] = []
    uri = f"sqlite:///{tmp_path}/a b/mlflow.db"
    tracker = open_tracker(uri, facts(), said.append)
    tracker.update([row(0)])
    assert tracker.close(*files(tmp_path), timeout=120)
    assert [text.split(" ")[0] for text in said] == ["setting"]
    assert tags(uri)["digits/0"]["state"] == "complete"
    assert list((tmp_path / "a b" / "artifacts").rglob("report.html"))


def test_a_store_that_never_answers_is_told_of_once_and_stops_nobody(tmp_path: Path) -> None:
    said: list[str] = []
    tracker = open_tracker(NOWHERE, facts(), said.append)
    for number in range(50):
        tracker.update([row(number)])
    assert not tracker.close(*files(tmp_path), timeout=5)
    assert [text.split(" ")[3] for text in said if "does not answer" in text] == ["does"]
    assert "igcv track digits" in said[-1]
    assert not any("hidden" in text for text in said)
    assert redact(NOWHERE) in said[0]
    assert tracker.run_id("digits/0") is None


def test_an_error_of_the_tracker_s_own_ends_tracking_and_not_the_search(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(live, "environment", lambda: 1 / 0)
    tracker = open_tracker(uri, facts(), said.append)
    tracker.update([row(0)])
    assert not tracker.close(*files(tmp_path), timeout=60)
    assert "ZeroDivisionError" in said[0]
    assert "igcv track digits" in said[1]


def test_a_file_that_is_gone_for_a_moment_is_waited_for(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    faults = iter([FileNotFoundError(2, "No such file or directory", "/tmp/here")])
    real = live.environment

    def environment() -> Mapping[str, str]:
        for fault in faults:
            raise fault
        return real()

    monkeypatch.setattr(live, "environment", environment)
    tracker = open_tracker(uri, facts(), said.append)
    tracker.update([row(0)])
    assert tracker.close(*files(tmp_path), timeout=120)
    assert ["/tmp/here" in text and "the search goes on" in text for text in said] == [True]
    assert tags(uri)["digits/0"]["state"] == "complete"


def test_off_takes_everything_and_keeps_nothing(tmp_path: Path) -> None:
    tracker = open_tracker(None, facts(), print)
    assert isinstance(tracker, NoTracker)
    tracker.update([row(0)])
    assert tracker.close(tmp_path, tmp_path)


def test_mlflow_is_imported_only_where_something_is_tracked() -> None:
    code = "import sys, orchestrator.tracking.open; assert not {'mlflow', 'torch', 'ray'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
