"""A family's networks as the paths of a layered graph, cut down to what a budget may allow.

Each layer of a chain is a step from states to states; an edge is one choice from one state and carries what it adds to
every cost that is summed. Activation memory is a maximum, not a sum, and so needs no arithmetic: edges above the
largest allowed are left out, and for a smallest allowed each state is doubled: not reached yet, reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from search_spaces.block_costs import ACTIVATION_BYTES, COLUMNS, DEPTH, INVALID, Chain, Integers, Layer
from search_spaces.budget import Budget

FAR = 1 << 60  # beyond every sum of costs, and far enough from the end of int64 to be added to one

Bounds = tuple[Integers, Integers]  # the least and the most


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The edges of one layer. `source`, `target`, `choice`: (edges,); `sums`: (edges, columns)."""

    source: Integers
    target: Integers
    choice: Integers
    sums: Integers
    sources: int
    targets: int

    def take(self, kept: npt.NDArray[np.bool_] | Integers) -> Step:
        return replace(
            self, source=self.source[kept], target=self.target[kept], choice=self.choice[kept], sums=self.sums[kept]
        )

    def reversed(self) -> Step:
        return replace(self, source=self.target, target=self.source, sources=self.targets, targets=self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trellis:
    """Paths from state 0 through every step to state 0, feasible where low <= their sums <= high in every column.

    `columns` (numbers of cost columns) are those in which some path breaks the budget: the others need no watching
    (where none does, depth stands in). Sums are in units of each column's own, counted from its least.
    """

    steps: tuple[Step, ...]
    columns: tuple[int, ...]
    low: Integers
    high: Integers

    def reversed(self) -> Trellis:
        return replace(self, steps=tuple(step.reversed() for step in self.steps[::-1]))

    def key(self) -> tuple[object, ...]:
        """Equal for trellises with the same feasible paths."""
        arrays = [part for step in self.steps for part in (step.source, step.target, step.choice, step.sums)]
        sizes = tuple((step.sources, step.targets) for step in self.steps)
        return self.columns, sizes, tuple(array.tobytes() for array in (self.low, self.high, *arrays))


def make_trellis(chain: Chain, budget: Budget, watched: int | None = None) -> Trellis | None:
    """The chain's networks under a budget; None where none can keep it. A `watched` column is there in any case."""
    low, high = _limits(budget)
    steps = pruned(_reaching([_step(layer, budget) for layer in chain.layers], budget), low, high)
    if not all(len(step.source) for step in steps):
        return None
    least, most = (bound[0] for bound in bounds_to_end(steps)[0])
    breaks = (least < low) | (most > high)
    columns = [column for column in range(len(COLUMNS)) if breaks[column] or column == watched]
    return _in_units(steps, tuple(columns) or (DEPTH,), low, high)


def _limits(budget: Budget) -> Bounds:
    """Low and high of every column that is summed; activation memory is left to the graph."""
    limits = [budget.limits(name) if name != "activation_bytes" else (None, None) for name in COLUMNS]
    low = np.array([-FAR if least is None else least for least, _ in limits])
    return low, np.array([FAR if most is None else most for _, most in limits])


def _in_units(steps: Sequence[Step], columns: tuple[int, ...], low: Integers, high: Integers) -> Trellis:
    """With the given columns only, each less the least of its step and divided by what divides them all."""
    chosen = [step.sums[:, columns] for step in steps]
    least = [sums.min(axis=0) for sums in chosen]
    excess = [sums - base for sums, base in zip(chosen, least, strict=True)]
    unit = np.maximum(np.gcd.reduce([np.gcd.reduce(sums, axis=0) for sums in excess], axis=0), 1)
    base = np.sum(least, axis=0)
    return Trellis(
        steps=tuple(replace(step, sums=sums // unit) for step, sums in zip(steps, excess, strict=True)),
        columns=columns,
        low=-((base - low[list(columns)]) // unit),
        high=(high[list(columns)] - base) // unit,
    )


def narrowed(trellis: Trellis, columns: list[int]) -> Trellis:
    """The trellis with some of its columns watched (by position), and so with no fewer feasible paths."""
    return Trellis(
        steps=tuple(replace(step, sums=step.sums[:, columns]) for step in trellis.steps),
        columns=tuple(trellis.columns[column] for column in columns),
        low=trellis.low[columns],
        high=trellis.high[columns],
    )


def mirrored(trellis: Trellis, column: int) -> Trellis:
    """The trellis with one column (by position) counted down from its most, so that its least is the most."""
    steps, most = [], 0
    for step in trellis.steps:
        sums = step.sums.copy()
        highest = int(sums[:, column].max())
        sums[:, column] = highest - sums[:, column]
        steps.append(replace(step, sums=sums))
        most += highest
    low, high = trellis.low.copy(), trellis.high.copy()
    low[column], high[column] = most - trellis.high[column], most - trellis.low[column]
    return replace(trellis, steps=tuple(steps), low=low, high=high)


def folded(trellis: Trellis) -> Trellis:
    """The same paths with the last column, one of few values, told by the states: (state, sum so far)."""
    steps, so_far = [], 0
    low, high = int(trellis.low[-1]), int(trellis.high[-1])
    for step in trellis.steps:
        added = step.sums[:, -1]
        after = min(high, so_far + int(added.max()))
        copies = [_copy(step, total, so_far + 1, after + 1) for total in range(so_far + 1)]
        steps.append(_joined(copies, step.sources * (so_far + 1), step.targets * (after + 1)))
        so_far = after
    last = steps[-1].take(steps[-1].target >= low)
    steps[-1] = replace(last, target=np.zeros_like(last.target), targets=1)
    kept = pruned(steps, trellis.low[:-1], trellis.high[:-1])
    return Trellis(steps=tuple(kept), columns=trellis.columns[:-1], low=trellis.low[:-1], high=trellis.high[:-1])


def _copy(step: Step, total: int, width: int, width_after: int) -> Step:
    """The edges that leave with this sum so far, less those that would go beyond the widest."""
    kept = step.take(step.sums[:, -1] < width_after - total)
    target = kept.target * width_after + total + kept.sums[:, -1]
    return replace(kept, source=kept.source * width + total, target=target, sums=kept.sums[:, :-1])


def _step(layer: Layer, budget: Budget) -> Step:
    """Edges of valid choices; sums still hold all cost columns."""
    allowed = layer.target != INVALID
    if budget.max_activation_bytes is not None:
        allowed &= layer.costs[..., ACTIVATION_BYTES] <= budget.max_activation_bytes
    source, choice = np.nonzero(allowed)
    target = layer.target[source, choice]
    return Step(
        source=source,
        target=target,
        choice=choice,
        sums=layer.costs[source, choice],
        sources=len(layer.target),
        targets=int(layer.target.max()) + 1,
    )


def _reaching(steps: list[Step], budget: Budget) -> list[Step]:
    """With a smallest activation memory: states (s, reached) as 2 s + reached, ending where it was reached."""
    least = budget.min_activation_bytes
    if least is None:
        return steps
    doubled = []
    for step in steps:
        reaches = (step.sums[:, ACTIVATION_BYTES] >= least).astype(np.int64)
        both = [replace(step, source=2 * step.source + was, target=2 * step.target + (reaches | was)) for was in (0, 1)]
        doubled.append(_joined(both, 2 * step.sources, 2 * step.targets))
    last = doubled[-1].take(doubled[-1].target % 2 == 1)
    return [*doubled[:-1], replace(last, target=last.target // 2, targets=last.targets // 2)]


def _joined(parts: Sequence[Step], sources: int, targets: int) -> Step:
    return Step(
        source=np.concatenate([part.source for part in parts]),
        target=np.concatenate([part.target for part in parts]),
        choice=np.concatenate([part.choice for part in parts]),
        sums=np.concatenate([part.sums for part in parts]),
        sources=sources,
        targets=targets,
    )


def pruned(steps: Sequence[Step], low: Integers, high: Integers) -> list[Step]:
    """Without the edges that lie on no path from end to end, or on none that could keep within low and high."""
    to_end = bounds_to_end(steps)
    kept: list[Step] = []
    least, most = _at_start(steps[0])
    for step, (least_after, most_after) in zip(steps, to_end[1:], strict=True):
        nearest = least[step.source] + step.sums + least_after[step.target]
        farthest = most[step.source] + step.sums + most_after[step.target]
        alive = (nearest[:, 0] < FAR // 2) & (nearest <= high).all(axis=1) & (farthest >= low).all(axis=1)
        kept.append(step.take(alive))
        least, most = _advance(kept[-1], least, most)
    return kept


def bounds_to_end(steps: Sequence[Step]) -> list[Bounds]:
    """For every boundary, before the first step to behind the last: the least and the most (states, columns) still to
    come on the way to the end's state 0; FAR and -FAR where it cannot be reached."""
    backward = [step.reversed() for step in steps[::-1]]
    found = [_at_start(backward[0])]
    for step in backward:
        found.append(_advance(step, *found[-1]))
    return found[::-1]


def _at_start(step: Step) -> Bounds:
    shape = (step.sources, step.sums.shape[1])
    least, most = np.full(shape, FAR), np.full(shape, -FAR)
    least[0] = most[0] = 0
    return least, most


def _advance(step: Step, least: Integers, most: Integers) -> Bounds:
    shape = (step.targets, step.sums.shape[1])
    least_after, most_after = np.full(shape, FAR), np.full(shape, -FAR)
    np.minimum.at(least_after, step.target, least[step.source] + step.sums)
    np.maximum.at(most_after, step.target, most[step.source] + step.sums)
    return np.minimum(least_after, FAR), np.maximum(most_after, -FAR)


def path_counts(steps: Sequence[Step]) -> list[list[int]]:
    """For every boundary, the number of paths from the start to each state, as exact integers of any size."""
    counts = [[1] + [0] * (steps[0].sources - 1)]
    for step in steps:
        after = [0] * step.targets
        for source, target in zip(step.source.tolist(), step.target.tolist(), strict=True):
            after[target] += counts[-1][source]
        counts.append(after)
    return counts
