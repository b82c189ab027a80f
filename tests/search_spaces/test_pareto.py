"""Fronts, ranks and hypervolumes against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.pareto import dominates, hypervolume, hypervolume_history, non_dominated, non_dominated_ranks

SIDE = 5  # grid points are integers, so volumes can be counted in unit cells


@st.composite
def grid_points(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    objectives = draw(st.integers(1, 4))
    row = st.lists(st.integers(0, SIDE + 1), min_size=objectives, max_size=objectives)
    rows = draw(st.lists(row, min_size=1, max_size=most))
    return np.array(rows, dtype=float)


def counted_cells(points: np.ndarray) -> int:
    """Unit cells of the cube [0, SIDE)^m that some point dominates."""
    cells = product(range(SIDE), repeat=points.shape[1])
    return sum(bool((points <= np.array(cell)).all(axis=1).any()) for cell in cells)


def peeled_ranks(points: np.ndarray) -> list[int]:
    ranks = [-1] * len(points)
    rank = 0
    while -1 in ranks:
        left = [index for index, given_rank in enumerate(ranks) if given_rank < 0]
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        for index in front:
            ranks[index] = rank
        rank += 1
    return ranks


def test_a_point_does_not_dominate_its_equal() -> None:
    assert dominates([1, 2], [1, 3])
    assert not dominates([1, 2], [1, 2])
    assert not dominates([1, 2], [0, 3])


@given(grid_points())
def test_the_front_is_what_nothing_dominates(points: np.ndarray) -> None:
    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(points).tolist() == expected


@given(grid_points())
def test_ranks_are_fronts_peeled_one_after_the_other(points: np.ndarray) -> None:
    assert non_dominated_ranks(points).tolist() == peeled_ranks(points)


@given(grid_points())
def test_hypervolume_counts_the_dominated_cells(points: np.ndarray) -> None:
    assert hypervolume(points, [SIDE] * points.shape[1]) == counted_cells(points)


@given(grid_points())
def test_history_is_the_hypervolume_of_every_beginning(points: np.ndarray) -> None:
    reference = [SIDE] * points.shape[1]
    expected = [hypervolume(points[:count], reference) for count in range(1, len(points) + 1)]
    assert hypervolume_history(points, reference).tolist() == expected


def test_history_of_many_trials_ends_at_the_hypervolume_of_all() -> None:
    points = np.random.default_rng(0).random((20_000, 2))
    history = hypervolume_history(points, [1.0, 1.0])
    assert (np.diff(history) >= 0).all()
    assert history[-1] == pytest.approx(hypervolume(points, [1.0, 1.0]), rel=1e-9)


def test_both_of_two_equal_points_stay_on_the_front() -> None:
    assert non_dominated([[1, 2], [1, 2], [2, 2], [0, 3]]).tolist() == [True, True, False, True]


def test_a_trial_without_values_counts_for_nothing() -> None:
    points = [[0.5, 0.5], [np.inf, np.inf]]
    assert hypervolume_history(points, [1, 1]).tolist() == [0.25, 0.25]
    assert non_dominated(points).tolist() == [True, False]


def test_no_points_have_no_front_and_no_volume() -> None:
    empty = np.empty((0, 2))
    assert non_dominated(empty).shape == (0,)
    assert non_dominated_ranks(empty).shape == (0,)
    assert hypervolume(empty, [1, 1]) == 0.0
    assert hypervolume_history(empty, [1, 1]).shape == (0,)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="point 1 has a NaN"):
        non_dominated([[1, 2], [np.nan, 0]])
    with pytest.raises(ValueError, match="2 finite numbers"):
        hypervolume([[1, 2]], [3])
    with pytest.raises(ValueError, match="number of objectives"):
        non_dominated([1, 2, 3])
