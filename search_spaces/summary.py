"""What is known of a space and its feasible set before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.block_costs import COLUMNS, CostName
from search_spaces.feasible import INTERVAL, FeasibleSet
from search_spaces.space import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSummary:
    """Sizes count architectures; some may lower to the same plan. `size_error`: relative half width of the 95 % interval
    of `feasible_size`, 0 where it is exact. `acceptance`: the share of draws within the budget, 1 where none can fall
    outside. Ranges are those of members: (cheapest, dearest).
    """

    space_size: int
    feasible_size: int
    is_exact: bool
    size_error: float
    acceptance: float
    macs: tuple[int, int]
    params: tuple[int, int]
    activation_bytes: tuple[int, int]
    depth: tuple[int, int]
    cheapest: Architecture
    dearest: Architecture


def describe(feasible: FeasibleSet) -> SpaceSummary:
    """The summary of a feasible set. ValueError where it is empty."""
    feasible.check_not_empty()
    ranges: dict[CostName, tuple[int, int]] = {name: feasible.cost_range(name) for name in COLUMNS}
    return SpaceSummary(
        space_size=feasible.space_size,
        feasible_size=feasible.size,
        is_exact=feasible.is_exact,
        size_error=0.0 if feasible.is_exact else INTERVAL,
        acceptance=feasible.acceptance,
        macs=ranges["macs"],
        params=ranges["params"],
        activation_bytes=ranges["activation_bytes"],
        depth=ranges["depth"],
        cheapest=feasible.cheapest("macs"),
        dearest=feasible.dearest("macs"),
    )
