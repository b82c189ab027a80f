"""Exact limits on what a network costs, checked before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from search_spaces.block_costs import COLUMNS, CostName, Integers
from search_spaces.cost import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One of a budget's limits."""

    side: Literal["min", "max"]
    name: CostName
    value: int

    def __str__(self) -> str:
        return f"{self.side}_{self.name}={self.value:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits on a network's costs, ends included; None sets no limit. MACs are half of FLOPs."""

    max_macs: int | None = None
    min_macs: int | None = None
    max_params: int | None = None
    min_params: int | None = None
    max_activation_bytes: int | None = None
    min_activation_bytes: int | None = None
    max_depth: int | None = None
    min_depth: int | None = None

    def __post_init__(self) -> None:
        for name in COLUMNS:
            least, most = self.limits(name)
            if least is not None and most is not None and least > most:
                raise ValueError(f"budget: min_{name}={least:,} is above max_{name}={most:,}")

    def __str__(self) -> str:
        """Such as `max_macs=1,000,000 min_params=20,000`."""
        return " ".join(map(str, self.given())) or "no limits"

    def given(self) -> list[Limit]:
        """The limits that are set."""
        found: list[Limit] = []
        for name in COLUMNS:
            least, most = self.limits(name)
            found += [Limit(side="max", name=name, value=most)] if most is not None else []
            found += [Limit(side="min", name=name, value=least)] if least is not None else []
        return found

    def without(self, limit: Limit) -> Budget:
        """The budget with one limit lifted."""
        return replace(self, **{f"{limit.side}_{limit.name}": None})

    def limits(self, name: CostName) -> tuple[int | None, int | None]:
        """The least and the most of one cost."""
        match name:
            case "macs":
                return self.min_macs, self.max_macs
            case "params":
                return self.min_params, self.max_params
            case "activation_bytes":
                return self.min_activation_bytes, self.max_activation_bytes
            case "depth":
                return self.min_depth, self.max_depth

    def allows(self, cost: Cost) -> bool:
        """Whether one network keeps every limit."""
        row = np.array([[cost.params, cost.macs, cost.activation_bytes, cost.depth]])
        return bool(self.keeps(row)[0])

    def keeps(self, costs: Integers) -> npt.NDArray[np.bool_]:
        """The mask (n,) of the rows of costs (n, columns) that keep every limit."""
        kept = np.ones(len(costs), dtype=bool)
        for column, name in enumerate(COLUMNS):
            least, most = self.limits(name)
            if least is not None:
                kept &= costs[:, column] >= least
            if most is not None:
                kept &= costs[:, column] <= most
        return kept
