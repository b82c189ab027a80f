"""What counts as found, what is on the front, and how objectives turn their signs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.front import (
    found,
    front,
    front_rows,
    hypervolume_shares,
    objective,
    objective_values,
    reference_point,
    references,
)
from dashboards.table import StudyFacts, TrialRow

PAIR = ("accuracy", "macs")


def trial(number: int, accuracy: float | None, macs: int | None, **changes: object) -> TrialRow:
    row = TrialRow(number=number, key=str(number), plan_key=str(number), name="n", family="igcv2", state="complete")
    return replace(row, accuracy=accuracy, macs=macs, ended_at=float(number), **changes)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), max_size=30))
def test_the_front_is_what_nothing_found_beats(points: list[tuple[int, int]]) -> None:
    rows = [trial(number, accuracy / 20, macs) for number, (accuracy, macs) in enumerate(points)]
    beaten = [any(a >= b and m <= n and (a, m) != (b, n) for a, m in points) for b, n in points]
    assert front(rows, PAIR).tolist() == [not is_beaten for is_beaten in beaten]


def test_only_complete_trials_of_the_search_are_found() -> None:
    rows = [
        trial(0, 0.5, 100),
        trial(1, 0.9, 10, source="reference", reference="r"),
        trial(2, 0.9, 10, state="pruned"),
        trial(3, None, 10),
        trial(4, 0.9, None),
        trial(5, 0.9, 10, source="evaluation"),
    ]
    assert found(rows, PAIR).tolist() == [True] + [False] * 5
    assert front(rows, PAIR).tolist() == [True] + [False] * 5
    assert references(rows).tolist() == [False, True, False, False, False, False]


def test_accuracy_becomes_error_and_costs_stay() -> None:
    values = objective_values([trial(0, 0.75, 8), trial(1, None, 9)], PAIR)
    assert values[0].tolist() == [0.25, 8.0]
    assert np.isnan(values[1, 0])


def test_front_rows_stand_by_cost_and_name_each_network_once() -> None:
    rows = [trial(0, 0.9, 30), trial(1, 0.5, 10), trial(2, 0.5, 10, plan_key="1")]
    assert [row.number for row in front_rows(rows, PAIR)] == [1, 0]


def test_shares_grow_from_the_order_of_the_ends() -> None:
    facts = StudyFacts(study="s", reference_point=(1.0, 100.0))
    rows = [trial(2, 0.9, 50), trial(1, 0.5, 50), trial(3, 0.1, 99)]
    ended, shares = hypervolume_shares(rows, facts)
    assert [row.number for row in ended] == [1, 2, 3]
    assert shares.tolist() == pytest.approx([0.25, 0.45, 0.45 + 0.0], abs=1e-9)


def test_the_reference_point_comes_from_the_study_or_from_the_budget_and_the_worst() -> None:
    rows = [trial(0, 0.9, 30), trial(1, 0.5, 10)]
    assert reference_point(rows, StudyFacts(study="s", reference_point=(0.3, 7.0))).tolist() == [0.3, 7.0]
    assert reference_point(rows, StudyFacts(study="s", limits={"macs": 64.0})).tolist() == [0.5, 64.0]


def test_an_unknown_objective_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'speed'; known: accuracy, macs"):
        objective("speed")
