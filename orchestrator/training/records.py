"""A single training as a row of the trial table, and as its run in MLflow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from dashboards.table import EpochPoint, State, StudyFacts, TrialRow
from orchestrator.projection import known_data
from orchestrator.tracking.records import RunRecord, run_record
from orchestrator.training.wanted import Wanted
from search_spaces.cost import cost
from search_spaces.plan import plan_to_json
from search_spaces.references import reference
from workers.records import EpochReport, Failure, Metrics, Outcome

KIND = "training"
STUDY = "trainings"  # MLflow's experiment
OWN_KEYS = ("name", "path", "download")


def training_row(
    wanted: Wanted,
    key: str,
    curve: Sequence[EpochReport],
    outcome: Outcome | None,
    started_at: float,
    ended_at: float | None,
) -> TrialRow:
    """The training as it stands; `outcome` None while it goes on."""
    exact = cost(wanted.plan)
    metrics = outcome if isinstance(outcome, Metrics) else None
    failure = outcome if isinstance(outcome, Failure) else None
    state: State = "training" if outcome is None else "failed" if failure else "complete"
    published = reference(wanted.reference) if wanted.reference else None
    return TrialRow(
        number=0,
        key=key,
        plan_key=wanted.plan.key,
        name=wanted.name,
        family=wanted.family,
        state=state,
        reference=wanted.reference,
        parameters=wanted.parameters,
        plan=plan_to_json(wanted.plan),
        accuracy=metrics.accuracy if metrics else None,
        published_accuracy=published.accuracy_on(known_data(wanted.facts)) if published else None,
        params=exact.params,
        params_conv=exact.params_conv,
        params_norm=exact.params_norm,
        params_linear=exact.params_linear,
        macs=exact.macs,
        flops=exact.flops,
        activation_bytes=exact.activation_bytes,
        depth=exact.depth,
        images_per_second=metrics.images_per_second if metrics else None,
        peak_memory_mib=metrics.peak_memory_mib if metrics else None,
        seconds=sum(report.seconds for report in curve) or None,
        started_at=started_at,
        ended_at=ended_at,
        attempts=1,
        epochs=tuple(_point(report) for report in curve),
        failure_kind=failure.kind if failure else None,
        failure_message=failure.message if failure else None,
        failure_traceback=failure.traceback if failure else None,
        seed=wanted.seed,
        recipe=wanted.recipe.name,
        micro_batch=metrics.micro_batch if metrics else None,
        device=metrics.device if metrics else None,
        threads=metrics.threads if metrics else None,
        forms=metrics.forms if metrics else (),
    )


def training_record(wanted: Wanted, row: TrialRow, environment: Mapping[str, str]) -> RunRecord:
    """Its run. What was scored on test images is called `test_accuracy`; epochs that were not scored have no accuracy."""
    record = run_record(row, StudyFacts(study=STUDY), False, "")
    assert record is not None
    about = {
        "kind": KIND,
        "split": wanted.split,
        "of_trial": wanted.trial or "",
        "threads": str(row.threads or ""),
        "forms": ", ".join(row.forms)[:5000],
        **{f"environment.{name}": value for name, value in environment.items()},
    }
    left_out = ("front", "trial", "source")
    tags = {name: value for name, value in (dict(record.tags) | about).items() if value and name not in left_out}
    metrics = [
        replace(point, key="test_accuracy") if point.key == "accuracy" and wanted.split == "test" else point
        for point in record.metrics
    ]
    return replace(
        record,
        tags=tags,
        params=dict(record.params) | _params(wanted),
        metrics=tuple(metrics),
        curve=tuple(point for point in record.curve if math.isfinite(point.value)),
    )


def _params(wanted: Wanted) -> dict[str, str]:
    """The recipe's keys and the data's, as they stand in an experiment file."""
    recipe = {f"recipe.{name}": value for name, value in asdict(wanted.recipe).items() if name != "name"}
    data = {f"data.{name}": value for name, value in asdict(wanted.data).items() if name not in OWN_KEYS}
    told = {"data": wanted.data.name, **recipe, **data}
    return {name: str(value) for name, value in told.items() if value is not None}


def _point(report: EpochReport) -> EpochPoint:
    return EpochPoint(
        epoch=report.epoch, accuracy=report.accuracy, train_loss=report.train_loss, seconds=report.seconds
    )
