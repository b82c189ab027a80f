"""A warm start: what earlier studies have shown of networks that are points of this space."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from orchestrator.locate import locate
from orchestrator.sampler.optuna_sampler import earlier_observations
from orchestrator.sampler.proposer import Observation
from orchestrator.study import open_storage
from search_spaces.space import Space


def earlier_trainings(studies: Sequence[str], space: Space) -> list[Observation]:
    """Of the finished trainings of STUDY by STUDY. ValueError where there is no such study, or nothing in it is known."""
    return [observation for study in studies for observation in _of_one(study, space)]


def _of_one(name: str, space: Space) -> list[Observation]:
    try:
        found = locate(name)
        study = optuna.load_study(study_name=found.name, storage=open_storage(found.storage))
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"warm_start: {name} cannot be read ({error})") from error
    observations = earlier_observations(study, space)
    if not observations:
        raise ValueError(f"warm_start: no network that study {name} trained to the end is a point of this space")
    return observations
