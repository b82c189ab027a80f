"""The parts of a feasible set, counted and drawn from: chains with the same feasible paths are one part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces.block_costs import Integers
from search_spaces.budget import Budget
from search_spaces.candidates import ABSENT, CostTables
from search_spaces.halves import ranks_below
from search_spaces.meeting import Meeting, listed, split, summed
from search_spaces.trellis import Trellis, folded, make_trellis, narrowed

LISTED_ROWS = 12_000_000  # half paths spelled out for two columns, of all chains together: some 50 bytes each
QUICK_ROWS = 200_000  # the same of a chain with one column, for which sums would do, but slower draws


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Chains with the same feasible paths. `exact`: what the meeting counts and draws needs no further check."""

    meeting: Meeting
    chains: Integers
    exact: bool

    @property
    def size(self) -> int:
        return self.meeting.size * len(self.chains)


def make_parts(tables: CostTables, budget: Budget) -> Iterator[Part]:
    """The parts that are not empty. Each trellis is counted once; what needs the halves spelled out is served first."""
    chains: dict[tuple[object, ...], list[int]] = {}
    trellises: dict[tuple[object, ...], Trellis] = {}
    for number, chain in enumerate(tables.chains):
        trellis = make_trellis(chain, budget)
        if trellis is not None:
            trellises.setdefault(trellis.key(), trellis)
            chains.setdefault(trellis.key(), []).append(number)
    plans = [(key, *_foldable(trellis)) for key, trellis in trellises.items()]
    left = LISTED_ROWS
    for key, trellis, boundary, rows in sorted(plans, key=lambda plan: (len(plan[1].columns) == 1, plan[3])):
        spelled_out = rows <= (left if len(trellis.columns) > 1 else min(left, QUICK_ROWS))
        left -= rows if spelled_out else 0
        part = _part(trellis, boundary, spelled_out, np.array(chains[key]))
        if part.size:
            yield part


def _foldable(trellis: Trellis) -> tuple[Trellis, int, int]:
    """Three columns become two; with the boundary and the number of half paths."""
    two = folded(trellis) if len(trellis.columns) > 2 else trellis
    return two, *split(two)


def _part(trellis: Trellis, boundary: int, spelled_out: bool, chains: Integers) -> Part:
    if spelled_out:
        return Part(meeting=listed(trellis, boundary), chains=chains, exact=True)
    single = [summed(narrowed(trellis, [column]), boundary) for column in range(len(trellis.columns))]
    tightest = min(single, key=lambda meeting: meeting.size)
    return Part(meeting=tightest, chains=chains, exact=len(single) == 1)


def draw_codes(rng: np.random.Generator, parts: Sequence[Part], count: int, stages: int) -> Integers:
    """Codes drawn uniformly from all paths of the parts."""
    below = np.cumsum(np.array([0, *(part.size for part in parts)], dtype=object))
    exact = below if below[-1] >= 1 << 62 else below.astype(np.int64)
    rank = ranks_below(rng, np.full(count, exact[-1], dtype=exact.dtype))
    chosen = np.searchsorted(exact, rank, side="right") - 1
    codes = np.full((count, 1 + stages), ABSENT, dtype=np.int64)
    for number in np.unique(chosen).tolist():
        here, part = np.flatnonzero(chosen == number), parts[number]
        choices = part.meeting.draw(rng, len(here))
        codes[here, 0] = rng.choice(part.chains, len(here))
        codes[here, 1 : choices.shape[1] - 1] = choices[:, 1:-1]
    return codes
