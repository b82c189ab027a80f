"""Which networks are trained again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.evaluation.choice import chosen
from orchestrator.evaluation.repeats import recipe_key, repeats
from orchestrator.trials import Trial
from tests.orchestrator.making import metrics, trial
from workers.records import Recipe


def done(number: int, macs: int, accuracy: float, source: str = "search") -> Trial:
    made = trial(number, macs, source)
    made.phase, made.metrics = "complete", metrics(3, accuracy, number)
    return made


TRIALS = [
    done(0, 300, 0.99, "reference"),
    done(1, 100, 0.80),
    done(2, 100, 0.795),
    done(3, 200, 0.90),
    done(4, 250, 0.89),
    done(5, 300, 0.95),
    done(6, 400, 0.93),
    trial(7, 10),
]


@pytest.mark.parametrize(
    ("within", "numbers"),
    [(None, [1, 3, 5]), (0.0, [1, 3, 5]), (0.005, [1, 2, 3, 5]), (0.01, [1, 2, 3, 4, 5]), (1.0, [1, 2, 3, 4, 5, 6])],
)
def test_the_front_or_what_is_near_it_at_its_cost(within: float | None, numbers: list[int]) -> None:
    assert [one.number for one in chosen(TRIALS, ("macs",), within, references=False)] == numbers
    assert [one.number for one in chosen(TRIALS, ("macs",), within, references=True)] == [*numbers, 0]


def test_nothing_trained_to_the_end_is_said() -> None:
    with pytest.raises(ValueError, match="no front yet"):
        chosen([TRIALS[0], TRIALS[-1]], ("macs",), None, references=True)


def test_every_network_is_trained_once_before_any_twice() -> None:
    made = repeats(TRIALS[1:3], (1, 2), "test", Recipe())
    assert [(one.trial.number, one.seed) for one in made] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert len({one.key for one in made}) == 4


def test_a_repeat_is_the_same_under_another_name_of_its_recipe_alone() -> None:
    one = repeats(TRIALS[1:2], (1,), "test", Recipe())[0]
    assert replace(one, recipe=Recipe(name="other")).key == one.key
    assert recipe_key(Recipe(epochs=3)) != recipe_key(Recipe())
    changes = ({"seed": 2}, {"split": "validation"}, {"trial": TRIALS[2]}, {"recipe": Recipe(epochs=3)})
    assert all(replace(one, **change).key != one.key for change in changes)  # type: ignore[arg-type]
