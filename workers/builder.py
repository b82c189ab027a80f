"""Plan -> nn.Module: one generic builder for every family.

Shapes: N images, C channels, H height, W width. Parameters belong to the plan's nodes, never to the form in which a
product is executed, so a checkpoint fits whatever the forms are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.plan import (
    Activation,
    Add,
    Conv,
    Input,
    Linear,
    Node,
    Norm,
    Plan,
    Pool,
    Product,
    Shape,
    Shuffle,
    Tile,
    factor_shapes,
)
from workers.forms import ProductLayer, ShuffleLayer
from workers.fused import FusedUnit
from workers.units import COMPOSED, GROUPED, NATIVE, fitting_forms, units

NORM_EPSILON = 1e-5
RECTIFIER_GAIN = 2.0  # He et al. 2015, eq. 10: variance 2 / fan-in before a ReLU
LINEAR_GAIN = 1.0


class PlanNetwork(nn.Module):
    """A plan as a module: one child for each node, whatever the forms; the forms say how the units are executed."""

    def __init__(self, plan: Plan, forms: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.plan = plan
        self.forms = forms
        self.nodes = nn.ModuleList(_layer(plan, node) for node in plan.nodes)
        self._last_use = _last_uses(plan)
        self._fused: dict[int, tuple[tuple[int, ...], FusedUnit]] = {}  # by the first node of a unit
        for unit, form in zip(units(plan) if forms else (), forms, strict=True):
            if unit.product is not None:
                layer = self.nodes[unit.product]
                assert isinstance(layer, ProductLayer)
                layer.form = GROUPED if form == GROUPED else COMPOSED
            if form == NATIVE:
                self._fused[unit.nodes[0]] = unit.nodes, FusedUnit(*(self.nodes[node] for node in unit.nodes))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Class scores (N, classes) of a batch of images."""
        if any(form != GROUPED for form in self.forms):
            x_NCHW = x_NCHW.contiguous(memory_format=torch.channels_last)
        alive: dict[int, Tensor] = {0: x_NCHW}
        index = 1
        while index < len(self.plan.nodes):
            covered: tuple[int, ...] = (index,)
            call: nn.Module | FusedUnit = self.nodes[index]
            if index in self._fused:
                covered, call = self._fused[index]
            sources = self.plan.nodes[index].inputs
            alive[covered[-1]] = call(*(alive[source] for source in sources))
            for source in sources:
                if self._last_use[source] == index:
                    alive.pop(source, None)
            index = covered[-1] + 1
        return alive[len(self.plan.nodes) - 1].flatten(1)

    @property
    def products(self) -> list[ProductLayer]:
        """The interleaved products in the plan's order."""
        return [layer for layer in self.nodes if isinstance(layer, ProductLayer)]


def build(plan: Plan, *, seed: int = 0, forms: tuple[str, ...] = ()) -> PlanNetwork:
    """The plan's network on the CPU, its weights drawn from `seed`. `forms`: how each unit is executed (see units)."""
    network = PlanNetwork(plan, fitting_forms(plan, forms, native=True) if forms else ())
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def count_parameters(module: nn.Module) -> int:
    """All trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation by fan-in; of a product only the last factor carries the rectifier's gain.

    The factors before it keep the variance (gain 1), so that the composed kernel has the variance of one He layer.
    """
    inner = {
        factor for layer in network.modules() if isinstance(layer, ProductLayer) for factor in list(layer.factors)[:-1]
    }
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _draw_normal(module, LINEAR_GAIN if module in inner else RECTIFIER_GAIN, generator)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)  # Xavier by fan-in, magnitude 1, as the IGCV1 code has it
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            _zero_bias(module)


def _draw_normal(conv: nn.Conv2d, gain: float, generator: torch.Generator) -> None:
    fan_in = conv.weight[0].numel()
    nn.init.normal_(conv.weight, 0.0, math.sqrt(gain / fan_in), generator=generator)
    _zero_bias(conv)


def _zero_bias(module: nn.Conv2d | nn.Linear) -> None:
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class TileLayer(nn.Module):
    """The channels over and over until there are `channels` of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x_NCHW: Tensor) -> Tensor:
        copies = -(-self.channels // x_NCHW.shape[1])
        return torch.cat([x_NCHW] * copies, 1)[:, : self.channels]


class AddLayer(nn.Module):
    """The sum of its inputs."""

    def forward(self, first_NCHW: Tensor, *others: Tensor) -> Tensor:
        total = first_NCHW
        for other_NCHW in others:
            total = total + other_NCHW
        return total


class GlobalAverage(nn.Module):
    """The mean over the whole map."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(x_NCHW, 1)


class LinearLayer(nn.Linear):
    """A fully connected layer on the flattened input."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return super().forward(x_NCHW.flatten(1))


def _layer(plan: Plan, node: Node) -> nn.Module:
    given = plan.nodes[node.inputs[0]].shape if node.inputs else node.shape
    match node.operation:
        case Input():
            return nn.Identity()
        case Conv() as conv:
            return convolution(conv, given[0])
        case Product() as product:
            factors = [convolution(factor, before[0]) for factor, before, _ in factor_shapes(product, given)]
            return ProductLayer(factors, product.shuffles)
        case Shuffle(groups=groups):
            return ShuffleLayer(groups)
        case Tile(channels=channels):
            return TileLayer(channels)
        case Norm():
            return nn.BatchNorm2d(node.shape[0], eps=NORM_EPSILON)
        case Activation() as activation:
            return nn.ReLU6() if activation.function == "relu6" else nn.ReLU()
        case Add():
            return AddLayer()
        case Pool() as pool:
            return _pool(pool)
        case Linear() as linear:
            return LinearLayer(_elements(given), linear.out_features, bias=linear.bias)


def convolution(conv: Conv, in_channels: int) -> nn.Conv2d:
    """A plan's convolution as torch's."""
    return nn.Conv2d(
        in_channels,
        conv.out_channels,
        conv.kernel,
        conv.stride,
        conv.kernel // 2,
        groups=conv.groups,
        bias=conv.bias,
    )


def _pool(pool: Pool) -> nn.Module:
    if pool.kernel == 0:
        return GlobalAverage() if pool.function == "average" else nn.AdaptiveMaxPool2d(1)
    if pool.function == "max":
        return nn.MaxPool2d(pool.kernel, pool.stride, pool.kernel // 2)
    return nn.AvgPool2d(pool.kernel, pool.stride)


def _elements(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _last_uses(plan: Plan) -> list[int]:
    last = list(range(len(plan.nodes)))
    for index, node in enumerate(plan.nodes):
        for source in node.inputs:
            last[source] = index
    return last
