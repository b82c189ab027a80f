"""The feasible set against listing: sizes, draws, neighbours, cheapest and dearest, for every kind of budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from search_spaces import draws, halves
from search_spaces.block_costs import COLUMNS, INVALID, MACS
from search_spaces.budget import Budget
from search_spaces.cost import cost
from search_spaces.feasible import FeasibleSet, cost_tables
from search_spaces.networks import Task
from search_spaces.space import Architecture, Space, make_space
from search_spaces.summary import describe

SMALL = make_space(
    Task(image_size=8, channels=1),
    {
        "igcv2": {  # K=16 makes no network of 8 channels; the two families have different numbers of stages
            "stem_width": [8, 16],
            "spatial_k": [2, 4],
            "inner": "none",
            "width": [[8, 16, 32], [16, 32]],
            "blocks": [1, 2],
            "k": [4, 16],
            "stride": [[1], [2]],
        },
        "igcv3": {
            "g1": 2,
            "permutations": "both",
            "activations": ["middle", "both"],
            "skip": True,
            "width": [[8, 16], [16, 24], [24, 32]],
            "blocks": [1, 2],
            "expansion": [2, 4],
            "stride": [[1], [2], [1]],
        },
    },
)


@lru_cache(maxsize=1)
def listed() -> tuple[np.ndarray, np.ndarray]:
    """Every network of SMALL, one by one: codes and costs."""
    tables = cost_tables(SMALL)
    rows = [
        [number, *choices, *[-1] * (tables.stages - len(choices))]
        for number, chain in enumerate(tables.chains)
        for choices in product(*(range(len(stage)) for stage in tables.families[chain.family].stage_choices))
    ]
    codes = np.array(rows)
    costs, valid = tables.candidate_costs(codes)
    return codes[valid], costs[valid]


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    """Up to eight limits, each at some member's cost or one beside it."""
    _, costs = listed()
    limits: dict[str, int] = {}
    for column, name in enumerate(COLUMNS):
        values = np.unique(costs[:, column])
        for side, (start, end) in {"min": (0, 0.6), "max": (0.3, 1)}.items():
            if draw(st.integers(0, 2)) == 0:
                place = draw(st.floats(start, end))
                limits[f"{side}_{name}"] = int(values[int(place * (len(values) - 1))]) + draw(st.integers(-1, 1))
        if limits.get(f"min_{name}", 0) > limits.get(f"max_{name}", 1 << 60):
            del limits[f"min_{name}"]
    return Budget(**limits)


def members(budget: Budget) -> np.ndarray:
    codes, costs = listed()
    return codes[budget.keeps(costs)]


def test_the_small_space_is_worth_testing() -> None:
    codes, costs = listed()
    tables = cost_tables(SMALL)
    assert any((layer.target == INVALID).any() for chain in tables.chains for layer in chain.layers)
    assert len(codes) > 3000
    assert len(np.unique(costs[:, MACS])) > 1000
    assert all(300 < len(members(budget)) < len(codes) - 1000 for budget in (ONE, TWO, THREE))


@settings(max_examples=40, deadline=None)
@given(budgets())
def test_sizes_are_exact(budget: Budget) -> None:
    feasible = FeasibleSet(SMALL, budget)
    assert feasible.is_exact
    assert feasible.size == len(members(budget))
    assert feasible.space_size == len(listed()[0])


@settings(max_examples=20, deadline=None)
@given(budgets(), st.integers(0, 2**32))
def test_draws_never_leave_the_budget(budget: Budget, seed: int) -> None:
    feasible = FeasibleSet(SMALL, budget)
    if not feasible.size:
        with pytest.raises(ValueError, match="budget"):
            feasible.sample(np.random.default_rng(seed), 1)
        return
    drawn = feasible.sample(np.random.default_rng(seed), 20)
    assert len(drawn) == 20
    for architecture, row in zip(drawn, feasible.costs(drawn), strict=True):
        exact = cost(SMALL.plan(architecture))
        assert budget.allows(exact)
        assert row.tolist() == [getattr(exact, name) for name in COLUMNS]


def chances(feasible: FeasibleSet, budget: Budget, count: int) -> float:
    """The chi-square test's chance of so uneven a spread over the listed members."""
    drawn = Counter(map(tuple, feasible.sample_codes(np.random.default_rng(7), count).tolist()))
    expected = set(map(tuple, members(budget).tolist()))
    assert set(drawn) <= expected
    return float(chisquare([drawn[code] for code in expected]).pvalue)


ONE = Budget(max_macs=200_000)
TWO = Budget(max_macs=200_000, min_params=5_000)
APART = Budget(max_macs=230_000, min_params=11_500)  # three of four networks within the tighter limit break the other
THREE = Budget(max_macs=220_000, max_params=11_000, max_depth=17, max_activation_bytes=25_000)


@pytest.mark.parametrize("budget", [Budget(), ONE, TWO, THREE, APART], ids=str)
def test_draws_are_uniform(budget: Budget) -> None:
    assert chances(FeasibleSet(SMALL, budget), budget, 10 * len(members(budget))) > 1e-3


@pytest.mark.parametrize("budget", [Budget(), ONE], ids=str)
def test_draws_from_sums_are_uniform(budget: Budget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "LISTED_ROWS", 0)
    feasible = FeasibleSet(SMALL, budget)
    assert feasible.is_exact
    assert feasible.size == len(members(budget))
    assert chances(feasible, budget, 10 * len(members(budget))) > 1e-3


def test_counts_beyond_64_bits_are_drawn_from_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "LISTED_ROWS", 0)
    monkeypatch.setattr(halves, "LARGEST", 2)
    feasible = FeasibleSet(SMALL, ONE)
    assert feasible.size == len(members(ONE))
    assert chances(feasible, ONE, 5 * len(members(ONE))) > 1e-3


def test_sums_too_far_apart_to_spread_out_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "LISTED_ROWS", 0)
    monkeypatch.setattr(halves, "LARGEST_SPREAD", 0)
    monkeypatch.setattr(halves, "DENSE", 0)
    monkeypatch.setattr(halves, "BLOCK", 16)
    feasible = FeasibleSet(SMALL, ONE)
    assert feasible.size == len(members(ONE))
    assert ONE.keeps(feasible.tables.costs(feasible.sample_codes(np.random.default_rng(0), 100))).all()


@pytest.mark.parametrize("budget", [TWO, THREE, APART], ids=str)
def test_beyond_listing_sizes_are_estimates_and_draws_still_uniform(
    budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "LISTED_ROWS", 0)
    feasible = FeasibleSet(SMALL, budget)
    true = len(members(budget))
    assert not feasible.is_exact
    assert feasible.size == pytest.approx(true, rel=0.02)
    least, most = (0.2, 0.3) if budget == APART else (0.9, 1.0)
    assert least < feasible.acceptance < most
    assert chances(feasible, budget, 10 * true) > 1e-3


@settings(max_examples=8, deadline=None)
@given(budgets())
def test_cheapest_and_dearest_are_those_of_the_list(budget: Budget) -> None:
    feasible = FeasibleSet(SMALL, budget)
    costs = feasible.tables.costs(members(budget))
    for column, name in enumerate(COLUMNS):
        if not len(costs):
            with pytest.raises(ValueError, match="budget"):
                feasible.cheapest(name)
            continue
        assert feasible.cost_range(name) == (costs[:, column].min(), costs[:, column].max())
        assert feasible.contains(feasible.cheapest(name))
        assert feasible.contains(feasible.dearest(name))


def differ_in_one(one: Architecture, other: Architecture) -> bool:
    """By definition: one family, and exactly one parameter that both have differs."""
    mine, theirs = dict(one.values), dict(other.values)
    both = mine.keys() & theirs.keys()
    return one.family == other.family and sum(mine[name] != theirs[name] for name in both) == 1


@settings(max_examples=15, deadline=None)
@given(budgets(), st.integers(0, 2**32))
def test_neighbours_are_the_members_that_differ_in_one_parameter(budget: Budget, seed: int) -> None:
    codes = members(budget)
    if not len(codes):
        return
    feasible = FeasibleSet(SMALL, budget)
    code = codes[seed % len(codes)]
    one = feasible.tables.decode(code[None])[0]
    found = feasible.neighbours(one)
    assert len(set(found)) == len(found)
    assert set(found) == {other for other in feasible.tables.decode(codes) if differ_in_one(one, other)}
    assert all(one in feasible.neighbours(other) for other in found[:10])


def test_a_parent_s_change_brings_the_child_in_with_every_value() -> None:
    feasible = FeasibleSet(SMALL, Budget())
    codes, _ = listed()
    one = next(a for a in feasible.tables.decode(codes) if dict(a.values).get("spatial") == "channelwise")
    changed = [dict(other.values) for other in feasible.neighbours(one)]
    grouped = [values["spatial_k"] for values in changed if values.get("spatial") == "grouped"]
    assert sorted(grouped) == [2, 4]


def test_neighbours_of_many_are_those_of_each() -> None:
    feasible = FeasibleSet(SMALL, ONE)
    codes = members(ONE)[::40]
    together = {tuple(code) for code in feasible.neighbour_codes(codes).tolist()}
    each = {tuple(code) for one in codes for code in feasible.neighbour_codes(one[None]).tolist()}
    assert together == each


def test_what_is_not_of_the_set_is_not_contained() -> None:
    feasible = FeasibleSet(SMALL, ONE)
    inside = feasible.sample(np.random.default_rng(0), 1)[0]
    assert feasible.contains(inside)
    assert not feasible.contains(FeasibleSet(SMALL, Budget()).dearest("macs"))
    assert not feasible.contains(replace(inside, values=inside.values[:-1]))
    assert not feasible.contains(replace(inside, family="xception"))
    with pytest.raises(ValueError, match="missing"):
        feasible.costs([replace(inside, values=inside.values[:-1])])


def test_an_architecture_written_in_another_order_is_the_same_point() -> None:
    feasible = FeasibleSet(SMALL, ONE)
    inside = feasible.sample(np.random.default_rng(0), 1)
    turned = [replace(one, values=tuple(reversed(one.values))) for one in inside]
    assert (feasible.costs(turned) == feasible.costs(inside)).all()


def test_an_empty_set_names_the_limit_and_the_nearest_network() -> None:
    cheapest = FeasibleSet(SMALL, Budget()).cost_range("macs")[0]
    with pytest.raises(ValueError, match=rf"max_macs=1,000 is below the cheapest network igcv\d\(.*{cheapest:,} MACs"):
        FeasibleSet(SMALL, Budget(max_macs=1000)).check_not_empty()
    with pytest.raises(ValueError, match=r"min_depth=99 is above the dearest network .* \d+ layers"):
        FeasibleSet(SMALL, Budget(min_depth=99)).check_not_empty()
    conflict = Budget(max_macs=60_000, min_params=15_000)
    with pytest.raises(
        ValueError, match=r"min_params=15,000 cannot be kept together with max_macs=60,000|max_macs=60,000 "
    ):
        FeasibleSet(SMALL, conflict).check_not_empty()
    with pytest.raises(ValueError, match="budget"):
        FeasibleSet(SMALL, conflict).sample(np.random.default_rng(0), 1)
    assert FeasibleSet(SMALL, conflict).size == 0
    FeasibleSet(SMALL, ONE).check_not_empty()


def test_an_empty_set_beyond_listing_is_known_to_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "LISTED_ROWS", 0)
    assert FeasibleSet(SMALL, Budget(max_macs=60_000, min_params=15_000)).size == 0


def test_a_budget_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"min_macs=2,000 is above max_macs=1,000"):
        Budget(max_macs=1000, min_macs=2000)


def test_a_family_without_a_network_is_refused() -> None:
    space = make_space(Task(), {"igcv2": {"width": [8], "k": [16]}})
    with pytest.raises(ValueError, match=r"igcv2: no network can be made in these ranges; for example stage1.*K=16"):
        FeasibleSet(space, Budget())


def test_the_summary_says_what_is_known() -> None:
    summary = describe(FeasibleSet(SMALL, TWO))
    inside = FeasibleSet(SMALL, TWO).tables.costs(members(TWO))
    assert summary.space_size == len(listed()[0])
    assert summary.feasible_size == len(inside)
    assert (summary.is_exact, summary.size_error, summary.acceptance) == (True, 0.0, 1.0)
    assert summary.macs == (inside[:, MACS].min(), inside[:, MACS].max())


def space_with(**ranges: Any) -> Space:
    return make_space(Task(), {"mobilenetv1": ranges})


def test_spaces_of_one_member_and_of_one_parameter_work() -> None:
    lone = FeasibleSet(space_with(width_multiplier=1.0, inner="relu", skip=False, blocks=1), Budget())
    assert lone.size == 1
    assert lone.neighbours(lone.sample(np.random.default_rng(0), 1)[0]) == []
    two = FeasibleSet(space_with(width_multiplier=[0.5, 1.0], inner="relu", skip=False, blocks=1), Budget())
    assert two.size == 2
    assert two.neighbours(two.cheapest("macs")) == [two.dearest("macs")]
