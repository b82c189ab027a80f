"""Uniform, feasible, unseen: the simplest proposer, and the yardstick of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.sampler.history import keys
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.source import CandidateSource
from search_spaces.block_costs import Integers
from search_spaces.space import Architecture

DRAWS = 256
ROUNDS = 64  # without an unseen member before the set counts as exhausted


class UniformProposer:
    """Learns nothing; draws in stock, so that a proposal costs microseconds."""

    def __init__(self, source: CandidateSource, seed: int = 0) -> None:
        self._source = source
        self._rng = np.random.default_rng(seed)
        self._seen: set[bytes] = set()
        self._stock: list[Integers] = []

    def propose(
        self, count: int, observed: Sequence[Observation], pending: Sequence[Architecture]
    ) -> list[Architecture]:
        for architecture in [*(one.architecture for one in observed if not one.earlier), *pending]:
            self._see(architecture)
        found = self._source.encode([])
        for _ in range(ROUNDS):
            found = np.concatenate([found, *self._take(count - len(found))])
            if len(found) == count:
                break
            self._stock = list(self._source.sample(self._rng, DRAWS)[:, None])
        return self._source.decode(found)

    def _see(self, architecture: Architecture) -> None:
        try:
            self._seen.update(keys(self._source.encode([architecture])))
        except ValueError:
            return  # of another space

    def _take(self, count: int) -> list[Integers]:
        """Up to `count` unseen codes of the stock."""
        taken: list[Integers] = []
        while self._stock and len(taken) < count:
            code = self._stock.pop()
            key = code.tobytes()
            if key not in self._seen:
                self._seen.add(key)
                taken.append(code)
        return taken
