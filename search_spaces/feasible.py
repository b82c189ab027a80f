"""The feasible set: all architectures of a space that keep a budget, known exactly before anything is trained.

Architectures are counted, not plans: two of them may lower to one plan (a parameter that changes nothing there).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from search_spaces.block_costs import Integers
from search_spaces.budget import Budget
from search_spaces.candidates import ABSENT, CostTables
from search_spaces.halves import can_be_listed, ranks_below
from search_spaces.meeting import Meeting, split
from search_spaces.space import Architecture, Space
from search_spaces.trellis import Trellis, folded, make_trellis, narrowed

__all__ = ["Budget", "FeasibleSet"]

LISTED_ROWS = 1 << 24  # half paths spelled out, of all chains together: some 50 bytes each
INTERVAL = 0.01  # relative half width of an estimated size, at 95 %
DRAWS = 1 << 14  # at once
HOPELESS = 1 << 22  # draws without one that keeps the budget


@lru_cache(maxsize=4)
def cost_tables(space: Space) -> CostTables:
    """The space's tables, read off plans once."""
    return CostTables(space)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Chains with the same feasible paths. `exact`: what the meeting counts and draws needs no further check."""

    meeting: Meeting
    chains: Integers
    exact: bool

    @property
    def size(self) -> int:
        return self.meeting.size * len(self.chains)


class FeasibleSet:
    """The architectures of a space within a budget: their number, uniform draws, neighbours, cheapest and dearest.

    Exact for one limit at any size and for several up to some 10^12 members. Beyond that the size is an estimate and
    draws, still uniform, are made within the tightest limit and rejected by the others.
    """

    def __init__(self, space: Space, budget: Budget) -> None:
        self.space, self.budget = space, budget
        self.tables = cost_tables(space)
        self._tried = self._kept = 0

    @cached_property
    def space_size(self) -> int:
        """The number of all networks of the space."""
        return sum(part.size for part in _parts(self.tables, Budget()))

    @property
    def is_exact(self) -> bool:
        return all(part.exact for part in self._parts)

    @cached_property
    def size(self) -> int:
        """The number of members; an estimate, 95 % sure to within 1 %, where `is_exact` says no."""
        certain = sum(part.size for part in self._parts if part.exact)
        return certain if self.is_exact else certain + self._estimate(certain)

    @property
    def acceptance(self) -> float:
        """The share of draws so far that were within the budget; 1 where the set is exact."""
        return self._kept / self._tried if self._tried else 1.0

    def sample(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Members drawn uniformly and independently. ValueError where the set is empty."""
        return self.tables.decode(self.sample_codes(rng, count))

    def sample_codes(self, rng: np.random.Generator, count: int) -> Integers:
        """The same as codes (count, 1 + stages)."""
        found = [np.empty((0, 1 + self.tables.stages), dtype=np.int64)]
        while sum(map(len, found)) < count:
            missing = count - sum(map(len, found))
            found.append(self._accepted(rng, self._parts, max(64, math.ceil(1.1 * missing / self.acceptance))))
        return np.concatenate(found)[:count]

    def contains(self, architecture: Architecture) -> bool:
        """Whether it is a point of the space, makes a network and keeps the budget."""
        try:
            return bool(self.budget.keeps(self.costs([architecture]))[0])
        except ValueError:
            return False

    def costs(self, architectures: Sequence[Architecture]) -> Integers:
        """Exact costs (n, columns in the order of COLUMNS). ValueError where one makes no network of the space."""
        return self.tables.costs(self.tables.encode(architectures))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Members that differ from it in one parameter. Where that makes another matter, all of its values come in."""
        return self.tables.decode(self.neighbour_codes(self.tables.encode([architecture])))

    def neighbour_codes(self, codes: Integers) -> Integers:
        """The distinct members that neighbour any of these codes (n, 1 + stages)."""
        found = self.tables.neighbours(codes)
        return found[self.budget.keeps(self.tables.costs(found))]

    @cached_property
    def _parts(self) -> list[_Part]:
        return list(_parts(self.tables, self.budget))

    def _accepted(self, rng: np.random.Generator, parts: list[_Part], tries: int) -> Integers:
        """Those of a number of draws that keep the budget, in the order drawn."""
        if not parts:
            raise ValueError(f"no network keeps the budget {self.budget}")
        tries = min(tries, DRAWS)
        codes = _draw(rng, parts, tries, self.tables.stages)
        if not all(part.exact for part in parts):
            codes = codes[self.budget.keeps(self.tables.costs(codes))]
            self._tried, self._kept = self._tried + tries, self._kept + len(codes)
            if self._tried >= HOPELESS and not self._kept:
                raise ValueError(
                    f"none of {self._tried:,} networks drawn keeps the budget {self.budget}; loosen a limit"
                )
        return codes

    def _estimate(self, certain: int) -> int:
        """The members among the parts that are not exact, by draws until the interval is narrow enough."""
        parts = [part for part in self._parts if not part.exact]
        most = sum(part.size for part in parts)
        rng = np.random.default_rng(0)
        tried = kept = 0
        while True:
            kept, tried = kept + len(self._accepted(rng, parts, DRAWS)), tried + DRAWS
            share = kept / tried
            error = 1.96 * math.sqrt(share * (1 - share) / tried) * most
            if kept and error <= INTERVAL * (certain + share * most):
                return most * kept // tried


def _parts(tables: CostTables, budget: Budget) -> Iterator[_Part]:
    """Equal trellises once; what needs the halves spelled out is served first."""
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
        listed = rows <= left and _can_be_listed(trellis, boundary)
        left -= rows if listed else 0
        part = _part(trellis, boundary, listed, np.array(chains[key]))
        if part.size:
            yield part


def _foldable(trellis: Trellis) -> tuple[Trellis, int, int]:
    """Three columns become two; with the boundary and the number of half paths."""
    two = folded(trellis) if len(trellis.columns) > 2 else trellis
    return two, *split(two)


def _can_be_listed(trellis: Trellis, boundary: int) -> bool:
    backward = trellis.reversed()
    return can_be_listed(trellis, boundary) and can_be_listed(backward, len(trellis.steps) - boundary)


def _part(trellis: Trellis, boundary: int, listed: bool, chains: Integers) -> _Part:
    if listed or len(trellis.columns) == 1:
        return _Part(meeting=Meeting(trellis, boundary, listed), chains=chains, exact=True)
    single = [narrowed(trellis, [column]) for column in range(len(trellis.columns))]
    tightest = min((Meeting(one, boundary, listed=False) for one in single), key=lambda meeting: meeting.size)
    return _Part(meeting=tightest, chains=chains, exact=False)


def _draw(rng: np.random.Generator, parts: list[_Part], count: int, stages: int) -> Integers:
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
