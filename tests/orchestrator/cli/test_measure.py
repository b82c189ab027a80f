"""`igcv measure` on references, files, and a study's networks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import igcv
from orchestrator.running import run_search
from orchestrator.targets import trained_networks
from search_spaces.plan import plan_to_json
from tests.orchestrator.conftest import make_experiment
from tests.workers.making import small_plan

QUICK = ["--threads", "1", "--repeats", "3", "--batch", "4", "--json"]


def measured(*arguments: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(igcv, ["measure", *arguments, *QUICK])
    assert result.exit_code == 0, result.exception
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_a_network_file_and_a_study_are_measured_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    Path("net.json").write_text(plan_to_json(small_plan()))
    (found,) = measured("net.json")
    assert found["macs"]
    assert found["latency_ms"]["n"] == 3  # type: ignore[index]
    assert dict(os.environ) == before, "the worker's variables stayed behind"
    run_search(make_experiment(Path("runs"), trials=2, training={"epochs": 1, "batch_size": 512}))
    front = json.loads(CliRunner().invoke(igcv, ["front", "small", "--json"]).stdout)
    assert [one["number"] for one in measured("small")] == [one["number"] for one in front]
    assert [one.number for one in trained_networks("small:1")] == [1]
    with pytest.raises(ValueError, match="no trial '7'; its trials are numbered 0 to 1"):
        trained_networks("small:7")


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
