"""Trainings of networks that a search found: recorded once each in the study `<name>/evaluation`, and asked of workers.

That study has the objectives of its own study, with the accuracy on the split that was scored; its trials have the
attributes `kind: training`, `of_trial`, `seed`, `split`, `recipe`, `repeat` (the key) and `environment`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage

from orchestrator.decisions import Recorded
from orchestrator.proposing import Snapshot
from orchestrator.study import Study
from orchestrator.trials import Trial
from search_spaces.plan import Plan
from workers.places import Place
from workers.records import Recipe, TrainRequest

KIND = "training"
Split = Literal["validation", "test"]


def evaluation_name(study: str) -> str:
    """The name of the study that holds what is learned of a study after its search."""
    return f"{study}/evaluation"


def open_evaluation(storage: BaseStorage, of: Study) -> Study:
    """Opens that study, or makes it."""
    return Study.open_or_create(storage, evaluation_name(of.name), {"objectives": list(of.objectives), "of": of.name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One more training of the network of a trial. Two with the same key are the same training."""

    trial: Trial  # of the search
    seed: int
    split: Split
    recipe: Recipe

    @property
    def key(self) -> str:
        told = {
            "plan": self.trial.candidate.plan_key,
            "seed": self.seed,
            "split": self.split,
            "recipe": recipe_key(self.recipe),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def marks(self) -> dict[str, Any]:
        """The attributes by which it is found again."""
        return {
            "kind": KIND,
            "repeat": self.key,
            "of_trial": self.trial.number,
            "seed": self.seed,
            "split": self.split,
            "recipe": asdict(self.recipe),
        }


def recipe_key(recipe: Recipe) -> str:
    """Equal for equal recipes, whatever they are called."""
    told = json.dumps(asdict(replace(recipe, name="")), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def repeats(trials: Sequence[Trial], seeds: Sequence[int], split: Split, recipe: Recipe) -> list[Repeat]:
    """Every network with every seed, and once each with the first before any is trained with the second."""
    found = [Repeat(trial=trial, seed=seed, split=split, recipe=recipe) for seed in seeds for trial in trials]
    return list({repeat.key: repeat for repeat in found}.values())


def recorded_repeats(study: Study, searched: Mapping[int, Trial]) -> dict[int, Repeat]:
    """The trainings that the evaluation's study holds, by its trial numbers."""
    return {
        number: Repeat(
            trial=searched[marks["of_trial"]],
            seed=marks["seed"],
            split=marks["split"],
            recipe=Recipe(**{**marks["recipe"], "milestones": tuple(marks["recipe"]["milestones"])}),
        )
        for number, marks in study.marks().items()
        if marks.get("kind") == KIND and marks["of_trial"] in searched
    }


@dataclass(slots=True, kw_only=True)
class RepeatMaker:
    """Records at the start what is wanted and was never recorded; proposes nothing. `known` grows with it."""

    study: Study
    distributions: Mapping[str, BaseDistribution]
    wanted: Sequence[Repeat]
    known: dict[int, Repeat]
    again: Set[int] = frozenset()  # trials that failed and are replaced
    environment: Mapping[str, str] = field(default_factory=dict)

    def begin(self, present: Sequence[Trial]) -> tuple[Trial, ...]:
        held = {repeat.key for number, repeat in self.known.items() if number not in self.again}
        return tuple(self._record(repeat) for repeat in self.wanted if repeat.key not in held)

    def note(self, trial: Trial) -> None:
        pass

    def snapshot(self) -> Snapshot:
        return Snapshot((), ())

    def propose(self, count: int, snapshot: Snapshot) -> Recorded:
        return Recorded((), exhausted=True)

    def _record(self, repeat: Repeat) -> Trial:
        marks = repeat.marks() | {"environment": dict(self.environment)}
        trial = self.study.record(repeat.trial.candidate, self.distributions, marks)
        self.known[trial.number] = repeat
        return trial


@dataclass(slots=True, kw_only=True)
class RepeatTraining:
    """Asks a worker for a repeat: with its own seed, split and recipe, and a checkpoint of its own."""

    template: TrainRequest
    place: Place  # of the checkpoints
    known: Mapping[int, Repeat]

    @staticmethod
    def checkpoint(trial: Trial) -> str:
        """The name of the repeat's file there."""
        return f"evaluation-{trial.number:06d}.pt"

    def request(self, trial: Trial, plan: Plan, stop_epoch: int) -> TrainRequest:
        repeat = self.known[trial.number]
        return replace(
            self.template,
            key=str(trial.number),
            plan=plan,
            seed=repeat.seed,
            split=repeat.split,
            recipe=repeat.recipe,
            stop_epoch=stop_epoch,
            checkpoint=self.place.file(self.checkpoint(trial)),
        )
