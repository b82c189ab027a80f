"""The first trainings, before there is anything to model: spread over cost, and unlike each other."""

from __future__ import annotations

import numpy as np

from orchestrator.sampler.encoding import Floats


def spread(
    rng: np.random.Generator, features: Floats, log_costs: Floats, taken: int, count: int, wanted: int
) -> list[int]:
    """Indices of `count` candidates that go on with a design of `wanted` points.

    features (n, columns) and log_costs (n,): the first `taken` rows are already in the design. The range of log cost is
    cut in `wanted` equal strata; each new point comes from the emptiest stratum and lies far from all others.
    """
    edges = np.linspace(log_costs.min(), log_costs.max(), wanted + 1)[1:-1]
    stratum = np.searchsorted(edges, log_costs, side="right")
    filled = np.bincount(stratum[:taken], minlength=wanted).astype(np.float64)
    distance = np.full(len(features), np.inf)
    for index in range(taken):
        distance = np.minimum(distance, ((features - features[index]) ** 2).sum(axis=1))
    chosen: list[int] = []
    free = np.arange(len(features)) >= taken
    while len(chosen) < count and free.any():
        open_strata = np.unique(stratum[free])
        place = min(open_strata.tolist(), key=lambda number: (filled[number], rng.random()))
        here = np.flatnonzero(free & (stratum == place))
        best = int(here[np.argmax(np.minimum(distance[here], 1e9) * rng.uniform(0.8, 1.0, len(here)))])
        chosen.append(best)
        free[best] = False
        filled[place] += 1
        distance = np.minimum(distance, ((features - features[best]) ** 2).sum(axis=1))
    return chosen
