"""From trainings in the study `<name>/evaluation` to rows of the evaluation table, and lines for a person."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboards.evaluation import EvaluationRow, write_evaluation
from dashboards.words import duration
from orchestrator.evaluation.repeats import Repeat, recipe_key
from orchestrator.trials import ENDED, Trial
from search_spaces.references import reference
from workers.records import EpochReport, Recipe

SECONDS_BETWEEN_WRITES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRows:
    """Makes rows. `known` are the repeats by trial number, `marks` the attributes of recorded trials."""

    known: Mapping[int, Repeat]
    searched_with: Recipe
    known_data: str  # the data set under which papers published accuracies
    environment: Mapping[str, str]  # of trainings that are recorded now
    marks: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def row(self, trial: Trial) -> EvaluationRow:
        """The training as it stands now."""
        repeat = self.known[trial.number]
        candidate, metrics, failure = trial.candidate, trial.metrics, trial.failure
        environment = self.marks.get(trial.number, {}).get("environment", self.environment)
        return EvaluationRow(
            number=trial.number,
            trial=repeat.trial.number,
            plan_key=candidate.plan_key,
            name=candidate.name,
            family=candidate.family,
            source=candidate.source,
            split=repeat.split,
            seed=repeat.seed,
            recipe=repeat.recipe.name,
            recipe_key=recipe_key(repeat.recipe),
            as_searched=recipe_key(repeat.recipe) == recipe_key(self.searched_with),
            epochs_asked=repeat.recipe.epochs,
            state=trial.phase,
            accuracy=trial.accuracy,
            searched_accuracy=repeat.trial.accuracy,
            published_accuracy=self._published(trial),
            macs=candidate.cost.macs,
            params=candidate.cost.params,
            seconds=trial.seconds or None,
            images_per_second=metrics.images_per_second if metrics else None,
            peak_memory_mib=metrics.peak_memory_mib if metrics else None,
            started_at=trial.started_at,
            ended_at=trial.ended_at,
            worker=trial.stints[-1].worker if trial.stints else None,
            attempts=trial.attempts,
            device=metrics.device if metrics else None,
            threads=metrics.threads if metrics else None,
            micro_batch=metrics.micro_batch if metrics else None,
            forms=metrics.forms if metrics else (),
            train_loss=_finite(trial.curve, lambda report: report.train_loss),
            curve=_finite(trial.curve, lambda report: report.accuracy) if repeat.split == "validation" else (),
            failure_kind=failure.kind if failure else None,
            failure_message=failure.message if failure else None,
            environment=json.dumps(dict(environment), sort_keys=True),
        )

    def _published(self, trial: Trial) -> float | None:
        is_reference = trial.candidate.source == "reference"
        return reference(trial.candidate.name).accuracy_on(self.known_data) if is_reference else None


def _finite(curve: Iterable[EpochReport], value: Callable[[EpochReport], float]) -> tuple[float, ...]:
    return tuple(number for number in map(value, curve) if math.isfinite(number))


class EvaluationTable:
    """Keeps `evaluation.parquet` in step, at most every two seconds; `close` writes what is left."""

    def __init__(self, folder: Path, rows: Iterable[EvaluationRow], clock: Callable[[], float] = time.time) -> None:
        self.rows = {row.number: row for row in rows}
        self._folder = folder
        self._clock = clock
        self._written_at = clock()

    def update(self, rows: Iterable[EvaluationRow]) -> None:
        self.rows |= {row.number: row for row in rows}
        if self._clock() - self._written_at >= SECONDS_BETWEEN_WRITES:
            self.close()

    def close(self) -> Path:
        self._written_at = self._clock()
        self._folder.mkdir(parents=True, exist_ok=True)
        return write_evaluation(self._folder, self.rows.values())


class Lines:
    """One line for each training that ends."""

    def __init__(self, asked: int, say: Callable[[str], None]) -> None:
        self._asked = asked
        self._say = say
        self._ended: set[int] | None = None  # the first update brings what ended before

    def update(self, rows: Iterable[EvaluationRow]) -> None:
        ended = [row for row in rows if row.state in ENDED]
        if self._ended is None:
            self._ended = {row.number for row in ended}
            return
        for row in ended:
            if row.number not in self._ended:
                self._ended.add(row.number)
                self._say(f"{len(self._ended)}/{self._asked} {row.name}, seed {row.seed}: {_outcome(row)}")


def _outcome(row: EvaluationRow) -> str:
    if row.accuracy is None:
        return f"failed ({row.failure_kind}): {row.failure_message}"
    return f"{row.accuracy:.2%} on {row.split} ({duration(row.seconds or 0.0)})"
