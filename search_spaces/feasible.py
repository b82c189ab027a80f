"""The feasible set: all architectures of a space that keep a budget, known exactly before anything is trained.

Architectures are counted, not plans: two of them may lower to one plan (a parameter that changes nothing there).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from search_spaces.block_costs import COLUMNS, CostName, Integers
from search_spaces.budget import Budget, Limit
from search_spaces.candidates import ABSENT, CostTables
from search_spaces.draws import Part, draw_codes, make_parts
from search_spaces.extremes import extreme_paths, has_member
from search_spaces.space import Architecture, Space

__all__ = ["Budget", "FeasibleSet"]

INTERVAL = 0.01  # relative half width of an estimated size, at 95 %
DRAWS = 1 << 14  # at once
HOPELESS = 1 << 20  # draws without one that keeps the budget


@lru_cache(maxsize=4)
def cost_tables(space: Space) -> CostTables:
    """The space's tables, read off plans once."""
    return CostTables(space)


class FeasibleSet:
    """The architectures of a space within a budget: their number, uniform draws, neighbours, cheapest and dearest.

    Exact for one limit at any size and for several up to some 10^12 members. Beyond that the size is an estimate and
    draws, still uniform, are made within the tightest limit and rejected by the others.
    """

    def __init__(self, space: Space, budget: Budget) -> None:
        self.space, self.budget = space, budget
        self.tables = cost_tables(space)
        self._tried = self._kept = 0
        self._extremes: dict[tuple[CostName, bool], Architecture] = {}

    @cached_property
    def space_size(self) -> int:
        """The number of all networks of the space."""
        return sum(part.size for part in make_parts(self.tables, Budget()))

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
        """The share of draws that the budget keeps; 1 where the set is exact, as sure as its size where it is not."""
        drawn_from = sum(part.size for part in self._parts)
        return self.size / drawn_from if drawn_from else 1.0

    def sample(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Members drawn uniformly and independently. ValueError where the set is empty."""
        return self.tables.decode(self.sample_codes(rng, count))

    def sample_codes(self, rng: np.random.Generator, count: int) -> Integers:
        """The same as codes (count, 1 + stages)."""
        found = [np.empty((0, 1 + self.tables.stages), dtype=np.int64)]
        while sum(map(len, found)) < count:
            missing = count - sum(map(len, found))
            rate = (1 + self._kept) / (1 + self._tried)
            found.append(
                self._accepted(rng, self._parts, missing if self.is_exact else math.ceil(1.1 * missing / rate))
            )
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

    def cheapest(self, by: CostName) -> Architecture:
        """A member with the least of a cost. ValueError where the set is empty."""
        return self._extreme(by, dearest=False)

    def dearest(self, by: CostName) -> Architecture:
        """A member with the most of a cost. ValueError where the set is empty."""
        return self._extreme(by, dearest=True)

    def cost_range(self, by: CostName) -> tuple[int, int]:
        """The least and the most that a member costs. ValueError where the set is empty."""
        costs = self.costs([self.cheapest(by), self.dearest(by)])[:, COLUMNS.index(by)]
        return int(costs[0]), int(costs[1])

    def check_not_empty(self) -> None:
        """ValueError where no network keeps the budget, with the nearest that the space has."""
        if not has_member(self.tables.chains, self.budget):
            raise ValueError(why_empty(self.space, self.budget))

    def _extreme(self, by: CostName, dearest: bool) -> Architecture:
        if (by, dearest) not in self._extremes:
            self._extremes[by, dearest] = self._find_extreme(by, dearest)
        return self._extremes[by, dearest]

    def _find_extreme(self, by: CostName, dearest: bool) -> Architecture:
        paths = list(extreme_paths(self.tables.chains, self.budget, by, dearest))
        if not paths:
            raise ValueError(why_empty(self.space, self.budget))
        codes = np.full((len(paths), 1 + self.tables.stages), ABSENT, dtype=np.int64)
        for row, (chain, choices) in zip(codes, paths, strict=True):
            row[0], row[1 : len(choices) - 1] = chain, choices[1:-1]
        costs = self.tables.costs(codes)[:, COLUMNS.index(by)]
        best = int(np.argmax(costs) if dearest else np.argmin(costs))
        return self.tables.decode(codes[[best]])[0]

    @cached_property
    def _parts(self) -> list[Part]:
        parts = list(make_parts(self.tables, self.budget))
        sure = all(part.exact for part in parts) or has_member(self.tables.chains, self.budget)
        return parts if sure else []

    def _accepted(self, rng: np.random.Generator, parts: list[Part], tries: int) -> Integers:
        """Those of a number of draws that keep the budget, in the order drawn."""
        if not parts:
            raise ValueError(why_empty(self.space, self.budget))
        tries = min(tries, DRAWS)
        codes = draw_codes(rng, parts, tries, self.tables.stages)
        if not all(part.exact for part in parts):
            codes = codes[self.budget.keeps(self.tables.costs(codes))]
            self._tried, self._kept = self._tried + tries, self._kept + len(codes)
            if self._tried >= HOPELESS and not self._kept:
                raise ValueError(
                    f"none of {self._tried:,} networks within one limit keeps {self.budget}; loosen another"
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


def why_empty(space: Space, budget: Budget) -> str:
    """What to say of a budget that no network keeps: the limit at fault, and the network that comes nearest to it."""
    everything = FeasibleSet(space, Budget())
    for limit in budget.given():
        nearest, value = _nearest(everything, limit)
        if (value > limit.value) == (limit.side == "max") and value != limit.value:
            place = "below the cheapest" if limit.side == "max" else "above the dearest"
            return f"budget {limit} is {place} network {nearest} with {value:,} {_UNITS[limit.name]}"
    for limit in budget.given():
        rest = budget.without(limit)
        if has_member(everything.tables.chains, rest):
            nearest, value = _nearest(FeasibleSet(space, rest), limit)
            return (
                f"budget {limit} cannot be kept together with {rest}: the nearest network within those is {nearest} "
                f"with {value:,} {_UNITS[limit.name]}"
            )
    return f"no network keeps the budget {budget}; more than one limit has to be loosened"


_UNITS: dict[CostName, str] = {
    "macs": "MACs",
    "params": "parameters",
    "activation_bytes": "bytes of activations",
    "depth": "layers",
}


def _nearest(members: FeasibleSet, limit: Limit) -> tuple[str, int]:
    """The member that comes nearest to keeping a limit, as text, and its cost."""
    nearest = members.cheapest(limit.name) if limit.side == "max" else members.dearest(limit.name)
    values = ", ".join(f"{name}={value}" for name, value in nearest.values)
    return f"{nearest.family}({values})", int(members.costs([nearest])[0, COLUMNS.index(limit.name)])
