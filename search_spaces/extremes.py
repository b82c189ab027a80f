"""The cheapest and the dearest networks of a feasible set, exact at any size.

Both halves of a trellis are spelled out, less what is dominated: of two beginnings in one state, one that is no worse
in any column that has a better side makes the other needless. A column has none where both of its limits may break, or
where the cost that is to be least has a limit below: there only equal sums compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from search_spaces.block_costs import ACTIVATION_BYTES, COLUMNS, DEPTH, INVALID, Chain, CostName, Integers
from search_spaces.budget import Budget
from search_spaces.draws import QUICK_ROWS
from search_spaces.halves import Thin
from search_spaces.meeting import listed, split, summed
from search_spaces.trellis import Trellis, bounds_to_end, folded, make_trellis, mirrored, narrowed

Path = tuple[int, Integers]  # the number of a chain and the choices of its steps


def extreme_paths(chains: Sequence[Chain], budget: Budget, by: CostName, dearest: bool) -> Iterator[Path]:
    """For each chain with a network in the budget, its path with the least (dearest: the most) of a cost."""
    column = COLUMNS.index(by)
    if column == ACTIVATION_BYTES or (column == DEPTH and _limits_of_sums(budget) > 1):
        limit = _extreme_limit(chains, budget, by, dearest)
        if limit is None:
            return
        budget, column, dearest = limit, COLUMNS.index("macs"), False
    seen: dict[tuple[object, ...], Integers | None] = {}
    for number, chain in enumerate(chains):
        trellis = make_trellis(chain, budget, watched=column)
        if trellis is None:
            continue
        key = trellis.key()
        if key not in seen:
            seen[key] = _extreme_path(trellis, trellis.columns.index(column), dearest)
        path = seen[key]
        if path is not None:
            yield number, path


def has_member(chains: Sequence[Chain], budget: Budget) -> bool:
    """Whether any network keeps the budget."""
    return next(extreme_paths(chains, budget, "macs", False), None) is not None


def _extreme_path(trellis: Trellis, column: int, dearest: bool) -> Integers | None:
    if dearest:
        trellis = mirrored(trellis, column)
    if len(trellis.columns) > 2:
        trellis = folded(trellis)
    others = [other for other in range(len(trellis.columns)) if other != column]
    trellis = narrowed(trellis, [*others, column])
    boundary, rows = split(trellis)
    if len(trellis.columns) == 1 and rows > QUICK_ROWS:
        return summed(trellis, boundary).least()
    return listed(trellis, boundary, _undominated(_better_sides(trellis))).least()


def _better_sides(trellis: Trellis) -> Integers:
    """For each column 1 where less is better, -1 where more is, 0 where neither; the last is to be least."""
    if not all(len(step.source) for step in trellis.steps):
        return np.zeros(len(trellis.columns), dtype=np.int64)
    least, most = (bound[0] for bound in bounds_to_end(trellis.steps)[0])
    sides = np.where(least >= trellis.low, 1, np.where(most <= trellis.high, -1, 0))
    sides[-1] = max(sides[-1], 0)
    return sides


def _undominated(sides: Integers) -> Thin:
    """Keeps of every group (state, sums that compare only when equal) what is not dominated in the other columns."""

    def thin(state: Integers, sums: Integers) -> Integers:
        if not len(state):
            return state
        group = _numbered([state, *sums.T[sides == 0]])
        ordered = [column * side for column, side in zip(sums.T, sides, strict=True) if side]
        order = np.lexsort((*ordered[::-1], group))
        if len(ordered) < 2:
            return order[np.flatnonzero(np.diff(group[order], prepend=-1))]
        rank = np.unique(ordered[1], return_inverse=True)[1].reshape(-1)
        falling = (rank - len(rank) * group)[order]  # below every group before, so that each starts anew
        lowest_before = np.minimum.accumulate(falling)[:-1]
        return order[np.flatnonzero(np.append(True, falling[1:] < lowest_before))]

    return thin


def _numbered(columns: Sequence[Integers]) -> Integers:
    """One number for each distinct combination."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        place = np.unique(column, return_inverse=True)[1].reshape(-1)
        number = np.unique(number * (1 + place.max()) + place, return_inverse=True)[1].reshape(-1)
    return number


def _limits_of_sums(budget: Budget) -> int:
    return sum(budget.limits(name) != (None, None) for name in COLUMNS if name in ("params", "macs"))


def _extreme_limit(chains: Sequence[Chain], budget: Budget, by: CostName, dearest: bool) -> Budget | None:
    """The budget with the tightest limit on one cost under which it still has a member; None where it has none."""
    tried = [_limited(budget, by, value, dearest) for value in _values(chains, COLUMNS.index(by))]
    budgets = [limited for limited in (tried[::-1] if dearest else tried) if limited is not None]

    def may_have(limited: Budget) -> bool:
        return any(make_trellis(chain, limited) is not None for chain in chains)

    start = _first(budgets, may_have, 0)
    end = start if start < len(budgets) and has_member(chains, budgets[start]) else None
    end = _first(budgets, lambda limited: has_member(chains, limited), start) if end is None else end
    return budgets[end] if end < len(budgets) else None


def _first(budgets: list[Budget], holds: Callable[[Budget], bool], start: int) -> int:
    """The first budget from `start` on of which it holds; it holds of all after one of which it does."""
    end = len(budgets)
    while start < end:
        middle = (start + end) // 2
        start, end = (start, middle) if holds(budgets[middle]) else (middle + 1, end)
    return start


def _limited(budget: Budget, by: CostName, value: int, from_below: bool) -> Budget | None:
    least, most = budget.limits(by)
    if (least is not None and value < least) or (most is not None and value > most):
        return None
    side = "min" if from_below else "max"
    return replace(budget, **{f"{side}_{by}": value})


def _values(chains: Sequence[Chain], column: int) -> list[int]:
    """Every value that a network's cost may take: of activation memory a layer's, of depth all up to the deepest."""
    found = [layer.costs[layer.target != INVALID][:, column] for chain in chains for layer in chain.layers]
    if column == DEPTH:
        depths = [sum(int(layer.costs[..., DEPTH].max()) for layer in chain.layers) for chain in chains]
        return list(range(max(depths) + 1))
    return [int(value) for value in np.unique(np.concatenate(found))]
