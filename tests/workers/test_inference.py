"""The inference form is the same function as the network that was trained, for every family and every kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from search_spaces.networks import Task
from search_spaces.plan import Add, Conv, Linear, Norm, Plan, PlanBuilder, Pool, Tile
from search_spaces.references import reference_plan
from tests.workers.making import small_plan
from workers.builder import PlanNetwork, build
from workers.forms import ProductLayer
from workers.inference import inference_network

TASK = Task(image_size=16, channels=3, classes=7)
ONE_OF_EACH = {
    "igcv1": "igcv1-l24m2-d8",
    "igcv2": "igcv2-c64-d8",
    "igcv3": "igcv3-0.25",
    "xception": "xception-c35-d8",
    "mobilenetv1": "mobilenetv1-0.25",
    "mobilenetv2": "mobilenetv2-0.5",
}


def trained(plan: Plan, seed: int = 0) -> tuple[PlanNetwork, Tensor]:
    """A network whose statistics, scales and offsets are those of no fresh one, and a batch of images."""
    network = build(plan, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low in ((layer.weight, 0.5), (layer.bias, -0.5), (layer.running_var, 0.5)):
                assert tensor is not None
                tensor.data.uniform_(low, low + 1.0, generator=generator)
            assert layer.running_mean is not None
            layer.running_mean.normal_(generator=generator)
    return network.eval(), torch.randn(4, *plan.input_shape, generator=generator)


def check_same(plan: Plan) -> nn.Module:
    network, x_NCHW = trained(plan)
    found = inference_network(network)
    with torch.inference_mode():
        wanted, given = network.double()(x_NCHW.double()), found(x_NCHW)
    assert given.dtype is torch.float32
    scale = wanted.abs().max().item()
    assert (given.double() - wanted).abs().max().item() <= 1e-4 * scale
    return found


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_each_family_computes_the_same(family: str) -> None:
    found = check_same(reference_plan(ONE_OF_EACH[family], TASK))
    assert not any(isinstance(layer, ProductLayer) for layer in found.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in found.modules())


def test_a_product_too_wide_to_compose_keeps_its_factors_and_folds_its_norm_behind_the_shuffle() -> None:
    found = check_same(small_plan(width=512))
    grouped = [layer for layer in found.modules() if isinstance(layer, nn.Conv2d) and 1 < layer.groups < 512]
    assert len(grouped) == 4
    assert [layer.bias is not None for layer in grouped] == [False, True, False, True]


def test_a_norm_that_follows_no_convolution_stays_and_so_does_one_of_two_readers() -> None:
    builder = PlanBuilder((3, 8, 8))
    builder.add(Tile(channels=8))
    builder.add(Norm())
    start = builder.add(Conv(out_channels=8, bias=True))
    builder.add(Norm())
    builder.add(Add(), start, builder.last)
    builder.add(Conv(out_channels=8, bias=True))
    builder.add(Norm())
    builder.add(Pool(function="max"))
    builder.add(Linear(out_features=7))
    found = check_same(builder.build())
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in found.modules()) == 2


def test_what_is_made_shares_nothing_with_the_network() -> None:
    network, x_NCHW = trained(small_plan())
    found = inference_network(network)
    before = found(x_NCHW)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
    assert torch.equal(found(x_NCHW), before)
    assert not any(parameter.requires_grad for parameter in found.parameters())
