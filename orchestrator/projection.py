"""The trial table as a projection of the study: rows of trials, the study's facts, and the one writer of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dashboards.parts import append_part, merge_parts, read_study_arrow
from dashboards.table import EpochPoint, StudyFacts, TrialRow
from dashboards.table import Stint as RowStint
from orchestrator.candidates import Catalogue
from orchestrator.experiment import Experiment
from orchestrator.tracking.address import redact
from orchestrator.trials import Trial
from search_spaces.plan import plan_to_json
from search_spaces.references import reference
from workers.data.facts import DataFacts
from workers.measured import MeasuredCost

SECONDS_BETWEEN_PARTS = 2.0
TRACEBACK_LIMIT = 20_000  # characters


@dataclass(slots=True)
class RowMaker:
    """Makes rows of trials; a plan's JSON is made once, and that of an earlier run is taken from its table."""

    experiment: Experiment
    catalogue: Catalogue
    recipe: str
    known_data: str = ""  # the data set under which papers published accuracies
    measured: Mapping[int, MeasuredCost] = field(default_factory=dict)  # after the search, by trial number
    _plans: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._plans.update(_plans_of(self.experiment.folder))

    def row(self, trial: Trial) -> TrialRow:
        """The trial as it stands now."""
        candidate, metrics, failure = trial.candidate, trial.metrics, trial.failure
        used = trial.measured or self.measured.get(trial.number)
        cost = candidate.cost
        is_reference = candidate.source == "reference"
        published = reference(candidate.name) if is_reference else None
        return TrialRow(
            number=trial.number,
            key=f"{self.experiment.name}/{trial.number}",
            plan_key=candidate.plan_key,
            name=candidate.name,
            family=candidate.family,
            state=trial.phase,
            reference=candidate.name if is_reference else None,
            source=candidate.source,
            parameters=candidate.architecture.parameters if candidate.architecture else {},
            plan=self._plan(trial),
            accuracy=trial.accuracy,
            published_accuracy=published.accuracy_on(self.known_data) if published else None,
            published_params=published.printed("params") if published else None,
            published_macs=published.printed("macs") if published else None,
            params=cost.params,
            params_conv=cost.params_conv,
            params_norm=cost.params_norm,
            params_linear=cost.params_linear,
            macs=cost.macs,
            flops=cost.flops,
            activation_bytes=cost.activation_bytes,
            depth=cost.depth,
            latency_ms=used.latency_ms.median if used else None,
            batch_latency_ms=used.batch_latency_ms.median if used else None,
            inference_memory_mib=used.inference_memory_mib if used else None,
            images_per_second=metrics.images_per_second if metrics else None,
            peak_memory_mib=metrics.peak_memory_mib if metrics else None,
            seconds=trial.seconds or None,
            gpu_seconds=trial.seconds * self.experiment.resources.gpus_per_worker or None,
            started_at=trial.started_at,
            ended_at=trial.ended_at,
            worker=trial.stints[-1].worker if trial.stints else None,
            attempts=trial.attempts,
            losses=trial.losses,
            stints=tuple(
                RowStint(worker=stint.worker, started_at=stint.started_at, ended_at=stint.ended_at, ended=stint.ended)
                for stint in trial.stints
            ),
            epochs=_points(trial),
            failure_kind=failure.kind if failure else None,
            failure_message=failure.message if failure else None,
            failure_traceback=failure.traceback[-TRACEBACK_LIMIT:] if failure and failure.traceback else None,
            seed=self.experiment.seed,
            recipe=self.recipe,
            micro_batch=metrics.micro_batch if metrics else trial.micro_batch,
            device=metrics.device if metrics else None,
            threads=metrics.threads if metrics else None,
            forms=metrics.forms if metrics else (),
        )

    def _plan(self, trial: Trial) -> str:
        key = trial.candidate.plan_key
        if key not in self._plans:
            self._plans[key] = plan_to_json(self.catalogue.plan(trial.candidate))
        return self._plans[key]


def _plans_of(folder: Path) -> dict[str, str]:
    """The plans that a study's table holds, by their keys: none where there is no table, or no readable one."""
    try:
        table = read_study_arrow(folder, ["number", "plan_key", "plan"])
    except (ValueError, OSError):
        return {}
    return dict(zip(table.column("plan_key").to_pylist(), table.column("plan").to_pylist(), strict=True))


def known_data(data: DataFacts) -> str:
    """`cifar10` or `cifar100` where the images are those, whatever folder they lie in; else empty."""
    if data.image_size != 32 or data.channels != 3:
        return ""
    if len(data.classes) == 10 and {"airplane", "truck"} <= set(data.classes):
        return "cifar10"
    return "cifar100" if len(data.classes) == 100 and {"apple", "worm"} <= set(data.classes) else ""


def _points(trial: Trial) -> tuple[EpochPoint, ...]:
    return tuple(
        EpochPoint(
            epoch=report.epoch,
            accuracy=report.accuracy,
            train_loss=None if math.isnan(report.train_loss) else report.train_loss,
            seconds=report.seconds or None,
        )
        for report in trial.curve
    )


def study_facts(
    experiment: Experiment,
    data: DataFacts,
    rungs: tuple[int, ...],
    reference_point: tuple[float, ...],
    mlflow_url: str | None,
    created_at: float,
) -> StudyFacts:
    """What a reader of the table must know of the study as a whole."""
    recipe = experiment.recipe()
    budget = experiment.budget
    limits = {
        "macs": budget.macs,
        "params": budget.max_params,
        "activation_bytes": budget.max_activation_bytes,
        "depth": budget.max_depth,
    }
    lower = {"macs": budget.min_macs, "params": budget.min_params}
    return StudyFacts(
        study=experiment.name,
        objectives=experiment.objectives,
        experiment_hash=experiment.digest(),
        limits={name: float(limit) for name, limit in limits.items() if limit is not None},
        lower_limits={name: float(limit) for name, limit in lower.items() if limit is not None},
        reference_point=reference_point if all(map(math.isfinite, reference_point)) else None,
        families=tuple(experiment.families),
        data=experiment.data.name,
        class_names=data.classes,
        recipe=recipe.name,
        epochs=recipe.epochs,
        rungs=rungs,
        sampler=experiment.sampler,
        trials_asked=experiment.trials,
        workers=experiment.resources.workers,
        seed=experiment.seed,
        mlflow_url=redact(mlflow_url) if mlflow_url else None,
        created_at=created_at,
    )


class TableWriter:
    """Writes changed rows as numbered parts, at most every two seconds, and merges them at the end."""

    def __init__(self, folder: Path, facts: StudyFacts, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._facts = facts
        self._clock = clock
        self._changed: dict[int, TrialRow] = {}
        self._written_at = clock()

    def update(self, rows: Iterable[TrialRow]) -> None:
        for row in rows:
            self._changed[row.number] = row
        if self._changed and self._clock() - self._written_at >= SECONDS_BETWEEN_PARTS:
            self.flush()

    def flush(self) -> None:
        if self._changed:
            append_part(self._folder, self._changed.values(), self._stamped())
            self._changed.clear()
        self._written_at = self._clock()

    def close(self) -> Path:
        """Writes what is left and merges the parts; returns the table's path."""
        self.flush()
        return merge_parts(self._folder)

    def _stamped(self) -> StudyFacts:
        return replace(self._facts, updated_at=self._clock())
