"""The example of all six families: every one is searched, and every one learns the digits in the example's protocol."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from orchestrator.experiment import load_experiment
from orchestrator.opening import Prepared, prepare
from search_spaces.families.table import FAMILIES
from search_spaces.feasible import FeasibleSet
from search_spaces.space import Space
from workers.records import Metrics, TrainRequest
from workers.trainer import train

EXAMPLE = Path(__file__).parents[2] / "examples" / "six-families.yaml"


@lru_cache(maxsize=1)
def example() -> Prepared:
    return prepare(load_experiment(str(EXAMPLE), ()))


def test_all_six_families_are_searched() -> None:
    drawn = example().feasible.sample(np.random.default_rng(0), 400)
    assert {architecture.family for architecture in drawn} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_of_each_family_learns_the_digits(family: str) -> None:
    """The dearest within the budget; nine of ten digits of the validation split."""
    prepared = example()
    experiment, space = prepared.experiment, prepared.feasible.space
    alone = Space(task=space.task, families=(space.family(family),))
    plan = space.plan(FeasibleSet(alone, prepared.feasible.budget).dearest("macs"))
    wanted = TrainRequest(
        key=family,
        plan=plan,
        recipe=experiment.recipe(),
        data=experiment.data.spec(),
        threads=1,
        device="cpu",
    )
    *_, last = train(wanted)
    assert isinstance(last, Metrics)
    assert last.accuracy > 0.9
