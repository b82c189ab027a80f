"""Rungs: the same choices as ranking everything at every arrival, for little work however many trials there are."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.promotion import Promotion
from search_spaces.pareto import non_dominated_ranks

Points = dict[int, tuple[float, float]]
ETA = 3.0
SOME = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1, max_size=50)


def naive(points: Points, promoted: set[int], finishing: bool) -> int | None:
    """Asynchronous successive halving by non-dominated rank, ranked from nothing."""
    trials = list(points)
    ranks = non_dominated_ranks(np.array([points[trial] for trial in trials]))
    order = sorted(range(len(trials)), key=lambda index: (ranks[index], points[trials[index]][0], trials[index]))
    allowed = max(int(len(trials) / ETA), 1 if finishing else 0)
    return next((trials[index] for index in order[:allowed] if trials[index] not in promoted), None)


@settings(max_examples=60, deadline=None)
@given(SOME)
def test_each_choice_is_that_of_ranking_everything(arrivals: list[tuple[int, int, bool]]) -> None:
    promotion = Promotion((1,), ETA, 2)
    points: Points = {}
    paused: dict[int, int] = {}
    promoted: set[int] = set()
    for trial, (error, cost, leaves) in enumerate(arrivals):
        points[trial] = (float(error), float(cost))
        promotion.enter(trial, 0, points[trial])
        paused[trial] = 0
        chosen = promotion.next(paused)
        assert chosen == naive(points, promoted, finishing=False)
        if chosen is None:
            continue
        del paused[chosen]
        promoted.add(chosen)
        promotion.mark_promoted(chosen, 0)
        if leaves:  # it failed later
            promotion.leave(chosen)
            promoted.discard(chosen)
            del points[chosen]
    if points:
        assert promotion.next(paused, finishing=True) == naive(points, promoted, finishing=True)


def test_a_large_rung_is_seldom_ranked_and_exactly_where_no_more_come() -> None:
    rng = np.random.default_rng(0)
    promotion = Promotion((1,), ETA, 2)
    points: Points = {}
    paused: dict[int, int] = {}
    rankings, order = 0, promotion.rungs[0]._order
    for trial in range(3000):
        points[trial] = (float(rng.random()), float(rng.random()))
        promotion.enter(trial, 0, points[trial])
        paused[trial] = 0
        chosen = promotion.next(paused)
        if chosen is not None:
            del paused[chosen]
            promotion.mark_promoted(chosen, 0)
        rankings += promotion.rungs[0]._order is not order
        order = promotion.rungs[0]._order
    assert rankings < 400
    assert 950 <= len(promotion.rungs[0].promoted) <= 1200, "a third, and what was among the best third once"
    assert promotion.next(paused, finishing=True) == naive(points, promotion.rungs[0].promoted, finishing=True)
