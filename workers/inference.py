"""A trained network as it is used: normalisation folded in, interleaved products composed where that pays.

Plain layers alone, so that `torch.export` and ONNX take it, and what is measured is what is handed out. Composing and
folding are done in float64 and rounded once.
Shapes: N images, C channels, H height, W width; O outputs and I inputs of a dense kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.plan import Norm, Plan, Product
from workers.builder import PlanNetwork
from workers.forms import ProductLayer, ShuffleLayer, dense_kernel, leading
from workers.units import COMPOSED, chosen_forms, units


class InferenceNetwork(nn.Module):
    """The layers that are left, in order; each reads earlier tensors by the plan's node numbers."""

    def __init__(self, plan: Plan, steps: Sequence[Step]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(step.layer for step in steps)
        self._wires = [(step.inputs, step.output) for step in steps]
        self._last_use = {source: number for number, step in enumerate(steps) for source in step.inputs}
        self._result = len(plan.nodes) - 1

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Class scores (N, classes) of a batch of normalised images."""
        alive: dict[int, Tensor] = {0: x_NCHW}
        for number, (layer, (inputs, output)) in enumerate(zip(self.layers, self._wires, strict=True)):
            made = layer(*(alive[source] for source in inputs))
            for source in set(inputs):
                if self._last_use[source] == number:
                    del alive[source]
            alive[output] = made
        return alive[self._result].flatten(1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One layer with the nodes whose tensors it reads, and the node whose tensor it makes."""

    layer: nn.Module
    inputs: tuple[int, ...]
    output: int


def inference_network(network: PlanNetwork) -> InferenceNetwork:
    """The same function as `network` in evaluation mode, on the CPU in float32; nothing of it is shared or trained."""
    plan = network.plan
    layers = [deepcopy(layer).cpu().double().eval() for layer in network.nodes]
    composed = _composed_products(plan)
    followers = _folded_norms(plan)
    steps: list[Step] = []
    for index in range(1, len(plan.nodes)):
        if index in followers.values():
            continue
        layer, norm = layers[index], followers.get(index)
        scale_C, offset_C = _affine(layers[norm]) if norm is not None else (None, None)
        if isinstance(layer, ProductLayer):
            layer = _product(layer, scale_C, offset_C, index in composed)
        elif isinstance(layer, nn.Conv2d) and scale_C is not None:
            layer = _scaled(layer, scale_C, offset_C)
        steps.append(
            Step(layer=layer, inputs=plan.nodes[index].inputs, output=index if norm is None else norm),
        )
    return InferenceNetwork(plan, steps).float().eval().requires_grad_(False)


def _composed_products(plan: Plan) -> set[int]:
    """The products that the rule for machines without own kernels composes."""
    forms = chosen_forms(plan, native=False)
    return {
        unit.product
        for unit, form in zip(units(plan), forms, strict=True)
        if unit.product is not None and form == COMPOSED
    }


def _folded_norms(plan: Plan) -> dict[int, int]:
    """By a convolution or product the normalisation that alone reads it."""
    readers = Counter(source for node in plan.nodes for source in node.inputs)
    found = {}
    for index, node in enumerate(plan.nodes):
        source = node.inputs[0] if node.inputs else 0
        if isinstance(node.operation, Norm) and readers[source] == 1 and _is_linear(plan, source):
            found[source] = index
    return found


def _is_linear(plan: Plan, index: int) -> bool:
    operation = plan.nodes[index].operation
    return isinstance(operation, Product) or operation.kind == "conv"


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a normalisation with its running statistics does to each channel: (scale, offset)."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale_C = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale_C, norm.bias - norm.running_mean * scale_C


def _scaled(conv: nn.Conv2d, scale_C: Tensor, offset_C: Tensor | None) -> nn.Conv2d:
    """The convolution followed by scale and offset, as one."""
    folded = deepcopy(conv)
    bias_C = offset_C if conv.bias is None or offset_C is None else offset_C + conv.bias * scale_C
    folded.weight = nn.Parameter((conv.weight * scale_C[:, None, None, None]).detach())
    folded.bias = None if bias_C is None else nn.Parameter(bias_C.detach())
    return folded


def _product(layer: ProductLayer, scale_C: Tensor | None, offset_C: Tensor | None, compose: bool) -> nn.Sequential:
    """Factor after factor, or up to the 1x1 ones and then one dense kernel for these; scale and offset folded in."""
    factors = [factor for factor in layer.factors if isinstance(factor, nn.Conv2d)]
    if not compose:
        return nn.Sequential(*_in_turn(factors, layer.shuffles, scale_C, offset_C))
    count = leading(factors)
    before = list(_in_turn(factors[:count], layer.shuffles[:count]))
    if before and isinstance(before[-1], ShuffleLayer):
        before.pop()  # goes into the dense kernel
    kernel_OI = dense_kernel(factors[count:], layer.shuffles[count:], layer.shuffles[count - 1] if count else 1)
    return nn.Sequential(*before, _dense(kernel_OI, scale_C, offset_C))


def _in_turn(
    factors: Sequence[nn.Conv2d],
    shuffles: Sequence[int],
    scale_C: Tensor | None = None,
    offset_C: Tensor | None = None,
) -> Iterator[nn.Module]:
    """Each factor and its shuffle; the last factor takes scale and offset, whose channels stand behind its shuffle."""
    for number, (factor, groups) in enumerate(zip(factors, shuffles, strict=True), start=1):
        if number == len(factors) and scale_C is not None and offset_C is not None:
            factor = _scaled(factor, _unshuffled(scale_C, groups), _unshuffled(offset_C, groups))
        yield factor
        if groups not in (1, factor.out_channels):
            yield ShuffleLayer(groups)


def _unshuffled(values_C: Tensor, groups: int) -> Tensor:
    """Values of shuffled channels in the order before the shuffle."""
    return values_C.reshape(-1, groups).t().reshape(-1)


def _dense(kernel_OI: Tensor, scale_O: Tensor | None, offset_O: Tensor | None) -> nn.Conv2d:
    conv = nn.Conv2d(kernel_OI.shape[1], kernel_OI.shape[0], 1, bias=False, dtype=torch.float64)
    conv.weight = nn.Parameter(kernel_OI[:, :, None, None].detach())
    return conv if scale_O is None else _scaled(conv, scale_O, offset_O)
