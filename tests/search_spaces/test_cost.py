"""Costs by hand and by definition, and tables of block costs against the plans they were read off."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.block_costs import COLUMNS, CostBuilder, merge_costs
from search_spaces.candidates import CostTables
from search_spaces.cost import Cost, cost, live_bytes, stage_costs
from search_spaces.families.table import FAMILIES
from search_spaces.feasible import cost_tables
from search_spaces.networks import Task
from search_spaces.plan import Activation, Add, Conv, Linear, Norm, Plan, PlanBuilder, Pool, Product, Shuffle
from search_spaces.space import make_space

SMALL = Task(image_size=8, channels=1)


def columns(of: Cost) -> tuple[int, ...]:
    return tuple(getattr(of, name) for name in COLUMNS)


def one(operation: Conv | Product | Norm | Linear | Pool, shape: tuple[int, int, int]) -> Cost:
    builder = PlanBuilder(shape)
    builder.place = "stage1"
    builder.add(operation)
    return cost(builder.build())


def test_a_group_convolution_by_hand() -> None:
    found = one(Conv(out_channels=12, kernel=3, stride=2, groups=4, bias=True), (8, 6, 6))
    assert found.params_conv == 9 * 2 * 12 + 12
    assert found.macs_conv == 9 * 2 * 12 * 3 * 3
    assert found.activation_bytes == 4 * (8 * 36 + 12 * 9)
    assert found.depth == 1


def test_a_product_costs_its_factors_and_counts_as_one_layer() -> None:
    """IGCV2 section 3.2: Q = C S K_1 + C sum K_l with C = 64, S = 9, K_1 = 1, K_2 = K_3 = 8."""
    spatial = Conv(out_channels=64, kernel=3, groups=64)
    pointwise = Conv(out_channels=64, groups=8)
    found = one(Product(factors=(spatial, pointwise, pointwise), shuffles=(1, 8, 8)), (64, 32, 32))
    assert found.params == 64 * 9 + 64 * (8 + 8)
    assert found.macs == found.params * 32 * 32
    assert found.flops == 2 * found.macs
    assert found.depth == 1


def test_norms_and_linear_layers_by_hand() -> None:
    assert columns(one(Norm(), (8, 4, 4))) == (16, 0, 4 * 2 * 128, 0)
    assert columns(one(Linear(out_features=10), (8, 4, 4))) == (1290, 1280, 4 * (128 + 10), 1)
    assert columns(one(Pool(), (8, 4, 4))) == (0, 0, 4 * (128 + 8), 0)


def test_layers_beside_the_main_path_add_no_depth() -> None:
    builder = PlanBuilder((4, 4, 4))
    builder.place = "stage1/block1"
    main = builder.add(Conv(out_channels=8))
    builder.place = "stage1/block1/shortcut"
    shortcut = builder.add(Conv(out_channels=8), 0)
    builder.place = "stage1/block1"
    builder.add(Add(), main, shortcut)
    assert cost(builder.build()).depth == 1


@st.composite
def graphs(draw: st.DrawFn) -> Plan:
    """Random graphs of operations that may read any earlier tensor."""
    builder = PlanBuilder((4, 6, 6))
    for number in range(draw(st.integers(1, 12))):
        builder.place = f"stage{number // 3}"
        source = draw(st.integers(0, builder.last))
        same = [index for index in range(builder.last + 1) if builder.shape(index) == builder.shape(source)]
        match draw(st.integers(0, 3)):
            case 0:
                builder.add(Conv(out_channels=draw(st.sampled_from([4, 8])), stride=draw(st.integers(1, 2))), source)
            case 1:
                builder.add(Activation(), source)
            case 2:
                builder.add(Add(), source, draw(st.sampled_from(same)))
            case _:
                builder.add(Shuffle(groups=2), source)
    return builder.build()


@given(graphs())
def test_live_bytes_are_the_tensors_that_are_still_read(plan: Plan) -> None:
    sizes = [4 * int(np.prod(node.shape)) for node in plan.nodes]
    for now, found in enumerate(live_bytes(plan)):
        later = {source for node in plan.nodes[now:] for source in node.inputs if source <= now}
        assert found == sum(sizes[index] for index in later | {now})


@given(graphs())
def test_the_costs_of_stages_add_up_to_the_plan_s(plan: Plan) -> None:
    total = Cost()
    for part in stage_costs(plan).values():
        total = total + part
    assert total == cost(plan)


@given(graphs())
def test_a_cost_builder_reads_what_the_plan_costs(plan: Plan) -> None:
    builder = CostBuilder(plan.input_shape, "input")
    for node in plan.nodes[1:]:
        builder.place = node.place
        builder.add(node.operation, *node.inputs)
        assert builder.shape() == node.shape
    assert builder.costs() == columns(cost(plan))


def test_a_cost_builder_refuses_what_a_plan_builder_refuses() -> None:
    for builder in (PlanBuilder((8, 4, 4)), CostBuilder((8, 4, 4), "")):
        builder.place = "stage2/block1"
        with pytest.raises(ValueError, match=r"stage2/block1: convolution groups on the input: 3 does not divide 8"):
            builder.add(Conv(out_channels=9, groups=3))
        builder.add(Conv(out_channels=4))
        with pytest.raises(ValueError, match="stage2/block1: an add needs"):
            builder.add(Add(), 0, 1)


def test_merged_costs_add_up_but_for_activation_memory() -> None:
    merged = merge_costs(np.array([1, 20, 300, 4]), np.array([5, 60, 200, 8]))
    assert merged.tolist() == [6, 80, 300, 12]


@pytest.fixture(scope="module")
def everything() -> CostTables:
    return cost_tables(make_space(SMALL, {family: {} for family in FAMILIES}))


def random_codes(tables: CostTables, count: int, seed: int) -> np.ndarray:
    draw = random.Random(seed)
    codes = np.full((count, 1 + tables.stages), -1)
    for row in codes:
        row[0] = draw.randrange(len(tables.chains))
        for stage, choices in enumerate(tables.families[tables.chains[row[0]].family].stage_choices, 1):
            row[stage] = draw.randrange(len(choices))
    return codes


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_gathered_costs_are_those_of_the_plan(everything: CostTables, seed: int) -> None:
    codes = random_codes(everything, 12, seed)
    costs, valid = everything.candidate_costs(codes)
    for architecture, row, makes_one in zip(everything.decode(codes), costs, valid, strict=True):
        if makes_one:
            assert tuple(row) == columns(cost(everything.space.plan(architecture)))
        else:
            with pytest.raises(ValueError, match=r"\w"):
                everything.space.plan(architecture)


def test_a_code_comes_back_from_its_architecture(everything: CostTables) -> None:
    codes = random_codes(everything, 200, 1)
    assert (everything.encode(everything.decode(codes)) == codes).all()


def test_a_stage_alone_costs_what_it_costs_inside(everything: CostTables) -> None:
    codes = random_codes(everything, 20, 2)
    codes = codes[everything.candidate_costs(codes)[1]]
    for code, architecture in zip(codes, everything.decode(codes), strict=True):
        inside = stage_costs(everything.space.plan(architecture))
        state = 0
        choices = [0, *(choice for choice in code[1:] if choice >= 0), 0]
        layers = everything.chains[code[0]].layers
        places = ["stem", *(f"stage{number}" for number in range(1, len(layers) - 1)), "head"]
        for place, layer, choice in zip(places, layers, choices, strict=True):
            assert tuple(layer.costs[state, choice]) == columns(inside[place])
            state = layer.target[state, choice]
