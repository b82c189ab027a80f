"""The feasible set of spaces far too large to list: counts against other ways of counting."""

from __future__ import annotations

from collections import Counter

import numpy as np

from search_spaces.block_costs import DEPTH, INVALID, MACS
from search_spaces.budget import Budget
from search_spaces.candidates import CostTables
from search_spaces.feasible import FeasibleSet, cost_tables
from search_spaces.networks import Task
from search_spaces.space import make_space

LARGE = make_space(
    Task(),
    {
        "igcv3": {
            "g1": 2,
            "g2": [2, 4],
            "permutations": "both",
            "activations": "middle",
            "skip": True,
            "width": [[16, 24, 32, 40]] * 4 + [[48, 64, 80, 96]] * 4,
            "stride": [[1], [1], [2], [1], [2], [1], [1], [1]],
        }
    },
)


def depth_counts(tables: CostTables) -> Counter[int]:
    """How many networks have each depth: sums over dictionaries, without any of the machinery under test."""
    total: Counter[int] = Counter()
    for chain in tables.chains:
        here = Counter({(0, 0): 1})
        for layer in chain.layers:
            after: Counter[tuple[int, int]] = Counter()
            edges = Counter(
                (source, int(layer.target[source, choice]), int(layer.costs[source, choice, DEPTH]))
                for source, choice in zip(*np.nonzero(layer.target != INVALID), strict=True)
            )
            for (source, target, added), ways in edges.items():
                for (state, depth), paths in here.items():
                    if state == source:
                        after[target, depth + added] += paths * ways
            here = after
        for (_, depth), paths in here.items():
            total[depth] += paths
    return total


def test_a_space_of_ten_to_the_thirteen_is_counted_exactly_under_one_limit() -> None:
    by_depth = depth_counts(cost_tables(LARGE))
    everything = FeasibleSet(LARGE, Budget())
    assert everything.space_size == sum(by_depth.values()) > 10**13
    some = FeasibleSet(LARGE, Budget(max_depth=60, min_depth=40))
    assert some.is_exact
    assert some.size == sum(paths for depth, paths in by_depth.items() if 40 <= depth <= 60)


def test_limits_that_split_a_large_space_split_its_count() -> None:
    below, above = FeasibleSet(LARGE, Budget(max_macs=20_000_000)), FeasibleSet(LARGE, Budget(min_macs=20_000_001))
    assert below.is_exact
    assert above.is_exact
    assert below.size + above.size == below.space_size
    drawn = below.sample_codes(np.random.default_rng(0), 500)
    assert below.tables.costs(drawn)[:, MACS].max() <= 20_000_000
    assert below.cost_range("macs")[1] <= 20_000_000 < above.cost_range("macs")[0]


def test_two_limits_that_split_a_large_set_split_its_count() -> None:
    """Two limits are counted by listing halves, one by sums: exact where both agree."""
    stages = {"width": [[16, 24, 32, 40]] * 3 + [[48, 64, 80, 96]] * 3, "stride": [[1], [1], [2], [1], [2], [1]]}
    fixed = {"g1": 2, "g2": [2, 4], "permutations": "both", "activations": "middle", "skip": True}
    space = make_space(Task(), {"igcv3": {**fixed, **stages}})
    whole = FeasibleSet(space, Budget(max_macs=20_000_000))
    below = FeasibleSet(space, Budget(max_macs=20_000_000, max_params=120_000))
    above = FeasibleSet(space, Budget(max_macs=20_000_000, min_params=120_001))
    assert below.space_size > 10**10
    assert below.is_exact
    assert above.is_exact
    assert below.size + above.size == whole.size
    assert min(below.size, above.size) > 10**8
