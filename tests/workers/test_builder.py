"""A plan as a module: its parameters, its shapes, and its product against the composed matrix in float64."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from search_spaces.cost import cost
from search_spaces.families.table import FAMILIES
from search_spaces.networks import Task, lower
from search_spaces.plan import Activation, Conv, Linear, Norm, PlanBuilder, Product, factor_shapes
from search_spaces.space import make_space
from tests.workers.making import product, small_plan
from workers.builder import PlanNetwork, build, convolution, count_parameters
from workers.forms import ProductLayer, shuffle
from workers.units import COMPOSED, GROUPED

FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}


def layer_of(wanted: Product, channels: int, form: str, seed: int = 0) -> ProductLayer:
    torch.manual_seed(seed)
    shape = (channels, 4, 4)
    factors = [convolution(factor, before[0]) for factor, before, _ in factor_shapes(wanted, shape)]
    return ProductLayer(factors, wanted.shuffles, form=form)


def dense_matrix(layer: ProductLayer) -> Tensor:
    """P_L W_L ... P_1 W_1 written out in float64, entry by entry: another way than any form takes."""
    matrix: Tensor | None = None
    for factor, groups in zip(layer.factors, layer.shuffles, strict=True):
        assert isinstance(factor, nn.Conv2d)
        outputs, inputs, count = factor.out_channels, factor.in_channels, factor.groups
        weight = factor.weight.detach().double()[:, :, 0, 0]
        step = torch.zeros(outputs, inputs, dtype=torch.float64)
        for row in range(outputs):
            group = row // (outputs // count)
            first = group * (inputs // count)
            step[row, first : first + inputs // count] = weight[row]
        order = [group * (outputs // groups) + rest for rest in range(outputs // groups) for group in range(groups)]
        step = step[order]
        matrix = step if matrix is None else step @ matrix
    assert matrix is not None
    return matrix


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", [Task(image_size=8, channels=1), Task(image_size=32, classes=100)])
def test_each_family_has_the_plans_parameters_and_output(family: str, task: Task) -> None:
    space = make_space(task, {family: {}}).families[0]
    shared = next(iter(space.shared_choices()))
    stages = tuple(next(iter(space.stage_choices(stage))) for stage in range(len(space.stages)))
    plan = lower(FAMILIES[family], space.network(shared, stages), task)
    network = build(plan).eval()
    assert count_parameters(network) == cost(plan).params
    with torch.inference_mode():
        assert network(torch.zeros(2, *plan.input_shape)).shape == (2, task.classes)


def test_each_node_gives_the_shape_that_the_plan_says() -> None:
    plan = small_plan()
    network = build(plan).eval()
    seen: list[tuple[int, ...]] = []
    for node in list(network.nodes)[1:]:
        node.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    network(torch.zeros(2, *plan.input_shape))
    flat = [shape if len(shape) == 3 else (*shape, 1, 1) for shape in seen]
    assert flat == [node.shape for node in plan.nodes[1:]]


@pytest.mark.parametrize("form", [GROUPED, COMPOSED])
@settings(deadline=None, max_examples=20)
@given(
    k=st.sampled_from([1, 2, 3, 4, 8]),
    groups=st.integers(1, 6),
    growth=st.sampled_from([1, 2, 3]),
    batch=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_form_and_its_gradients_equal_the_dense_matrix(
    form: str, k: int, groups: int, growth: int, batch: int, seed: int
) -> None:
    width = k * groups
    layer = layer_of(product(width, growth * width, k), width, form, seed)
    x = torch.randn(batch, width, 4, 4, requires_grad=True)
    y = layer(x)
    wide = x.detach().double().requires_grad_()
    expected = torch.einsum("oi,nihw->nohw", dense_matrix(layer), wide)
    torch.testing.assert_close(y.double(), expected, **FLOAT32)

    slope = torch.randn_like(y)
    y.backward(slope)
    expected.backward(slope.double())
    torch.testing.assert_close(x.grad.double(), wide.grad, **FLOAT32)
    double = layer_of(product(width, growth * width, k), width, form, seed).double()
    double(x.detach().double()).backward(slope.double())
    for single_factor, double_factor in zip(layer.parameters(), double.parameters(), strict=True):
        torch.testing.assert_close(single_factor.grad.double(), double_factor.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", [GROUPED, COMPOSED])
def test_the_factors_gradients_are_the_derivatives(form: str) -> None:
    layer = layer_of(product(4, 8, 2), 4, form).double()
    x = torch.randn(2, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given, *factors: layer(given), (x, *layer.parameters()))


def test_shuffle_is_the_transposed_reading() -> None:
    x = torch.arange(12.0).reshape(1, 12, 1, 1)
    assert shuffle(x, 3).flatten().tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert torch.equal(shuffle(shuffle(x, 3), 4), x)
    assert torch.equal(shuffle(x, 1), x)
    assert torch.equal(shuffle(x, 12), x)


def test_the_same_seed_gives_the_same_weights() -> None:
    plan = small_plan()
    first, second, other = build(plan, seed=3), build(plan, seed=3), build(plan, seed=4)
    for one, same in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, same)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_a_product_keeps_the_variance_of_one_he_layer() -> None:
    builder = PlanBuilder((64, 8, 8))
    builder.add(product(64, 64, 8))
    builder.add(Linear(out_features=2))
    layer = build(builder.build()).products[0]
    spread = float(dense_matrix(layer).square().sum(1).mean())
    assert spread == pytest.approx(2.0, rel=0.2)  # fan-in times variance: the rectifier's gain, once


def test_a_residual_sum_reads_both_paths() -> None:
    network = build(small_plan()).eval()
    x = torch.randn(2, 1, 8, 8)
    before = network(x)
    index = next(i for i, node in enumerate(network.plan.nodes) if node.operation.kind == "add")
    _, shortcut = sorted(network.plan.nodes[index].inputs, reverse=True)
    network.nodes[shortcut].register_forward_hook(lambda module, inputs, output: output * 2)
    assert not torch.allclose(before, network(x))


def test_a_wrong_number_or_name_of_forms_is_refused() -> None:
    plan = small_plan()
    with pytest.raises(ValueError, match="1 forms given for 4 units"):
        build(plan, forms=("grouped",))
    with pytest.raises(ValueError, match="unknown form 'magic'; known: grouped, composed, native"):
        build(plan, forms=("magic",) * 4)
    with pytest.raises(ValueError, match="the unit at stem has no form 'composed'; it has grouped"):
        build(plan, forms=("composed",) * 4)


def test_a_batch_of_one_channel_group_is_a_plain_convolution() -> None:
    builder = PlanBuilder((6, 5, 5))
    for operation in (Conv(out_channels=6, kernel=3, bias=True), Norm(), Activation(), Linear(out_features=3)):
        builder.add(operation)
    network = PlanNetwork(builder.build()).eval()
    x = torch.randn(2, 6, 5, 5)
    children = list(network.nodes)
    assert all(isinstance(child, nn.Module) for child in children)
    expected = x
    for _, child in pairwise([None, *children]):
        expected = child(expected)
    torch.testing.assert_close(network(x), expected)
