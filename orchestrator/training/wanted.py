"""What `igcv train` is asked for: a network by name, file or STUDY:NUMBER, and the data, recipe and seed for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from orchestrator.experiment import Data, Training
from orchestrator.locate import RUNS, locate
from orchestrator.network_file import read_network
from search_spaces.networks import Task, Value
from search_spaces.plan import Plan
from search_spaces.references import reference, reference_plan
from workers.data.facts import DataFacts, describe
from workers.recipes import named_recipe
from workers.records import DataSpec, Recipe

TRAININGS = RUNS / "trainings"
TRIAL = re.compile(r"(?P<study>.+):(?P<number>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person typed. None: the default of a trial's study, or of a network that is no trial's."""

    name: str
    recipe: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)  # of the recipe
    data: Mapping[str, object] = field(default_factory=dict)  # keys of `data` in an experiment file
    seed: int | None = None
    split: Literal["validation", "test"] = "validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A training, complete. Equal trainings have equal digests, wherever their images lie."""

    name: str
    family: str
    plan: Plan
    data: DataSpec
    facts: DataFacts
    recipe: Recipe
    seed: int
    split: Literal["validation", "test"]
    reference: str | None = None
    trial: str | None = None  # `study/number`
    parameters: Mapping[str, Value] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, Any]:
        """What makes it another training, as JSON."""
        return {
            "plan": self.plan.key,
            "data": asdict(replace(self.data, path=None, download=False)),
            "recipe": {**asdict(self.recipe), "milestones": list(self.recipe.milestones)},
            "seed": self.seed,
            "split": self.split,
        }

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.fixed, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def folder(self) -> Path:
        """Where it is kept unless a person names another folder."""
        short = re.sub(r"[^A-Za-z0-9.]+", "-", self.name).strip("-")[:60]
        return TRAININGS / f"{short}-{self.recipe.name}-{self.digest}"


def complete(asked: Asked) -> Wanted:
    """Finds the network, the images and the recipe. ValueError says what there is not."""
    match = TRIAL.fullmatch(asked.name)
    if Path(asked.name).is_file():
        wanted = _of_file(Path(asked.name), asked)
    elif match is not None:
        wanted = _of_trial(match["study"], int(match["number"]), asked)
    else:
        wanted = _of_reference(asked)
    _check(wanted)
    return wanted


def _of_file(file: Path, asked: Asked) -> Wanted:
    spec, facts = _data(asked.data, Data())
    plan = read_network(file, _task(facts))
    return _wanted(asked, Training(), 0, name=file.stem, family="", plan=plan, data=spec, facts=facts)


def _of_reference(asked: Asked) -> Wanted:
    found = reference(asked.name)
    spec, facts = _data(asked.data, Data())
    plan = reference_plan(asked.name, _task(facts))
    family = found.network.family
    return _wanted(
        asked, Training(), 0, name=asked.name, family=family, plan=plan, data=spec, facts=facts, reference=asked.name
    )


def _of_trial(study: str, number: int, asked: Asked) -> Wanted:
    from orchestrator.reopening import reopen
    from orchestrator.study import open_storage

    found = locate(study)
    path = asked.data.get("path") if "name" not in asked.data else None
    kept = reopen(found, open_storage(found.storage), str(path) if path else None)
    trials = {trial.number: trial for trial in kept.trials}
    if number not in trials:
        raise ValueError(
            f"study {study!r} has no trial {number}; it has {len(trials)}, from 0 on (`igcv front {study}`)"
        )
    candidate = trials[number].candidate
    spec, facts = _data(asked.data, kept.experiment.data) if asked.data else (kept.experiment.data.spec(), kept.data)
    return _wanted(
        asked,
        kept.experiment.training,
        kept.experiment.seed,
        name=candidate.name,
        family=candidate.family,
        plan=kept.catalogue.plan(candidate),
        data=spec,
        facts=facts,
        reference=candidate.name if candidate.source == "reference" else None,
        trial=f"{found.name}/{number}",
        parameters=candidate.architecture.parameters if candidate.architecture else {},
    )


def _wanted(asked: Asked, training: Training, seed: int, **known: Any) -> Wanted:
    """With the recipe of its name, or the given training's, with what was changed; and with a seed."""
    changes = dict(asked.changes)
    if asked.recipe is None:
        changes = training.model_dump(exclude={"recipe", "time_limit"}, exclude_none=True) | changes
    recipe = replace(named_recipe(asked.recipe or training.recipe), **changes)  # type: ignore[arg-type]
    return Wanted(recipe=recipe, seed=seed if asked.seed is None else asked.seed, split=asked.split, **known)


def _data(given: Mapping[str, object], default: Data) -> tuple[DataSpec, DataFacts]:
    """The images of the given keys; those of another data set begin from nothing."""
    base = {} if "name" in given else default.model_dump()
    try:
        spec = Data.model_validate({**base, **given}).spec()
    except ValidationError as error:
        raise ValueError("; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())) from None
    return spec, describe(spec)


def _task(facts: DataFacts) -> Task:
    return Task(image_size=facts.image_size, channels=facts.channels, classes=len(facts.classes))


def _check(wanted: Wanted) -> None:
    facts, plan = wanted.facts, wanted.plan
    shape, classes = (facts.channels, facts.image_size, facts.image_size), len(facts.classes)
    if (plan.input_shape, plan.output_shape[0]) != (shape, classes):
        raise ValueError(
            f"{wanted.name}: the network takes images {plan.input_shape} (C, H, W) and tells {plan.output_shape[0]} "
            f"classes apart; the data set {wanted.data.name!r} has {shape} and {classes}"
        )
    if wanted.split == "test" and not facts.has_test:
        raise ValueError(f"--test: the data set {wanted.data.name!r} has no test split")
