"""Which nodes are executed together; and each form of a whole network against float64."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.families.table import FAMILIES
from search_spaces.networks import Task, lower
from search_spaces.plan import Norm, Plan, Product
from search_spaces.references import reference_plan
from search_spaces.space import make_space
from tests.workers.making import small_plan
from workers.builder import build
from workers.native.library import library
from workers.units import COMPOSED, GROUPED, NATIVE, chosen_forms, fitting_forms, units

NAMES = ("igcv1-l24m2-d8", "igcv2star-c216-d20", "igcv3-1.0-cifar", "xception-c58-d20")


def member(family: str, task: Task, which: int) -> Plan:
    space = make_space(task, {family: {}}).families[0]
    shared = list(space.shared_choices())
    stages = [list(space.stage_choices(stage)) for stage in range(len(space.stages))]
    chosen = tuple(choices[which % len(choices)] for choices in stages)
    return lower(FAMILIES[family], space.network(shared[which % len(shared)], chosen), task)


@pytest.mark.parametrize("name", NAMES)
def test_every_product_and_normalisation_is_in_one_unit(name: str) -> None:
    plan = reference_plan(name)
    covered = list(chain.from_iterable(unit.nodes for unit in units(plan)))
    assert len(covered) == len(set(covered))
    for index, node in enumerate(plan.nodes):
        if isinstance(node.operation, Product | Norm):
            assert index in covered
    for unit in units(plan):
        assert list(unit.nodes) == sorted(unit.nodes)
        for before, after in zip(unit.nodes, unit.nodes[1:], strict=False):
            assert plan.nodes[after].inputs == (before,)


def test_the_small_networks_units() -> None:
    plan = small_plan()
    kinds = [[plan.nodes[node].operation.kind for node in unit.nodes] for unit in units(plan)]
    assert kinds == [
        ["norm", "activation"],
        ["conv", "product", "norm"],
        ["product"],
        ["norm", "activation"],
    ]
    assert chosen_forms(plan, native=True) == (NATIVE, NATIVE, COMPOSED, NATIVE)
    assert chosen_forms(plan, native=False) == (GROUPED, COMPOSED, COMPOSED, GROUPED)


def test_what_a_machine_lacks_is_replaced() -> None:
    plan = small_plan()
    wanted = (GROUPED, NATIVE, GROUPED, NATIVE)
    assert fitting_forms(plan, wanted, native=True) == wanted
    assert fitting_forms(plan, wanted, native=False) == (GROUPED, COMPOSED, GROUPED, GROUPED)


def trained_once(plan: Plan, forms: tuple[str, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Scores in training and in evaluation, and the gradients of a cross-entropy."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(8, *plan.input_shape, generator=random).to(dtype)
    network = build(plan, seed=1, forms=forms).to(dtype)
    scores = network(x)
    functional.cross_entropy(scores, torch.arange(8) % plan.output_shape[0]).backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    with torch.no_grad():
        return scores.detach(), network.eval()(x), gradients


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("which", [0, 1, 100])
def test_each_familys_forms_equal_float64(family: str, which: int) -> None:
    plan = member(family, Task(image_size=8), which)
    scores, evaluated, gradients = trained_once(plan, (), torch.float64)
    choices = [chosen_forms(plan, native=False)]
    if library() is not None:
        choices.append(chosen_forms(plan, native=True))
    for forms in choices:
        found = trained_once(plan, forms, torch.float32)
        torch.testing.assert_close(found[0].double(), scores, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(found[1].double(), evaluated, rtol=1e-3, atol=1e-3)
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        error = torch.cat([gradient.double().flatten() for gradient in found[2]]) - whole
        assert float(error.norm()) < 2e-3 * float(whole.norm())
