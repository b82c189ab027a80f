"""A real MLflow server on loopback, which takes some seconds to start: what its pages get, and an outage."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.tracking import live
from orchestrator.tracking.address import PAGE, open_command
from orchestrator.tracking.open import open_tracker
from orchestrator.tracking.sync import sync_study
from tests.orchestrator.tracking.contents import contents
from tests.orchestrator.tracking.making import PLAN, facts, mixed, row
from tests.orchestrator.tracking.serving import Server

OUTAGE_SECONDS = 3.0

pytestmark = pytest.mark.timeout(600)  # a server may take half a minute to start on a busy machine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Server], Server]]:
    """Starts servers, and stops them at the end."""
    servers: list[Server] = []

    def started(server: Server) -> Server:
        servers.append(server)
        server.start()
        return server

    yield started
    for server in servers:
        server.stop()


def test_the_command_that_is_printed_opens_the_study(
    uri: str, tmp_path: Path, start: Callable[[Server], Server]
) -> None:
    rows = mixed(8)
    (tmp_path / "runs" / "report.html").write_text("<h1>the report</h1>")
    sync_study(uri, tmp_path / "runs", rows, facts())
    command = shlex.split(open_command(uri))
    assert command[-2:] == ["--port", PAGE.rpartition(":")[2]]
    server = start(Server(command[:-2], tmp_path / "log"))

    assert b"<title>MLflow</title>" in server.get("/")
    experiment = json.loads(server.get("/api/2.0/mlflow/experiments/get-by-name?experiment_name=digits"))["experiment"]
    runs = server.post("runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    by_key = {_tags(run).get("trial_key", "study"): run for run in runs}
    study = by_key["study"]["info"]["run_id"]
    assert by_key.keys() == {"study", *(each.key for each in rows)}
    assert all(_tags(run)["mlflow.parentRunId"] == study for key, run in by_key.items() if key != "study")

    trial = by_key["digits/0"]["info"]["run_id"]
    history = json.loads(
        server.get(f"/api/2.0/mlflow/metrics/get-history?run_id={trial}&metric_key=validation_accuracy")
    )
    points = sorted((int(point["step"]), point["value"]) for point in history["metrics"])
    assert points == [(each.epoch, each.accuracy) for each in rows[0].epochs]
    assert server.get(f"/get-artifact?path=report.html&run_uuid={study}") == b"<h1>the report</h1>"
    assert server.get(f"/get-artifact?path=plan.json&run_uuid={trial}").decode() == PLAN


def test_an_outage_of_a_server_loses_nothing(
    make_store: Callable[[str], str],
    tmp_path: Path,
    start: Callable[[Server], Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "SECONDS_BETWEEN_BATCHES", 0.1)
    was, rebuilt = make_store("served"), make_store("rebuilt")
    server = start(Server.of_a_team(was, tmp_path / "files", tmp_path / "log"))
    report, table = tmp_path / "rebuilt" / "report.html", tmp_path / "rebuilt" / "trials.parquet"
    report.write_text("<h1>the report</h1>")
    table.write_text("the table")
    said: list[str] = []
    ends = mixed(9)

    tracker = open_tracker(server.url, facts(), said.append)
    tracker.update([replace(end, state="training", epochs=end.epochs[:2], accuracy=None) for end in ends])
    _wait(lambda: tracker.run_id(ends[0].key) is not None)
    tracker.update(ends[:5])  # some of them arrive, some are on their way
    server.stop()
    began = time.monotonic()
    tracker.update(ends[5:])
    _wait(lambda: any("does not answer" in text for text in said))
    time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))
    server.start()
    assert tracker.close(report, table, timeout=120)

    sync_study(rebuilt, tmp_path / "rebuilt", ends, facts())
    one, other = contents(was), contents(rebuilt)
    assert one["runs"] == other["runs"]
    for kind in ("tags", "params", "metrics", "models"):
        assert one[kind] == other[kind]
    assert [text for text in said if "does not answer" in text] == said
    assert len(said) == 1
    assert len(list((tmp_path / "files").rglob("report.html"))) == 1
    assert len(list((tmp_path / "files").rglob("plan.json"))) == len(list((tmp_path / "rebuilt").rglob("plan.json")))


def test_a_server_that_is_away_is_told_of_without_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        sync_study("http://127.0.0.1:9", tmp_path, [row(0)], facts())


def _tags(run: dict[str, dict[str, list[dict[str, str]]]]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
