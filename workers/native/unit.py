"""Units of a network on the native kernels, as differentiable functions of tensors.

Shapes: N images, C channels, H height, W width; 9C taps; G groups, O outputs and I inputs of a group. fp32, channels_last.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workers.native.library import Norm, Unit, library

Context = Any  # what torch.autograd hands to a function: attributes of one's own choice


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitShape:
    """What a unit does besides its tensors. `bound` of the activation: 0 none, else its upper bound (inf for ReLU)."""

    stride: int = 1  # of the spatial convolution
    shuffles: tuple[int, ...] = ()  # after each factor of the product; empty: no product
    epsilon: float = 1e-5
    bound: float = 0.0
    shuffle: int = 1  # groups of the shuffle at the end; 1: none


def kernels() -> ctypes.CDLL:
    """The loaded library; ask `library()` first whether there is one."""
    loaded = library()
    assert loaded is not None, "the native kernels are not there"
    return loaded


class UnitFunction(torch.autograd.Function):
    """[taps] -> [factors] -> normalisation by the batch -> [activation]; gives (out, mean, variance), the latter two
    without gradient."""

    @staticmethod
    def forward(
        ctx: Context,
        shape: UnitShape,
        x_NCHW: Tensor,
        gamma_C: Tensor,
        beta_C: Tensor,
        shift_C: Tensor,
        taps_9C: Tensor | None,
        *factors_GOI: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x_NCHW = channels_last(x_NCHW)
        threads = torch.get_num_threads()
        unit = _unit(shape, x_NCHW, taps_9C, factors_GOI)
        weights_io = [weight.transpose(1, 2).contiguous() for weight in factors_GOI]
        _set_weights(unit, weights_io, factors_GOI)
        channels = unit.out_channels
        y_NCHW = _empty(unit.images, channels, unit.out_height, unit.out_width)
        sums = torch.zeros(threads, 2, channels, dtype=torch.float64)
        if taps_9C is None and not factors_GOI:
            y_NCHW = x_NCHW
            kernels().norm_sums(at(y_NCHW), at(shift_C), at(sums), y_NCHW.numel() // channels, channels, threads)
        else:
            kernels().unit_forward(ctypes.byref(unit), at(x_NCHW), at(y_NCHW), at(shift_C), at(sums), threads)
        count = y_NCHW.numel() // channels
        first_C, second_C = sums.sum(0) / count
        mean_C = (shift_C.double() + first_C).float()
        variance_C = (second_C - first_C.square()).clamp_min(0.0).float()
        scale_C = gamma_C * (variance_C + shape.epsilon).rsqrt()
        offset_C = beta_C - mean_C * scale_C
        out_NCHW = torch.empty_like(y_NCHW)
        norm = Norm(scale=at(scale_C), offset=at(offset_C), shuffle=shape.shuffle, bound=shape.bound)
        kernels().norm_forward(ctypes.byref(norm), at(y_NCHW), at(out_NCHW), count, channels, threads)
        ctx.shape = shape
        ctx.save_for_backward(x_NCHW, y_NCHW, gamma_C, mean_C, variance_C, scale_C, offset_C, taps_9C, *factors_GOI)
        ctx.mark_non_differentiable(mean_C, variance_C)
        return out_NCHW, mean_C, variance_C

    @staticmethod
    def backward(ctx: Context, gradient_NCHW: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x_NCHW, y_NCHW, gamma_C, mean_C, variance_C, scale_C, offset_C, taps_9C, *factors_GOI = ctx.saved_tensors
        shape, threads, channels = ctx.shape, torch.get_num_threads(), len(gamma_C)
        gradient_NCHW = channels_last(gradient_NCHW)
        count = y_NCHW.numel() // channels
        sums = torch.zeros(threads, 2, channels, dtype=torch.float64)
        norm = Norm(scale=at(scale_C), offset=at(offset_C), mean=at(mean_C), shuffle=shape.shuffle, bound=shape.bound)
        pointer = ctypes.byref(norm)
        kernels().norm_backward_sums(pointer, at(gradient_NCHW), at(y_NCHW), at(sums), count, channels, threads)
        first_C, second_C = sums.sum(0)
        inverse_C = (variance_C.double() + shape.epsilon).rsqrt()
        gamma_gradient_C = second_C * inverse_C
        slope_C = -scale_C.double() * inverse_C * gamma_gradient_C / count
        level_C = -scale_C.double() * first_C / count - slope_C * mean_C
        slope_C, level_C = slope_C.float(), level_C.float()
        norm.slope, norm.level = at(slope_C), at(level_C)
        dx_NCHW = torch.empty_like(x_NCHW)
        gradients = (gamma_gradient_C.float(), first_C.float(), None)
        if taps_9C is None and not factors_GOI:
            kernels().norm_backward(pointer, at(gradient_NCHW), at(y_NCHW), at(dx_NCHW), count, channels, threads)
            return (None, dx_NCHW, *gradients, None)
        unit = _unit(shape, x_NCHW, taps_9C, factors_GOI)
        weights_io = [weight.transpose(1, 2).contiguous() for weight in factors_GOI]
        _set_weights(unit, weights_io, factors_GOI)
        taps_gradient = torch.zeros(threads, *taps_9C.shape) if taps_9C is not None else None
        unit.taps_gradient = at(taps_gradient)
        weight_gradients = [torch.zeros(threads, *weight.shape) for weight in weights_io]
        for index, weight_gradient in enumerate(weight_gradients):
            unit.weight_gradient[index] = at(weight_gradient)
        kernels().unit_backward(
            ctypes.byref(unit), pointer, at(gradient_NCHW), at(y_NCHW), at(x_NCHW), at(dx_NCHW), threads
        )
        return (
            None,
            dx_NCHW,
            *gradients,
            taps_gradient.sum(0) if taps_gradient is not None else None,
            *(gradient.sum(0).transpose(1, 2) for gradient in weight_gradients),
        )


def unit_in_training(
    shape: UnitShape,
    x_NCHW: Tensor,
    gamma_C: Tensor,
    beta_C: Tensor,
    shift_C: Tensor,
    taps_9C: Tensor | None,
    factors_GOI: Sequence[Tensor],
) -> tuple[Tensor, Tensor, Tensor, int]:
    """The unit's output, and mean, (biased) variance and count of what its normalisation saw.

    `shift_C` is any guess at the mean: the nearer, the exacter the variance.
    """
    for tensor in (x_NCHW, gamma_C, beta_C, shift_C, *factors_GOI, *(() if taps_9C is None else (taps_9C,))):
        assert tensor.dtype == torch.float32
        assert tensor.device.type == "cpu"
    assert all(tensor.is_contiguous() for tensor in (gamma_C, beta_C, shift_C, *factors_GOI))
    assert taps_9C is None or taps_9C.is_contiguous()
    out_NCHW, mean_C, variance_C = UnitFunction.apply(shape, x_NCHW, gamma_C, beta_C, shift_C, taps_9C, *factors_GOI)
    return out_NCHW, mean_C, variance_C, out_NCHW.numel() // len(gamma_C)


def _unit(shape: UnitShape, x_NCHW: Tensor, taps_9C: Tensor | None, factors_GOI: tuple[Tensor, ...]) -> Unit:
    images, channels, height, width = x_NCHW.shape
    unit = Unit(images=images, channels=channels, height=height, width=width, stride=shape.stride, taps=at(taps_9C))
    unit.out_height, unit.out_width = (height - 1) // shape.stride + 1, (width - 1) // shape.stride + 1
    unit.factors, unit.widest, unit.out_channels = len(factors_GOI), channels, channels
    for index, weight in enumerate(factors_GOI):
        unit.groups[index], unit.outputs[index], unit.inputs[index] = weight.shape
        unit.shuffle[index] = shape.shuffles[index]
        unit.out_channels = weight.shape[0] * weight.shape[1]
        unit.widest = max(unit.widest, unit.out_channels)
    return unit


def _set_weights(unit: Unit, weights_io: list[Tensor], weights_oi: tuple[Tensor, ...]) -> None:
    for index, (io, oi) in enumerate(zip(weights_io, weights_oi, strict=True)):
        unit.weight_io[index], unit.weight_oi[index] = at(io), at(oi)


def at(tensor: Tensor | None) -> int | None:
    """Where a tensor's numbers lie; the caller keeps the tensor alive."""
    return None if tensor is None else tensor.data_ptr()


def channels_last(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.contiguous(memory_format=torch.channels_last)


def _empty(images: int, channels: int, height: int, width: int) -> Tensor:
    return torch.empty((images, channels, height, width), memory_format=torch.channels_last)
