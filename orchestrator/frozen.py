"""A trial as Optuna holds it: the template of a new one, what is written of one that runs, and how it is read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.candidates import Catalogue
from orchestrator.trials import ENDED, Candidate, Phase, Source, Stint, Trial
from search_spaces.cost import Cost
from search_spaces.networks import Value
from workers.measured import measured_from
from workers.records import EpochReport, Failure, Metrics

TOLD = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
PHASES: dict[TrialState, Phase] = {state: phase for phase, state in TOLD.items()}  # type: ignore[misc]


def template(
    candidate: Candidate, distributions: Mapping[str, BaseDistribution], marks: Mapping[str, Any]
) -> FrozenTrial:
    """Of a new trial, RUNNING and queued. marks: more attributes."""
    parameters = _parameters(candidate)
    return create_trial(
        state=TrialState.RUNNING,
        params=parameters,
        distributions={name: distributions[name] for name in parameters},
        user_attrs={
            "name": candidate.name,
            "source": candidate.source,
            "family": candidate.family,
            "plan_key": candidate.plan_key,
            "cost": asdict(candidate.cost),
            "macs": candidate.cost.macs,
            "params": candidate.cost.params,
            "phase": "queued",
            **marks,
        },
    )


def _parameters(candidate: Candidate) -> dict[str, Value]:
    if candidate.architecture is None:
        return {}
    return {"family": candidate.family, **candidate.architecture.parameters}


def objective(trial: Trial, name: str) -> float:
    accuracy = trial.accuracy
    assert accuracy is not None
    assert math.isfinite(accuracy)
    if name == "accuracy":
        return accuracy
    cost = trial.cost(name)
    assert cost is not None, f"trial {trial.number} was told without its {name}"
    return cost


def progress(trial: Trial) -> dict[str, Any]:
    return {
        "attempts": trial.attempts,
        "losses": trial.losses,
        "stuck": trial.stuck,
        "rung": trial.rung,
        "micro_batch": trial.micro_batch,
        "shrunk": trial.shrunk,
        "stints": [asdict(stint) for stint in trial.stints],
        "measured": asdict(trial.measured) if trial.measured else None,
    }


def epoch_json(report: EpochReport) -> dict[str, Any]:
    """JSON has no NaN: an epoch that was not scored has the accuracy null."""
    plain = {name: value for name, value in asdict(report).items() if name != "key"}
    return plain if math.isfinite(report.accuracy) else {**plain, "accuracy": None}


def _epoch_report(key: str, row: dict[str, Any]) -> EpochReport:
    return EpochReport(key=key, **{**row, "accuracy": math.nan if row["accuracy"] is None else row["accuracy"]})


def thaw(frozen: FrozenTrial, catalogue: Catalogue) -> Trial:
    attributes = frozen.user_attrs
    stand = attributes.get("progress", {})
    metrics, failure = attributes.get("metrics"), attributes.get("failure")
    key = str(frozen.number)
    curve = _curve(frozen)
    return Trial(
        number=frozen.number,
        candidate=_candidate(frozen, catalogue),
        phase=_phase(frozen),
        curve=curve,
        attempts=stand.get("attempts", 0),
        losses=stand.get("losses", 0),
        stuck=stand.get("stuck", 0),
        rung=stand.get("rung", 0),
        micro_batch=stand.get("micro_batch"),
        shrunk=stand.get("shrunk", False),
        measured=measured_from(stand["measured"]) if stand.get("measured") else None,
        metrics=Metrics(**{**metrics, "measured": None, "key": key, "forms": tuple(metrics["forms"])})
        if metrics
        else None,
        failure=Failure(**failure) if failure else None,
        stints=[Stint(**stint) for stint in stand.get("stints", ())],
    )


def _phase(frozen: FrozenTrial) -> Phase:
    """A power cut may fall between a trial's last phase and its state: then it has not ended, and goes on from its
    checkpoint, which is only removed once the state is on the disk."""
    if frozen.state in PHASES:
        return PHASES[frozen.state]
    phase: Phase = frozen.user_attrs["phase"]
    if phase == "pruned":
        return "paused"
    return "lost" if phase in ENDED else phase


def _candidate(frozen: FrozenTrial, catalogue: Catalogue) -> Candidate:
    attributes = frozen.user_attrs
    source: Source = attributes["source"]
    family: str = attributes["family"]
    return Candidate(
        name=attributes["name"],
        source=source,
        family=family,
        architecture=None if source == "reference" else catalogue.space.from_parameters(family, frozen.params),
        plan_key=attributes["plan_key"],
        cost=Cost(**attributes["cost"]),
    )


def _curve(frozen: FrozenTrial) -> list[EpochReport]:
    """The kept epochs; those of a trial that still runs have an accuracy only."""
    key = str(frozen.number)
    kept = [_epoch_report(key, row) for row in frozen.user_attrs.get("epochs", ())]
    known = {report.epoch for report in kept}
    rest = [
        EpochReport(key=key, epoch=epoch, accuracy=value, train_loss=math.nan, learning_rate=math.nan, seconds=0.0)
        for epoch, value in sorted(frozen.intermediate_values.items())
        if epoch not in known
    ]
    return kept + rest
