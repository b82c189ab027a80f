"""A search for accuracy and latency on real digits: measured once a network, kept with its spread, shown and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from optuna.study import StudyDirection
from optuna.trial import TrialState

from dashboards.front import front_rows
from orchestrator.cli.main import igcv
from orchestrator.experiment import Experiment
from orchestrator.locate import read_rows
from orchestrator.running import run_search
from orchestrator.study import open_storage
from tests.orchestrator.conftest import make_experiment


def experiment(output: Path, **changes: object) -> Experiment:
    settings: dict[str, object] = {
        "objectives": ["accuracy", "latency_ms"],
        "measure": {"batch_size": 4, "repeats": 5, "warm_up": 1},
        "trials": 7,
        "training": {"epochs": 2, "batch_size": 512},
        "data": {"name": "digits", "max_train": 512, "max_validation": 100},
        "early_stopping": {"rungs": [1], "eta": 2},
    }
    return make_experiment(output, **(settings | changes))


def test_latency_is_measured_kept_ranked_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_search(experiment(tmp_path / "runs", trials=4))
    ended = run_search(experiment(tmp_path / "runs"))
    study = optuna.load_study(study_name="small", storage=open_storage(str(ended.folder / "study.journal")))
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert study.metric_names == ["accuracy", "latency_ms"]
    assert len(study.trials) == 7
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in study.trials:
        record = trial.user_attrs["progress"]["measured"]
        assert record["latency_ms"]["n"] == 5
        assert record["batch_size"] == 4
        assert record["device"] == "cpu"
        assert "measured" not in trial.user_attrs.get("metrics", {})
        if trial.state is TrialState.COMPLETE:
            assert trial.values[1] == record["latency_ms"]["median"] > 0
    rows, facts = read_rows("small")
    assert facts.reference_point is None, "the dearest observed"
    assert all(row.latency_ms and row.batch_latency_ms and row.inference_memory_mib for row in rows)
    front = front_rows(rows, facts.objectives)
    assert [row.latency_ms for row in front] == sorted(row.latency_ms or 0.0 for row in front)
    told = json.loads(CliRunner().invoke(igcv, ["front", "small", "--json"]).stdout)
    assert [member["latency_ms"] for member in told] == [row.latency_ms for row in front]
    assert "latency (ms)" in CliRunner().invoke(igcv, ["front", "small"]).stdout
    assert "latency (ms)" in ended.report.read_text()


@pytest.mark.parametrize("sampler", ["tpe"])
def test_a_sampler_of_optuna_searches_three_objectives_with_latency(tmp_path: Path, sampler: str) -> None:
    objectives = ["accuracy", "macs", "latency_ms"]
    ended = run_search(experiment(tmp_path, sampler=sampler, objectives=objectives, trials=4, early_stopping=None))
    assert [row.state for row in ended.rows] == ["complete"] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": ["accuracy", "latency"]}, "Input should be 'accuracy', 'macs', 'params', 'latency_ms'"),
        ({"objectives": ["accuracy", "macs", "params", "latency_ms"]}, "at most 3"),
        ({"objectives": ["accuracy", "macs"], "reference_latency_ms": 3}, "needs latency_ms among the objectives"),
        ({"measure": {"repeats": 1}}, "greater than or equal to 3"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        experiment(tmp_path, **changes)
    assert not list(tmp_path.iterdir())
