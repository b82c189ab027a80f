"""How an interleaved product is executed: several mathematically equal forms over the same factor parameters.

Shapes: N images, C channels, H height, W width; O outputs and I inputs of a dense kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.units import FORMS, GROUPED


class ProductLayer(nn.Module):
    """y = P_L W_L ... P_1 W_1 x (IGCV2 eq. 1): the factors are the parameters, `form` says how y is computed."""

    def __init__(self, factors: list[nn.Conv2d], shuffles: tuple[int, ...], form: str = GROUPED) -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"unknown form {form!r}; known: {', '.join(FORMS)}")
        self.factors = nn.ModuleList(factors)
        self.shuffles = shuffles
        self.form = form

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return grouped(self, x_NCHW) if self.form == GROUPED else composed(self, x_NCHW)


class ShuffleLayer(nn.Module):
    """The channel permutation (g, k) -> (k, g)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return shuffle(x_NCHW, self.groups)


def grouped(layer: ProductLayer, x_NCHW: Tensor) -> Tensor:
    """Factor after factor, as the plan counts it."""
    for factor, groups in zip(layer.factors, layer.shuffles, strict=True):
        x_NCHW = shuffle(factor(x_NCHW), groups)
    return x_NCHW


def composed(
    layer: ProductLayer, x_NCHW: Tensor, scale_O: Tensor | None = None, bias_O: Tensor | None = None
) -> Tensor:
    """The first factors that are not plain 1x1 one after another, then one dense 1x1 convolution for all the rest.

    `scale_O` and `bias_O` of a normalisation are folded into it. The shuffle in between is folded in too.
    """
    convolutions = [factor for factor in layer.factors if isinstance(factor, nn.Conv2d)]
    count = leading(convolutions)
    if count == len(convolutions):
        raise ValueError("there is no 1x1 factor to compose")
    for number, (factor, groups) in enumerate(zip(convolutions[:count], layer.shuffles[:count], strict=True), start=1):
        x_NCHW = factor(x_NCHW)
        if number < count:
            x_NCHW = shuffle(x_NCHW, groups)
    before = layer.shuffles[count - 1] if count else 1
    kernel_OI = dense_kernel(convolutions[count:], layer.shuffles[count:], before)
    if scale_O is not None:
        kernel_OI = kernel_OI * scale_O[:, None]
    return functional.conv2d(x_NCHW, kernel_OI[:, :, None, None], bias_O)


def leading(factors: Sequence[nn.Conv2d]) -> int:
    """How many of the first factors are not plain 1x1 convolutions: they are never composed."""
    plain = [factor.kernel_size == (1, 1) and factor.stride == (1, 1) and factor.bias is None for factor in factors]
    return next((number for number in range(len(plain), 0, -1) if not plain[number - 1]), 0)


def dense_kernel(factors: Sequence[nn.Conv2d], shuffles: Sequence[int], before: int = 1) -> Tensor:
    """P_L W_L ... P_1 W_1 P_0 as a matrix (O, I) of group 1x1 convolutions; `before`: the groups of P_0."""
    first, *rest = factors
    kernel_OI = turned(_block_diagonal(first), 1, before)
    kernel_OI = turned(kernel_OI, 0, _inverse(shuffles[0], first.out_channels))
    for factor, groups in zip(rest, shuffles[1:], strict=True):
        blocks = factor.weight.reshape(factor.groups, -1, factor.weight.shape[1])
        parts = torch.bmm(blocks, kernel_OI.reshape(factor.groups, blocks.shape[2], -1))
        kernel_OI = turned(parts.reshape(factor.out_channels, -1), 0, _inverse(groups, factor.out_channels))
    return kernel_OI


def _block_diagonal(factor: nn.Conv2d) -> Tensor:
    """A group 1x1 convolution as a matrix (O, I)."""
    groups = factor.groups
    blocks = factor.weight.reshape(groups, -1, 1, factor.weight.shape[1])
    corner = torch.eye(groups, dtype=blocks.dtype, device=blocks.device).reshape(groups, 1, groups, 1)
    return (blocks * corner).reshape(factor.out_channels, factor.in_channels)


def turned(kernel_OI: Tensor, axis: int, groups: int) -> Tensor:
    """The rows or columns, read as (C / groups, groups), transposed: columns that undo a shuffle of their input."""
    shape = kernel_OI.shape
    if groups in (1, shape[axis]):
        return kernel_OI
    if axis == 0:
        return kernel_OI.reshape(-1, groups, shape[1]).transpose(0, 1).reshape(shape)
    return kernel_OI.reshape(shape[0], -1, groups).transpose(1, 2).reshape(shape)


def _inverse(groups: int, channels: int) -> int:
    """The groups of the shuffle that undoes one."""
    return channels // groups


def shuffle(x_NCHW: Tensor, groups: int) -> Tensor:
    """Channels read as (groups, C / groups) and transposed; 1 group (or C) moves nothing. The layout in memory stays."""
    count, channels, height, width = x_NCHW.shape
    if groups in (1, channels):
        return x_NCHW
    if x_NCHW.is_contiguous(memory_format=torch.channels_last) and not x_NCHW.is_contiguous():
        pixels_NHWGK = x_NCHW.permute(0, 2, 3, 1).reshape(count, height, width, groups, channels // groups)
        return pixels_NHWGK.transpose(3, 4).reshape(count, height, width, channels).permute(0, 3, 1, 2)
    parts = x_NCHW.reshape(count, groups, channels // groups, height, width)
    return parts.transpose(1, 2).reshape(count, channels, height, width)
