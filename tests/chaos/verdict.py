"""Whether a storm cost anything that it may not: every trial told once, no work done twice, MLflow equal to the study."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from orchestrator.study import open_storage
from tests.chaos.program import epochs
from tests.chaos.storm import Storm

TELL = 6  # Optuna's journal: a trial's state and values are set


Networks = dict[str, tuple[float, ...]]  # plan key -> objectives


def networks(storm: Storm) -> Networks:
    """What every network of a search has reached."""
    return {trial.user_attrs["plan_key"]: tuple(trial.values or ()) for trial in _told(storm)}


def judge(storm: Storm, calm: Networks | None = None) -> dict[str, Any]:
    """The counts of a storm. AssertionError where something was lost, doubled or left behind.

    calm: what the same search has found undisturbed; networks that both trained must have reached the same, to the bit.
    """
    told = _told(storm)
    states = Counter(trial.state.name for trial in told)
    failures = [trial.user_attrs["failure"] for trial in told if "failure" in trial.user_attrs]
    assert states == {"COMPLETE": storm.trials}, f"{dict(states)}: {failures[:3]}"
    assert len({trial.user_attrs["plan_key"] for trial in told}) == storm.trials
    assert all(len(trial.intermediate_values) == storm.epochs for trial in told)
    if storm.postgres is None:
        ends = _ends(storm.study / "study.journal")
        assert set(ends.values()) == {1}, "a trial was told twice"
        assert len(ends) == storm.trials
    finished = epochs(storm.study)
    twice = {f"trial {trial}, epoch {epoch}": n for (trial, epoch), n in finished.items() if n > 1}
    assert not twice, f"finished epochs were trained again: {twice}"
    assert not storm.checkpoints()
    progress = [trial.user_attrs["progress"] for trial in told]
    return {
        "seed": storm.seed,
        "trials": len(told),
        "states": dict(states),
        "epochs_finished": finished.total(),
        "attempts": sum(entry["attempts"] for entry in progress),
        "workers_lost": sum(entry["losses"] for entry in progress),
        "submissions": storm.submissions,
        "tracked": _compare(storm, told) if storm.mlflow else None,
        **(_beside(networks(storm), calm) if calm is not None else {}),
        "log": storm.log,
    }


def _told(storm: Storm) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="storm", storage=open_storage(storm.storage)).trials


def _beside(found: Networks, calm: Networks) -> dict[str, Any]:
    shared = found.keys() & calm.keys()
    different = {key: (found[key], calm[key]) for key in shared if found[key] != calm[key]}
    assert not different, f"networks that an undisturbed search has found otherwise: {different}"
    return {"also_trained_undisturbed": len(shared), "same_front": _front(found) == _front(calm)}


def _front(found: Networks) -> Networks:
    def is_dominated(one: tuple[float, ...]) -> bool:
        return any(o != one and o[0] >= one[0] and o[1] <= one[1] for o in found.values())

    return {key: values for key, values in found.items() if not is_dominated(values)}


def _ends(journal: Path) -> Counter[int]:
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    running = TrialState.RUNNING.value
    return Counter(record["trial_id"] for record in records if record["op_code"] == TELL and record["state"] != running)


def _compare(storm: Storm, told: list[optuna.trial.FrozenTrial]) -> int:
    """How many runs MLflow holds, each equal to its trial."""
    assert storm.mlflow is not None
    experiment = json.loads(storm.mlflow.get("/api/2.0/mlflow/experiments/get-by-name?experiment_name=storm"))
    query = {"experiment_ids": [experiment["experiment"]["experiment_id"]], "max_results": 1000}
    runs = storm.mlflow.post("runs/search", query)["runs"]
    metrics = {}
    for run in runs:
        tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
        if "trial_key" in tags:
            assert tags["trial_key"] not in metrics, "a trial has two runs"
            assert run["info"]["status"] == "FINISHED", f"{tags['trial_key']} is {run['info']['status']} in MLflow"
            metrics[tags["trial_key"]] = {entry["key"]: entry["value"] for entry in run["data"]["metrics"]}
    values = sorted((found["accuracy"], found["macs"]) for found in metrics.values())
    expected = sorted((trial.values[0], trial.values[1]) for trial in told)
    assert len(values) == len(expected)
    assert all(abs(a - b) < 1e-9 for pair in zip(values, expected, strict=True) for a, b in zip(*pair, strict=True))
    return len(metrics)
