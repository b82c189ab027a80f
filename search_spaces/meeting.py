"""Meeting in the middle: how many paths of a trellis keep its limits, and uniform draws from them.

A path is a left row and a right row of the same state in the middle. For each left row the right ones that keep the
limits with it are a range in the first column and, where there is a second one, a range of ranks in a wavelet matrix.
Source: Horowitz, Sahni, "Computing partitions with applications to the knapsack problem" (J. ACM 21, 1974).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from search_spaces.block_costs import Integers
from search_spaces.halves import Counts, Half, ListedHalf, SummedHalf, Thin, ranks_below
from search_spaces.trellis import Trellis, path_counts
from search_spaces.wavelet import WaveletMatrix


class Partners(Protocol):
    """The right rows of one state; `room` (n, 2, columns): the least and the most that they may add, for each query."""

    def count(self, room: Integers) -> Counts:
        """How many right paths lie within."""

    def pick(self, room: Integers, rank: Counts) -> Integers:
        """The row (within the state) of the right path with this rank among those."""


class _OneColumn:
    def __init__(self, sums: Integers, counts: Counts | None) -> None:
        self._sums = sums[:, 0]
        ones = np.ones(len(sums), dtype=np.int64) if counts is None else counts
        self._below = np.concatenate((np.zeros(1, dtype=ones.dtype), np.cumsum(ones)))

    def count(self, room: Integers) -> Counts:
        first, last = _range(self._sums, room[:, :, 0])
        within: Counts = self._below[last] - self._below[first]
        return within

    def pick(self, room: Integers, rank: Counts) -> Integers:
        first, _ = _range(self._sums, room[:, :, 0])
        return np.searchsorted(self._below, self._below[first] + rank, side="right") - 1


class _TwoColumns:
    """Rows by their first column; a row's value in the wavelet matrix is its rank in the second."""

    def __init__(self, sums: Integers) -> None:
        self._first = sums[:, 0]
        self._second, ranks = np.unique(sums[:, 1], return_inverse=True)
        self._ranks = WaveletMatrix(ranks.reshape(-1))

    def count(self, room: Integers) -> Counts:
        first, last = _range(self._first, room[:, :, 0])
        low, high = _range(self._second, room[:, :, 1])
        return self._ranks.count_below(first, last, high) - self._ranks.count_below(first, last, low)

    def pick(self, room: Integers, rank: Counts) -> Integers:
        first, last = _range(self._first, room[:, :, 0])
        low, _ = _range(self._second, room[:, :, 1])
        return self._ranks.find(first, last, rank + self._ranks.count_below(first, last, low))


def _range(ordered: Integers, room: Integers) -> tuple[Integers, Integers]:
    """The half-open range of positions between each least and most; empty where none lies there."""
    first = np.searchsorted(ordered, room[:, 0], side="left")
    return first, np.maximum(first, np.searchsorted(ordered, room[:, 1], side="right"))


class Meeting:
    """The paths of a trellis that two halves (the right one of the reversed trellis) make within its limits.

    `size` of them, drawn uniformly.
    """

    def __init__(self, trellis: Trellis, left: Half, right: Half) -> None:
        self._trellis, self._left, self._right = trellis, left, right
        self._partners = [_partners(right, state) for state in range(len(right.start) - 1)]
        counts = [self._counted(state) for state in range(len(self._partners))]
        self._below = _cumulated(np.concatenate([np.zeros(1, dtype=np.int64), *counts]))
        self.size = int(self._below[-1])

    def draw(self, rng: np.random.Generator, count: int) -> Integers:
        """Choices (count, steps) of uniformly drawn paths."""
        rank = ranks_below(rng, np.full(count, self.size, dtype=self._below.dtype))
        left = np.searchsorted(self._below, rank, side="right") - 1
        rank = rank - self._below[left]
        if self._left.counts is not None:
            rank = rank // self._left.counts[left]
        return self._unrolled(rng, left, self._matched(left, rank))

    def least(self) -> Integers | None:
        """The choices (steps,) of the path with the least sum in the last column; None where there is no path."""
        left = np.flatnonzero(np.diff(self._below))
        if not len(left):
            return None
        right = self._matched(left, np.zeros(len(left), dtype=np.int64))
        best = int(np.argmin(self._left.sums[left, -1] + self._right.sums[right, -1]))
        path: Integers = self._unrolled(np.random.default_rng(0), left[[best]], right[[best]])[0]
        return path

    def _unrolled(self, rng: np.random.Generator, left: Integers, right: Integers) -> Integers:
        back = self._right.unroll(rng, right)
        return np.concatenate((self._left.unroll(rng, left), back[:, ::-1]), axis=1)

    def _matched(self, left: Integers, rank: Counts) -> Integers:
        """The right row of each left row that has this rank among its partners."""
        state = np.searchsorted(self._left.start, left, side="right") - 1
        right = np.empty_like(left)
        for number in np.unique(state).tolist():
            here = state == number
            row = self._partners[number].pick(self._room(left[here]), rank[here])
            right[here] = self._right.start[number] + row
        return right

    def _counted(self, state: int) -> Counts:
        """How many feasible paths each left row of a state stands for."""
        rows = np.arange(self._left.start[state], self._left.start[state + 1])
        partners = self._partners[state].count(self._room(rows))
        if self._left.counts is None:
            return partners
        return _exact_product(self._left.counts[rows], partners)

    def _room(self, rows: Integers) -> Integers:
        sums = self._left.sums[rows]
        return np.stack((self._trellis.low - sums, self._trellis.high - sums), axis=1)


def _partners(right: Half, state: int) -> Partners:
    rows = slice(right.start[state], right.start[state + 1])
    if right.sums.shape[1] == 2:
        return _TwoColumns(right.sums[rows])
    return _OneColumn(right.sums[rows], None if right.counts is None else right.counts[rows])


def _exact_product(one: Counts, other: Counts) -> Counts:
    """Products in Python integers where int64 might not hold them."""
    if one.dtype != object and other.dtype != object and _bits(one) + _bits(other) < 62:
        product: Counts = one * other
    else:
        product = one.astype(object) * other.astype(object)
    return product


def _cumulated(counts: Counts) -> Counts:
    if counts.dtype != object and _bits(counts) + len(counts).bit_length() >= 62:
        counts = counts.astype(object)
    return np.cumsum(counts)


def _bits(counts: Counts) -> int:
    return int(counts.max(initial=0)).bit_length()


def split(trellis: Trellis) -> tuple[int, int]:
    """The boundary at which the two halves have the fewest paths together, and how many those are."""
    backward = trellis.reversed()
    left, right = ([sum(counts) for counts in path_counts(t.steps)] for t in (trellis, backward))
    totals = [left[boundary] + right[-1 - boundary] for boundary in range(1, len(trellis.steps))]
    best = min(range(len(totals)), key=totals.__getitem__)
    return best + 1, totals[best]


def listed(trellis: Trellis, boundary: int, thin: Thin | None = None) -> Meeting:
    """With the halves spelled out: fast draws, one or two columns. Where `thin` drops rows ask only for the `least`."""
    rest = len(trellis.steps) - boundary
    return Meeting(trellis, ListedHalf(trellis, boundary, thin), ListedHalf(trellis.reversed(), rest, thin))


def summed(trellis: Trellis, boundary: int) -> Meeting:
    """With the halves summed up: one column, any size."""
    rest = len(trellis.steps) - boundary
    return Meeting(trellis, SummedHalf(trellis, boundary), SummedHalf(trellis.reversed(), rest))
