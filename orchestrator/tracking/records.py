"""What MLflow is to hold of a study, as data: one record for each trial and one for the study. Pure.

MLflow's terms: a run has a status, tags (text that may change), params (text that may not) and metrics (numbers with a
step and a time). Times are milliseconds since the epoch here, as MLflow has them; the table's are seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dashboards.front import hypervolume_shares
from dashboards.table import State, StudyFacts, TrialRow

Status = Literal["RUNNING", "FINISHED", "KILLED", "FAILED"]

# A trial that was ended early is KILLED: the search stopped it before its recipe was done, and MLflow's own filter
# `status = 'FINISHED'` then shows exactly the trials whose accuracy can be compared.
STATUS: Mapping[State, Status] = {
    "queued": "RUNNING",
    "training": "RUNNING",
    "paused": "RUNNING",
    "lost": "RUNNING",
    "complete": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
}
COSTS = ("macs", "flops", "params", "params_conv", "params_norm", "params_linear", "activation_bytes", "depth")
RESULTS: Mapping[str, str] = {  # metric -> the table's column
    "accuracy": "accuracy",
    "accuracy_std": "accuracy_std",
    "latency_ms": "latency_ms",
    "images_per_second": "images_per_second",
    "peak_memory_mib": "peak_memory_mib",
    "training_seconds": "seconds",
    "gpu_seconds": "gpu_seconds",
    "published_accuracy": "published_accuracy",
}
COUNTED: tuple[State, ...] = ("complete", "pruned", "failed")
MODEL_METRICS = ("accuracy", "macs", "flops", "params", "latency_ms")
TEXT_LIMIT = 5000  # characters of a tag or param on every MLflow server
PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a metric."""

    key: str
    value: float
    at_ms: int
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One trial's run. `texts` are artifacts by file name; the tag named in `MARKS` says that one was written."""

    key: str
    name: str
    status: Status
    start_ms: int
    end_ms: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[Point, ...]  # one value each
    curve: tuple[Point, ...]  # of each epoch, in order
    epochs: int
    texts: Mapping[str, str] = field(default_factory=dict)


MARKS: Mapping[str, str] = {"plan.json": "plan_key", "failure.txt": "failure"}
EPOCHS_TAG = "epochs"  # how much of the curve was written; always written after it
LATE_TAGS = frozenset({EPOCHS_TAG, *MARKS.values()})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A member of the front as a LoggedModel."""

    key: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[Point, ...]  # equal to points of its run


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """The parent run."""

    name: str
    start_ms: int
    end_ms: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    data: DataRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """The images, as MLflow lists data sets: what they are called, never the images."""

    name: str
    digest: str
    source: str
    profile: str


def run_record(row: TrialRow, facts: StudyFacts, is_front: bool, parent: str) -> RunRecord | None:
    """A trial's run below the run `parent`; None before its first worker, for a run's start can never be changed."""
    start = row.started_at if row.started_at is not None else row.ended_at
    if start is None:
        return None
    start_ms = _ms(start)
    end_ms = _ms(row.ended_at) if row.ended_at is not None else None
    ended = STATUS[row.state] != "RUNNING"
    return RunRecord(
        key=row.key,
        name=row.name[:250],
        status=STATUS[row.state],
        start_ms=start_ms,
        end_ms=(end_ms or start_ms) if ended else None,
        tags=_filled(_tags(row, is_front) | dict(identity(facts, "trial")) | {PARENT_TAG: parent}),
        params=_params(row),
        metrics=tuple(_metrics(row, start_ms, end_ms or start_ms)),
        curve=tuple(_curve(row, start_ms)),
        epochs=row.epochs[-1].epoch if row.epochs else 0,
        texts=_texts(row),
    )


def model_record(row: TrialRow, record: RunRecord, study: str, is_front: bool) -> ModelRecord:
    """The LoggedModel of a trial that is, or once was, on the front. MLflow allows no dots in its name."""
    tags = {"trial_key": row.key, "study": study, "family": row.family, "front": _truth(is_front)}
    return ModelRecord(
        key=row.key,
        name="".join("-" if letter in "/:.%\"'" else letter for letter in record.name) or "network",
        tags=tags | {"plan_key": row.plan_key},
        params=record.params,
        metrics=tuple(point for point in record.metrics if point.key in MODEL_METRICS),
    )


def study_record(facts: StudyFacts, counts: Mapping[State, int], span: tuple[float, float]) -> StudyRecord:
    """The parent run. `counts` are trials by state, `span` when the first trial started and the last one ended."""
    created = facts.created_at if facts.created_at is not None else span[0]
    may_change = {
        "sampler": facts.sampler,
        "trials_asked": _text(facts.trials_asked),
        "workers": _text(facts.workers),
        "trials": str(sum(counts.values())),
        **{f"trials.{state}": str(counts.get(state, 0)) for state in COUNTED},
    }
    return StudyRecord(
        name=facts.study,
        start_ms=_ms(created),
        end_ms=_ms(max(span[1], created)),
        tags={
            **_filled(may_change),
            **identity(facts, "study"),
            "mlflow.source.name": "igcv search",
            "mlflow.source.type": "LOCAL",
        },
        params=_filled(_study_params(facts)),
        data=_data_record(facts),
    )


def identity(facts: StudyFacts, kind: Literal["study", "trial"]) -> Mapping[str, str]:
    """The tags by which a study's runs are found again; trials have `trial_key` beside them."""
    return _filled({"kind": kind, "study": facts.study, "experiment": facts.experiment_hash})


def study_curve(rows: Sequence[TrialRow], facts: StudyFacts) -> list[tuple[Point, ...]]:
    """After each training that counts: the dominated share of the reference's box, and the best accuracy so far."""
    ended, shares = hypervolume_shares(rows, facts)
    best, points = 0.0, []
    for number, (row, share) in enumerate(zip(ended, shares.tolist(), strict=True), start=1):
        best = max(best, row.accuracy or 0.0)
        at_ms = _ms(row.ended_at or 0.0)
        values = {"hypervolume": share, "best_accuracy": best} if facts.reference_point else {"best_accuracy": best}
        points.append(tuple(Point(key=key, value=value, at_ms=at_ms, step=number) for key, value in values.items()))
    return points


def front_aliases(front: Collection[TrialRow]) -> Mapping[str, str]:
    """Aliases of registered models, each with the key of the front's member that it names."""
    rules = {
        "most-accurate": lambda row: (-(row.accuracy or 0.0), row.macs or 0),
        "fewest-macs": lambda row: (row.macs or 0, -(row.accuracy or 0.0)),
        "fewest-params": lambda row: (row.params or 0, -(row.accuracy or 0.0)),
    }
    return {alias: min(front, key=rule).key for alias, rule in rules.items()} if front else {}


def _tags(row: TrialRow, is_front: bool) -> dict[str, str]:
    ended = STATUS[row.state] != "RUNNING"
    return {
        NAME_TAG: row.name[:250],
        "trial_key": row.key,
        "trial": str(row.number),
        "front": _truth(is_front),
        "family": row.family,
        "state": row.state,
        "source": row.source,
        "reference": row.reference or "",
        "retries": str(row.losses),
        "worker": row.worker or "",
        "device": row.device or "",
        "seeds": _text(row.seeds),
        "failure_kind": row.failure_kind or "",
        "failure": (row.failure_message or row.failure_kind or "") if ended else "",
        "plan_key": row.plan_key if row.plan else "",
        EPOCHS_TAG: str(row.epochs[-1].epoch) if row.epochs else "",
    }


def _params(row: TrialRow) -> dict[str, str]:
    chosen = {name: _text(value) for name, value in row.parameters.items()}
    shared = {"family": row.family, "recipe": row.recipe, "seed": row.seed, "reference": row.reference}
    return _filled(chosen | {name: _text(value) for name, value in shared.items()})


def _metrics(row: TrialRow, start_ms: int, end_ms: int) -> Iterator[Point]:
    """Costs are known from the start, results at the end. All without a step: MLflow's page then draws them as bars."""
    ended = STATUS[row.state] != "RUNNING"
    for key in COSTS:
        if (value := getattr(row, key)) is not None:
            yield Point(key=key, value=float(value), at_ms=start_ms)
    for key, column in RESULTS.items():
        if ended and (value := getattr(row, column)) is not None:
            yield Point(key=key, value=float(value), at_ms=end_ms)


def _curve(row: TrialRow, start_ms: int) -> Iterator[Point]:
    """Validation accuracy and training loss of each epoch, at the start plus the seconds trained so far."""
    seconds = 0.0
    for epoch in row.epochs:
        seconds += epoch.seconds or 0.0
        at_ms = start_ms + round(1000 * seconds)
        yield Point(key="validation_accuracy", value=epoch.accuracy, at_ms=at_ms, step=epoch.epoch)
        if epoch.train_loss is not None and math.isfinite(epoch.train_loss):
            yield Point(key="train_loss", value=epoch.train_loss, at_ms=at_ms, step=epoch.epoch)


def _texts(row: TrialRow) -> dict[str, str]:
    failure = "\n\n".join(part for part in (row.failure_kind, row.failure_message, row.failure_traceback) if part)
    ended = STATUS[row.state] != "RUNNING"
    return _filled({"plan.json": row.plan or "", "failure.txt": failure if ended else ""}, limit=None)


def _study_params(facts: StudyFacts) -> dict[str, str]:
    reference = [f"{number:g}" for number in facts.reference_point or ()]
    return {
        "objectives": ", ".join(facts.objectives),
        "families": ", ".join(facts.families),
        "data": facts.data,
        "recipe": facts.recipe,
        "epochs": _text(facts.epochs),
        "rungs": ", ".join(map(str, facts.rungs)),
        "seed": _text(facts.seed),
        "hypervolume_reference": ", ".join(reference),
        **{f"most.{name}": f"{limit:.15g}" for name, limit in facts.limits.items()},
        **{f"least.{name}": f"{limit:.15g}" for name, limit in facts.lower_limits.items()},
    }


def _data_record(facts: StudyFacts) -> DataRecord:
    profile = json.dumps({"classes": len(facts.class_names), "names": list(facts.class_names)[:100]})
    name = facts.data or "unknown"
    digest = hashlib.sha256(f"{name}\n{profile}".encode()).hexdigest()[:8]
    return DataRecord(name=name, digest=digest, source=json.dumps({"uri": name}), profile=profile)


def _filled(values: Mapping[str, str], limit: int | None = TEXT_LIMIT) -> dict[str, str]:
    """Without the empty ones, cut to what MLflow takes."""
    return {key: value[:limit] for key, value in values.items() if value}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
