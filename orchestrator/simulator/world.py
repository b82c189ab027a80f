"""What trains in a simulation: recorded results, or made-up ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from orchestrator.sampler.encoding import Floats
from orchestrator.sampler.source import CandidateSource
from orchestrator.simulator.tables import Table, TableSource
from search_spaces.pareto import hypervolume
from search_spaces.space import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One training as the search will see it: accuracy and duration of each epoch."""

    curve: tuple[float, ...]
    epoch_seconds: tuple[float, ...]


class World(Protocol):
    """Networks within a budget, what they cost, and what training them would give."""

    epochs: int

    @property
    def source(self) -> CandidateSource: ...

    def course(self, architecture: Architecture) -> Course: ...

    def costs(self, architecture: Architecture) -> tuple[int, int]:
        """(MACs, parameters)."""

    def error(self, architecture: Architecture) -> float:
        """The error that scores: the mean over seeds, not what the search sees."""

    def dearest(self, cost: str) -> float:
        """The largest cost of a member."""

    def best(self, costs: Sequence[str], reference: Sequence[float]) -> float | None:
        """The hypervolume of the true front; None where the space is too large to know it."""


class RecordedWorld:
    """A table within limits on MACs and parameters. The search sees one seed, the mean scores.

    even_seconds: an epoch takes one second, whatever the table says of how busy its machine was.
    """

    def __init__(
        self, table: Table, max_macs: int | None, max_params: int | None, seen: int = 0, even_seconds: bool = False
    ) -> None:
        self.table = table
        self.source = TableSource(table, max_macs, max_params)
        self.epochs = table.epochs
        self._seen = seen
        self._even_seconds = even_seconds

    def course(self, architecture: Architecture) -> Course:
        """Without curves a training is one epoch of one second. The last epoch gives the seed that the search sees."""
        recorded = self.table.recorded[self._row(architecture)]
        last = recorded.seeds[min(self._seen, len(recorded.seeds) - 1)]
        if not recorded.curve:
            return Course(curve=(last,) * self.epochs, epoch_seconds=(1.0,) * self.epochs)
        known = () if self._even_seconds else recorded.epoch_seconds
        return Course(curve=(*recorded.curve[:-1], last), epoch_seconds=known or (1.0,) * len(recorded.curve))

    def costs(self, architecture: Architecture) -> tuple[int, int]:
        macs, params = self.table.costs[self._row(architecture)].tolist()
        return int(macs), int(params)

    def error(self, architecture: Architecture) -> float:
        return 1.0 - self.table.recorded[self._row(architecture)].accuracy

    def dearest(self, cost: str) -> float:
        return float(self.table.costs[self.source.members, self.source.cost_names.index(cost)].max())

    def best(self, costs: Sequence[str], reference: Sequence[float]) -> float:
        columns = [self.source.cost_names.index(name) for name in costs]
        errors = np.array([1.0 - recorded.accuracy for recorded in self.table.recorded])
        points: Floats = np.column_stack([errors, self.table.costs[:, columns]])[self.source.members]
        return hypervolume(points, reference)

    def _row(self, architecture: Architecture) -> int:
        return int(self.source.encode([architecture])[0, 0])
