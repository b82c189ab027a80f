"""Plans: shapes are computed and checked, errors carry the arithmetic, JSON and keys say what a network computes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.plan import (
    Activation,
    Add,
    Conv,
    Input,
    Linear,
    Node,
    Norm,
    Operation,
    Plan,
    PlanBuilder,
    Pool,
    Product,
    Shuffle,
    Tile,
    factor_shapes,
    output_shape,
    plan_from_json,
    plan_to_json,
)


def residual(channels: int = 8, stage: str = "stage1") -> Plan:
    builder = PlanBuilder((3, 16, 16))
    builder.place = "stem"
    entry = builder.add(Conv(out_channels=channels, kernel=3))
    builder.place = f"{stage}/block1"
    builder.add(Product(factors=(Conv(out_channels=channels, groups=2),) * 2, shuffles=(2, channels // 2)))
    builder.add(Norm())
    builder.add(Add(), builder.last, entry)
    builder.add(Activation())
    builder.place = "head"
    builder.add(Pool())
    builder.add(Linear(out_features=10))
    return builder.build()


def test_a_plan_knows_its_shapes_and_places() -> None:
    plan = residual()
    assert plan.input_shape == (3, 16, 16)
    assert plan.output_shape == (10, 1, 1)
    assert plan.places() == ("input", "stem", "stage1/block1", "head")


@given(st.integers(1, 64), st.sampled_from([1, 3, 5, 7]), st.integers(1, 4))
def test_a_strided_convolution_covers_every_stride_th_position(length: int, kernel: int, stride: int) -> None:
    shape = output_shape(Conv(out_channels=2, kernel=kernel, stride=stride), [(2, length, length)])
    assert shape == (2, -(-length // stride), -(-length // stride))


@pytest.mark.parametrize(
    ("operation", "given_shape", "expected"),
    [
        (Pool(), (8, 7, 7), (8, 1, 1)),
        (Pool(function="max", kernel=3, stride=2), (8, 112, 112), (8, 56, 56)),
        (Pool(kernel=2, stride=2), (8, 8, 8), (8, 4, 4)),
        (Tile(channels=20), (8, 4, 4), (20, 4, 4)),
        (Shuffle(groups=4), (8, 4, 4), (8, 4, 4)),
        (Linear(out_features=5), (8, 4, 4), (5, 1, 1)),
    ],
)
def test_each_operation_makes_its_shape(
    operation: Operation, given_shape: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    assert output_shape(operation, [given_shape]) == expected


@pytest.mark.parametrize(
    ("operation", "inputs", "message"),
    [
        (Conv(out_channels=8, groups=3), [(8, 4, 4)], r"here: .*3 does not divide 8 channels \(remainder 2\)"),
        (Conv(out_channels=9, groups=4), [(8, 4, 4)], r"4 does not divide 9 channels \(remainder 1\)"),
        (Conv(out_channels=8, kernel=2), [(8, 4, 4)], "odd kernel"),
        (Shuffle(groups=3), [(8, 4, 4)], "3 does not divide 8"),
        (Add(), [(8, 4, 4), (4, 4, 4)], "one shape"),
        (Add(), [(8, 4, 4)], "two or more"),
        (Norm(), [(8, 4, 4), (8, 4, 4)], "takes one input"),
        (Pool(kernel=5), [(8, 4, 4)], "does not fit"),
        (Product(factors=(Conv(out_channels=8),), shuffles=()), [(8, 4, 4)], "as many shuffles as factors"),
        (Product(factors=(Conv(out_channels=8),), shuffles=(3,)), [(8, 4, 4)], "3 does not divide 8"),
        (Tile(channels=4), [(8, 4, 4)], "cannot make 4 of 8"),
        (Input(shape=(3, 0, 8)), [], ">= 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_arithmetic(
    operation: Operation, inputs: list[tuple[int, int, int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        output_shape(operation, inputs, "here")


def test_a_product_s_factors_read_what_the_one_before_wrote() -> None:
    product = Product(
        factors=(Conv(out_channels=8, kernel=3, stride=2, groups=8), Conv(out_channels=12)), shuffles=(1, 1)
    )
    shapes = [(before, after) for _, before, after in factor_shapes(product, (8, 6, 6))]
    assert shapes == [((8, 6, 6), (8, 3, 3)), ((8, 3, 3), (12, 3, 3))]


def test_a_plan_checks_nodes_that_it_did_not_make() -> None:
    nodes = residual().nodes
    with pytest.raises(ValueError, match="starts with its Input"):
        Plan(nodes[1:])
    with pytest.raises(ValueError, match="not all earlier"):
        Plan((*nodes, Node(operation=Norm(), inputs=(len(nodes),), shape=(10, 1, 1), place="head")))
    with pytest.raises(ValueError, match=r"shape \(9, 1, 1\) given, \(10, 1, 1\) computed"):
        Plan((*nodes[:-1], replace(nodes[-1], shape=(9, 1, 1))))


def test_a_plan_comes_back_from_its_json() -> None:
    plan = residual()
    again = plan_from_json(plan_to_json(plan))
    assert again == plan
    assert again.key == plan.key


def test_a_plan_travels_between_processes_as_its_json() -> None:
    plan = residual()
    text = pickle.dumps(plan)
    again = pickle.loads(text)  # noqa: S301 - made one line above
    assert again == plan
    assert again.key == plan.key
    assert plan_to_json(plan).encode() in text


@pytest.mark.parametrize("text", ['[{"op": {"kind": "swirl"}, "inputs": [], "place": ""}]', '[{"inputs": []}]', "[]"])
def test_json_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown operation 'swirl'|not a plan|starts with its Input"):
        plan_from_json(text)


def test_a_key_names_the_graph_and_not_its_places() -> None:
    assert residual().key == residual(stage="stage7").key
    assert residual().key != residual(channels=12).key
    assert len(residual().key) == 16
