"""A made-up world over any space: errors, learning curves and durations of networks that nobody trained.

Everything follows from a seed and the architecture alone, so the same network always gives the same result:

    log error = base - capacity gain + main effects + pairwise effects of the encoded architecture, plus noise of one seed
    error at epoch t = final error + (start - final) exp(-speed t / epochs)
    seconds of an epoch grow with the MACs

Large networks are better on the whole, but which parameters matter differs from seed to seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.sampler.encoding import Floats
from orchestrator.sampler.source import FeasibleSource
from orchestrator.simulator.world import Course
from search_spaces.block_costs import Integers
from search_spaces.feasible import FeasibleSet
from search_spaces.space import Architecture

SAMPLE = 2048  # draws that fix the scales
BASE, CAPACITY, MAIN, PAIRS = 0.12, 0.30, 0.20, 0.08  # median error; log error for one deviation of each part
NOISE = 0.003  # of one seed's accuracy
START = 0.9  # error before training
SPEEDS = (2.5, 5.0)
ERRORS = (0.005, 0.95)


class SyntheticWorld:
    """A feasible set whose trainings are made up from a seed. The true front is not known."""

    def __init__(self, feasible: FeasibleSet, seed: int, epochs: int = 1) -> None:
        self.feasible = feasible
        self.source = FeasibleSource(feasible)
        self.epochs = epochs
        self._seed = seed
        rng = np.random.default_rng(seed)
        sample = self.source.sample(rng, SAMPLE)
        features, log_macs = self.source.features(sample), self._log_macs(sample)
        self._centre, self._spread = features.mean(axis=0), features.std(axis=0) + 1e-9
        self._middle, self._range = float(log_macs.mean()), float(log_macs.std()) + 1e-9
        width = features.shape[1]
        self._main = rng.normal(size=width)
        self._pairs = rng.normal(size=(2, width, 3))
        scaled = (features - self._centre) / self._spread
        self._sizes = float((scaled @ self._main).std()) + 1e-9, float(self._pair_effects(scaled).std()) + 1e-9

    def course(self, architecture: Architecture) -> Course:
        code = self.source.encode([architecture])
        rng = np.random.default_rng([self._seed, *(code[0] + 1).tolist()])
        final = float(np.clip(self._error(code) + NOISE * rng.normal(), *ERRORS))
        speed = rng.uniform(*SPEEDS)
        falling = np.exp(-speed * np.arange(1, self.epochs + 1) / self.epochs) - np.exp(-speed)
        errors = np.clip(final + (START - final) * falling + NOISE * rng.normal(size=self.epochs), 0.0, 1.0)
        errors[-1] = final
        seconds = np.exp(self._log_macs(code)[0] - self._middle) * rng.lognormal(0.0, 0.1, self.epochs)
        return Course(curve=tuple((1.0 - errors).tolist()), epoch_seconds=tuple(seconds.tolist()))

    def costs(self, architecture: Architecture) -> tuple[int, int]:
        costs = self.source.costs(self.source.encode([architecture]))[0]
        names = self.source.cost_names
        return int(costs[names.index("macs")]), int(costs[names.index("params")])

    def error(self, architecture: Architecture) -> float:
        return self._error(self.source.encode([architecture]))

    def dearest(self, cost: str) -> float:
        return float(self.feasible.cost_range("params" if cost == "params" else "macs")[1])

    def best(self, costs: Sequence[str], reference: Sequence[float]) -> None:
        return None

    def _error(self, code: Integers) -> float:
        scaled = (self.source.features(code) - self._centre) / self._spread
        capacity = (self._log_macs(code) - self._middle) / self._range
        effects = MAIN * (scaled @ self._main) / self._sizes[0] + PAIRS * self._pair_effects(scaled) / self._sizes[1]
        return float(np.clip(BASE * np.exp(effects - CAPACITY * capacity), *ERRORS)[0])

    def _pair_effects(self, scaled: Floats) -> Floats:
        return np.asarray(((scaled @ self._pairs[0]) * (scaled @ self._pairs[1])).sum(axis=1))

    def _log_macs(self, codes: Integers) -> Floats:
        macs = self.source.costs(codes)[:, self.source.cost_names.index("macs")]
        return np.asarray(np.log(np.maximum(macs, 1.0)))
