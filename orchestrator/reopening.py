"""A study opened again for what comes after its search: its networks, data and recipe, from its storage alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from orchestrator.candidates import Catalogue, budget_of
from orchestrator.experiment import Experiment
from orchestrator.locate import RUNS, Found
from orchestrator.opening import LAST_RUN
from orchestrator.study import Study
from orchestrator.trials import Trial
from search_spaces.networks import Task
from workers.data.facts import DataFacts, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """A study as its search left it. The experiment has what was fixed, and data and machines as of its last run."""

    experiment: Experiment
    data: DataFacts
    catalogue: Catalogue
    study: Study
    trials: Sequence[Trial]
    tracking: str | None  # of the last run; None where it was not kept


def reopen(found: Found, storage: BaseStorage, path: str | None = None) -> Reopened:
    """Reads the study at its storage. path: where the images lie now, if not where the last run found them.

    ValueError where the study or its images are not there.
    """
    study = Study.open(storage, found.name)
    attributes = study.attributes()
    before: dict[str, Any] = attributes.get(LAST_RUN, {})
    experiment = _experiment(found, attributes["experiment"], before, path)
    data = _describe(experiment, found.name)
    task = Task(image_size=data.image_size, channels=data.channels, classes=len(data.classes))
    catalogue = Catalogue(space=experiment.space(task), budget=budget_of(experiment.budget))
    return Reopened(
        experiment=experiment,
        data=data,
        catalogue=catalogue,
        study=study,
        trials=study.load(catalogue),
        tracking=before.get("tracking"),
    )


def folder_of(found: Found) -> Path:
    """Where the study lives on this machine, or would."""
    return found.folder or RUNS / found.name


def _experiment(found: Found, fixed: dict[str, Any], before: dict[str, Any], path: str | None) -> Experiment:
    folder = folder_of(found)
    known = {key: value for key, value in fixed.items() if key in Experiment.model_fields}
    content = {
        **known,
        "name": found.name,
        "data": {**fixed["data"], "path": path or before.get("path"), "download": before.get("download", False)},
        "resources": before.get("resources", {}),
        "checkpoints": before.get("checkpoints"),
        "trials": 1,
        "output": str(folder.parent),
    }
    if content["data"]["path"] is None and fixed["data"]["name"] != "digits":
        raise ValueError(
            f"study {found.name!r} does not know where its images ({fixed['data']['name']}) lie; give --path"
        )
    return Experiment.model_validate(content)


def _describe(experiment: Experiment, name: str) -> DataFacts:
    try:
        return describe(experiment.data.spec())
    except ValueError as error:
        raise ValueError(f"the images of study {name!r}: {error}; --path names where they lie now") from error
