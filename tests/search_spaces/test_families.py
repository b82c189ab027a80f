"""The six families: what their default spaces hold, what their plans cost when built, and what they refuse.

IGCV_EXHAUSTIVE=1 builds 500 random members of each family instead of some (a minute).
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.conditions import path_counts
from search_spaces.cost import cost
from search_spaces.families import igcv1, igcv2, igcv3, mobilenetv1, mobilenetv2
from search_spaces.families.table import FAMILIES
from search_spaces.networks import Domain, Network, Task, lower
from search_spaces.plan import Add, Conv, Norm, Plan, Product, Tile
from search_spaces.references import REFERENCES, reference_plan
from search_spaces.space import FamilySpace, Space, choices, make_space
from workers.builder import PlanNetwork, count_parameters

DIGITS = Task(image_size=8, channels=1)
CIFAR = Task()
EXHAUSTIVE = os.environ.get("IGCV_EXHAUSTIVE", "") not in ("", "0")
MEMBERS = 500 if EXHAUSTIVE else 40


def space_of(family: str, task: Task = CIFAR, **ranges: Any) -> Space:
    return make_space(task, {family: ranges})


def members(family: str, task: Task, count: int, seed: int = 0) -> Iterator[Plan]:
    """Random members of a family's default space."""
    space = space_of(family, task).families[0]
    draw = random.Random(seed)
    shared = list(space.shared_choices())
    stages = [list(space.stage_choices(stage)) for stage in range(len(space.stages))]
    for _ in range(count):
        network = space.network(draw.choice(shared), tuple(draw.choice(stage) for stage in stages))
        yield lower(FAMILIES[family], network, task)


def size_of(space: FamilySpace) -> int:
    stages = math.prod(len(list(space.stage_choices(stage))) for stage in range(len(space.stages)))
    return len(list(space.shared_choices())) * stages


def lowered(family: str, shared: Any, *stages: Any, task: Task = CIFAR) -> Plan:
    return lower(FAMILIES[family], Network(family=family, shared=shared, stages=stages), task)


def built_cost(plan: Plan) -> tuple[int, int]:
    """Parameters and MACs of the built module: counted tensors, half of PyTorch's flops of one forward pass."""
    module = PlanNetwork(plan).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        module(torch.zeros(1, *plan.input_shape))
    return count_parameters(module), counter.get_total_flops() // 2


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Layers this small only wait for each other on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("family", FAMILIES)
def test_members_cost_what_the_built_module_costs(family: str) -> None:
    for plan in members(family, DIGITS, MEMBERS):
        assert built_cost(plan) == (cost(plan).params, cost(plan).macs)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", REFERENCES)
def test_references_cost_what_the_built_module_costs(name: str) -> None:
    plan = reference_plan(name)
    assert built_cost(plan) == (cost(plan).params, cost(plan).macs)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_default_choice_makes_a_network_on_small_images(family: str) -> None:
    """One choice of every parameter at a time against the first of the others, and random mixtures."""
    space = space_of(family, DIGITS).families[0]
    shared = list(space.shared_choices())
    stages = [list(space.stage_choices(stage)) for stage in range(len(space.stages))]
    firsts = tuple(stage[0] for stage in stages)
    cases = [(choice, firsts) for choice in shared]
    for index, stage in enumerate(stages):
        cases += [(shared[-1], (*firsts[:index], choice, *firsts[index + 1 :])) for choice in stage]
    for choice, others in cases:
        assert lower(FAMILIES[family], space.network(choice, others), DIGITS).output_shape == (10, 1, 1)


@pytest.mark.parametrize(("family", "least"), [("igcv2", 5_000), ("igcv3", 5_000)])
@pytest.mark.parametrize(("task", "budget"), [(DIGITS, 2_000_000), (CIFAR, 60_000_000)])
def test_small_budgets_hold_thousands_of_members(family: str, least: int, task: Task, budget: int) -> None:
    inside = [cost(plan).macs <= budget for plan in members(family, task, 50)]
    share = sum(inside) / len(inside)
    assert share * size_of(space_of(family).families[0]) > 10 * least


@pytest.mark.parametrize("family", FAMILIES)
def test_choices_are_distinct_networks_by_their_parameters(family: str) -> None:
    space = space_of(family).families[0]
    for found in (list(space.shared_choices()), *(list(space.stage_choices(i)) for i in range(len(space.stages)))):
        assert len(set(found)) == len(found)


def test_conditional_parameters_appear_only_where_they_matter() -> None:
    space = space_of("igcv2").families[0]
    for choice in map(dict, space.shared_choices()):
        assert ("spatial_k" in choice) == (choice["spatial"] == "grouped")


def test_a_condition_on_an_inactive_parameter_does_not_hold() -> None:
    domains = (
        Domain(name="a", values=("x", "y")),
        Domain(name="b", values=(1, 2), when=("a", ("y",))),
        Domain(name="c", values=(5, 6), when=("b", (1,))),
    )
    assert list(choices(domains)) == [
        (("a", "x"),),
        (("a", "y"), ("b", 1), ("c", 5)),
        (("a", "y"), ("b", 1), ("c", 6)),
        (("a", "y"), ("b", 2)),
    ]


def test_places_name_stage_block_and_shortcut() -> None:
    stages = (igcv2.Stage(width=32, blocks=2), igcv2.Stage(width=64, blocks=3, stride=2))
    plan = lowered("igcv2", igcv2.Shared(stem_width=32), *stages)
    assert plan.places() == (
        *("input", "stem", "stage1/block1", "stage1/block2"),
        *("stage2/block1", "stage2/block2", "stage2/block2/shortcut", "stage2/block3", "head"),
    )
    assert sum(isinstance(node.operation, Add) for node in plan.nodes) == 3


def test_a_linear_block_is_one_product_and_normalisation_follows() -> None:
    plan = lowered("igcv2", igcv2.Shared(stem_width=64, skip=False), igcv2.Stage(width=64, blocks=1, k=8))
    block = [node.operation for node in plan.nodes if node.place == "stage1/block1"]
    assert [operation.kind for operation in block] == ["product", "norm", "activation"]
    assert isinstance(block[0], Product)
    assert [factor.groups for factor in block[0].factors] == [64, 8, 8]
    assert block[0].shuffles == (1, 8, 8)


def test_inner_activations_split_the_product() -> None:
    shared = igcv2.Shared(stem_width=64, skip=False, inner="relu")
    plan = lowered("igcv2", shared, igcv2.Stage(width=64, blocks=1, k=8))
    kinds = [node.operation.kind for node in plan.nodes if node.place == "stage1/block1"]
    assert kinds == ["conv", "norm", "activation", "product", "norm", "activation"]


def test_igcv1_shuffles_are_inverse_to_each_other() -> None:
    plan = lowered("igcv1", igcv1.Shared(stem_width=48), igcv1.Stage(width=48, partitions=24))
    product = next(node.operation for node in plan.nodes if isinstance(node.operation, Product))
    assert product.shuffles == (24, 2)
    assert [factor.groups for factor in product.factors] == [24, 2]


def test_igcv3_permutes_back_with_the_inverse_shuffle() -> None:
    plan = lowered("igcv3", igcv3.Shared(g1=2, g2=4), igcv3.Stage(width=24, blocks=1))
    shuffles = [node.operation for node in plan.nodes if node.operation.kind == "shuffle"]
    assert [shuffle.groups for shuffle in shuffles] == [2, 24 // 4]  # type: ignore[union-attr]


def test_activations_of_igcv3_stand_in_the_middle_only_unless_asked() -> None:
    def count(activations: str) -> int:
        shared = igcv3.Shared(activations=activations, head_width=0)  # type: ignore[arg-type]
        plan = lowered("igcv3", shared, igcv3.Stage(width=16, blocks=1))
        return sum(node.operation.kind == "activation" and node.place == "stage1/block1" for node in plan.nodes)

    assert (count("middle"), count("both")) == (1, 2)


def any_product(number: int, factors: range) -> bool:
    """Whether some factors, repeated or not, multiply to the number."""
    return any(
        number == factor or (number % factor == 0 and any_product(number // factor, factors)) for factor in factors
    )


@given(st.integers(2, 200), st.integers(2, 24), st.integers(1, 4))
def test_strict_branch_sizes_multiply_to_the_width(channels: int, k: int, factor: int) -> None:
    stage = igcv2.Stage(width=factor * channels, k=k)
    if not any_product(channels, range(max(2, -(-k // 2)), 2 * k + 1)):
        with pytest.raises(ValueError, match=f"the product {channels} = "):
            igcv2.branch_sizes("strict", stage, channels, 1, "stage1")
        return
    sizes = igcv2.branch_sizes("strict", stage, channels, 1, "stage1")
    assert math.prod(sizes) == channels
    assert all(k / 2 <= size <= 2 * k for size in sizes)
    assert stage.width % (channels // sizes[-1]) == 0


@given(st.integers(1, 96), st.integers(2, 16), st.integers(1, 12))
def test_covering_products_join_every_pair_from_any_width(channels: int, k: int, multiple: int) -> None:
    stage = igcv2.Stage(width=multiple * k, k=k)
    sizes = igcv2.branch_sizes("covering", stage, channels, 1, "stage1")
    outputs = (channels,) * (len(sizes) - 1) + (stage.width,)
    factors = tuple(Conv(out_channels=out, groups=channels // size) for out, size in zip(outputs, sizes, strict=True))
    product = Product(factors=factors, shuffles=tuple(factor.groups for factor in factors))
    assert path_counts(product, channels).min() >= 1


@pytest.mark.parametrize(
    ("channels", "k", "sizes"), [(128, 8, (8, 16)), (144, 12, (12, 12)), (216, 6, (6, 6, 6)), (48, 4, (3, 4, 4))]
)
def test_strict_takes_the_sizes_nearest_to_k(channels: int, k: int, sizes: tuple[int, ...]) -> None:
    assert igcv2.branch_sizes("strict", igcv2.Stage(width=channels, k=k), channels, 1, "") == sizes


def test_strict_makes_one_path_in_the_first_block_of_a_stage_too() -> None:
    shared = igcv2.Shared(stem_width=48, condition="strict", spatial="grouped", spatial_k=3)
    plan = lowered("igcv2", shared, igcv2.Stage(width=96, k=4, blocks=2))
    first = next(node.operation for node in plan.nodes if isinstance(node.operation, Product))
    assert (path_counts(first, 48) == 1).all()


V2 = igcv2.Shared(stem_width=64)


@pytest.mark.parametrize(
    ("family", "shared", "stage", "arithmetic"),
    [
        ("igcv2", V2, igcv2.Stage(width=64, k=6), r"stage1: K: 6 does not divide 64 channels \(remainder 4\)"),
        ("igcv2", V2, igcv2.Stage(width=32, k=64), "K=64 is larger than the width 32"),
        ("igcv2", V2, igcv2.Stage(width=64, k=1), "K=1 joins no channels"),
        ("igcv2", V2, igcv2.Stage(width=64, k=4, factors=2), "2 factors of K=4 .* at most 16 of 64; 3 factors"),
        (
            "igcv2",
            replace(V2, stem_width=74, condition="strict"),
            igcv2.Stage(width=74, k=8),
            r"between 4 and 16 \(K=8\) with the product 74 = 2 \* 37",
        ),
        ("igcv2", replace(V2, spatial="grouped", spatial_k=3), igcv2.Stage(), "spatial_k: 3 does not divide 64"),
        ("igcv2", V2, igcv2.Stage(blocks=0), "at least one block, given 0"),
        ("igcv1", igcv1.Shared(), igcv1.Stage(width=50), r"L: 24 does not divide 50 channels \(remainder 2\)"),
        ("igcv1", igcv1.Shared(stem_width=32), igcv1.Stage(), "24 does not divide 32 channels"),
        ("igcv3", igcv3.Shared(g2=5), igcv3.Stage(), "G2 on the expanded width: 5 does not divide 96 channels"),
        ("igcv3", igcv3.Shared(g1=4, g2=4), igcv3.Stage(width=30), r"G2: 4 does not divide 30 channels"),
    ],
)
def test_parameters_that_make_no_network_are_refused_with_the_arithmetic(
    family: str, shared: Any, stage: Any, arithmetic: str
) -> None:
    with pytest.raises(ValueError, match=arithmetic):
        lowered(family, shared, stage)


def test_words_are_checked_and_the_known_ones_listed() -> None:
    with pytest.raises(ValueError, match="condition is one of strict, covering, any; given 'stric'"):
        igcv2.Shared(condition="stric")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="permutations is one of both, first, none"):
        igcv3.Shared(permutations="second")  # type: ignore[arg-type]


@pytest.mark.parametrize(("stem", "width"), [(64, 216), (35, 64), (16, 16), (48, 64), (64, 24), (7, 2)])
def test_shortcuts_of_igcv2_have_two_weights_for_each_output_or_enough_to_read_every_input(
    stem: int, width: int
) -> None:
    plan = lowered("igcv2", igcv2.Shared(stem_width=stem), igcv2.Stage(width=width, blocks=2, k=2))
    shortcut = [node for node in plan.nodes if node.place.endswith("/shortcut")]
    weights = sum(
        plan.nodes[node.inputs[0]].shape[0] // node.operation.groups * width
        for node in shortcut
        if isinstance(node.operation, Conv)
    )
    assert weights == (0 if stem == width else max(2, math.ceil(stem / width)) * width)


def test_shortcuts_of_xception_have_no_weights_where_the_map_stays() -> None:
    plan = reference_plan("xception-c58-d20")
    kinds = {
        place: [node.operation for node in plan.nodes if node.place == place]
        for place in plan.places()
        if place.endswith("/shortcut")
    }
    assert kinds["stage1/block2/shortcut"] == [Tile(channels=58), Norm()]
    assert kinds["stage2/block2/shortcut"] == [Conv(out_channels=116, stride=2), Norm()]


@pytest.mark.parametrize(
    ("family", "shared", "widths"),
    [
        ("igcv3", igcv3.Shared(width_multiplier=0.7), [12, 16, 22]),
        ("igcv3", igcv3.Shared(width_multiplier=0.7, g2=4), [12, 16, 24]),
        ("mobilenetv1", mobilenetv1.Shared(width_multiplier=0.1, stem_width=32), [8, 8, 8]),
        ("mobilenetv2", mobilenetv2.Shared(width_multiplier=0.7), [16, 16, 24]),
    ],
)
def test_multipliers_round_as_the_published_networks_do(family: str, shared: Any, widths: list[int]) -> None:
    stage_type = FAMILIES[family].stage_type
    stages = tuple(stage_type(width=width, blocks=1) for width in (24 if family == "mobilenetv2" else 16, 24, 32))
    stages = stages if family != "igcv3" else tuple(replace(stage, expansion=4) for stage in stages)
    plan = lowered(family, shared, *stages)
    ends = [max(i for i, node in enumerate(plan.nodes) if node.place == f"stage{n}/block1") for n in (1, 2, 3)]
    assert [plan.nodes[end].shape[0] for end in ends] == widths


def test_a_head_of_no_width_stays_away_at_any_multiplier() -> None:
    shared = mobilenetv2.Shared(head_width=0, width_multiplier=1.5)
    plan = lowered("mobilenetv2", shared, mobilenetv2.Stage())
    assert [node.operation.kind for node in plan.nodes if node.place == "head"] == ["pool", "linear"]
