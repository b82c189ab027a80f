"""`igcv measure` on references, files, and a study's networks."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import igcv
from orchestrator.evaluation.measurements import keep_measurements, kept_measurements
from orchestrator.locate import locate, read_rows
from orchestrator.running import run_search
from orchestrator.study import Study, claim, open_storage
from orchestrator.targets import trained_networks
from tests.orchestrator.conftest import make_experiment
from tests.orchestrator.test_decisions_measured import measured as record

QUICK = ["--threads", "1", "--repeats", "3", "--batch", "4", "--json"]


def measured(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(igcv, ["measure", *arguments, *QUICK])
    assert result.exit_code == 0, result.exception
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_a_front_is_measured_in_a_process_of_its_own_and_what_was_found_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_search(make_experiment(Path("runs"), trials=2, training={"epochs": 1, "batch_size": 512}))
    front = json.loads(CliRunner().invoke(igcv, ["front", "small", "--json"]).stdout)
    before = dict(os.environ)
    found = measured("small")
    assert [one["number"] for one in found] == [one["number"] for one in front]
    assert all(one["latency_ms"]["n"] == 3 and one["macs"] for one in found)
    assert dict(os.environ) == before, "the worker's variables stayed behind"
    check_kept(found)
    run_search(make_experiment(Path("runs"), trials=3, training={"epochs": 1, "batch_size": 512}))
    check_kept(found)
    assert [one.number for one in trained_networks("small:1")] == [1]
    with pytest.raises(ValueError, match="no trial '7'; its trials are numbered 0 to 2"):
        trained_networks("small:7")


def check_kept(told: list[dict[str, Any]]) -> None:
    """In the study of evaluations and in the table, also once its search went on."""
    storage = open_storage("runs/small/study.journal")
    kept = kept_measurements(storage, "small")
    rows = {row.number: row for row in read_rows("small")[0]}
    for one in told:
        median = one["latency_ms"]["median"]
        assert kept[one["number"]].latency_ms.median == rows[one["number"]].latency_ms == median
        assert rows[one["number"]].inference_memory_mib == one["inference_memory_mib"]
    assert sum(row.latency_ms is not None for row in rows.values()) == len(told)


def test_a_second_measurement_replaces_the_first_under_the_same_conditions_alone(tmp_path: Path) -> None:
    run_search(make_experiment(tmp_path, trials=1, training={"epochs": 1, "batch_size": 512}))
    found = locate(str(tmp_path / "small"))
    lease = claim(found.storage, "small/evaluation")
    storage = open_storage(found.storage, print)
    for now, one in enumerate((record(3.0), record(2.0), replace(record(1.0), threads=2))):
        keep_measurements(found, storage, lease, {0: one}, float(now))
    lease.release()
    kept = Study.open(storage, "small/evaluation").attributes()["measured 0"]
    assert [(one["at"], one["threads"], one["latency_ms"]["median"]) for one in kept] == [(1.0, 1, 2.0), (2.0, 2, 1.0)]
    assert kept_measurements(storage, "small")[0].latency_ms.median == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["igcv2-c65-d8"], "did you mean igcv2-c64-d8"),
        (["nothing:3"], "no study 'nothing'"),
        (["igcv2-c64-d8", "--batch", "0"], "0 images"),
        (["igcv2-c64-d8", "--threads", "0"], "threads is 0"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(igcv, ["measure", *arguments])
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
