"""Parameter importance: a planted cause is found, noise is not."""

import random
from dataclasses import replace

from dashboards.front import front
from dashboards.importance import LEAST_TRIALS, best_mask, importances
from dashboards.table import TrialRow

PAIR = ("accuracy", "macs")


def study(trials: int, seed: int = 0) -> list[TrialRow]:
    """Accuracy is made by `cause` alone; `noise` and `many` do nothing."""
    draw = random.Random(seed)
    rows = []
    for number in range(trials):
        cause, noise = draw.choice([1, 2, 3, 4]), draw.choice(["a", "b", "c"])
        row = TrialRow(number=number, key="k", plan_key=str(number), name="n", family="f", state="complete")
        parameters = {"f.cause": cause, "f.noise": noise, "f.many": draw.random(), "f.fixed": 7}
        accuracy = 0.5 + 0.1 * cause + draw.gauss(0, 0.02)
        rows.append(replace(row, parameters=parameters, accuracy=accuracy, macs=draw.randint(100, 10_000)))
    return rows


def test_the_planted_cause_comes_first_and_its_best_value_is_named() -> None:
    listed = importances(study(300), PAIR, "f")
    assert listed[0].parameter == "cause"
    assert listed[0].preferred == "4"
    assert listed[0].share > 0.7
    assert {importance.parameter for importance in listed} == {"cause", "noise", "many"}


def test_noise_stays_near_nothing_on_average() -> None:
    shares = [
        importance.share
        for seed in range(8)
        for importance in importances(study(300, seed), PAIR, "f")
        if importance.parameter in ("noise", "many")
    ]
    assert sum(shares) / len(shares) < 0.15


def test_the_family_itself_is_judged_across_families() -> None:
    rows = [replace(row, family="good" if row.parameters["f.cause"] == 4 else "bad") for row in study(200)]
    (listed,) = importances(rows, PAIR)
    assert (listed.parameter, listed.preferred) == ("family", "good")


def test_too_few_trials_say_nothing() -> None:
    assert importances(study(LEAST_TRIALS - 1), PAIR, "f") == []


def test_the_best_are_a_tenth_and_hold_the_front() -> None:
    rows = study(300)
    best = best_mask(rows, PAIR)
    assert 30 <= best.sum() < 90
    assert (best | ~front(rows, PAIR)).all()
