"""A unit on the native kernels while it is trained; with its normalisation folded in while it is scored.

Shapes: N images, C channels, H height, W width; 9C taps of a channel-wise convolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.forms import ProductLayer, ShuffleLayer, composed, leading, shuffle
from workers.native.unit import UnitShape, unit_in_training


class FusedUnit:
    """The layers of a unit (see workers.units) as one call. It owns no parameters: the network's nodes do."""

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = layers
        self.spatial = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
        self.product = next((layer for layer in layers if isinstance(layer, ProductLayer)), None)
        self.norm = next(layer for layer in layers if isinstance(layer, nn.BatchNorm2d))
        self.activation = next((layer for layer in layers if isinstance(layer, nn.ReLU | nn.ReLU6)), None)
        self.shuffle = next((layer.groups for layer in layers if isinstance(layer, ShuffleLayer)), 1)

    def __call__(self, x_NCHW: Tensor) -> Tensor:
        if not self.norm.training:
            return self._scored(x_NCHW)
        if x_NCHW.device.type != "cpu" or x_NCHW.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            for layer in self.layers:
                x_NCHW = layer(x_NCHW)
            return x_NCHW
        return self._trained(x_NCHW)

    def _trained(self, x_NCHW: Tensor) -> Tensor:
        spatial, factors, shuffles = self._linear_parts()
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        shape = UnitShape(
            stride=spatial.stride[0] if spatial is not None else 1,
            shuffles=shuffles,
            epsilon=norm.eps,
            bound=self._bound(),
            shuffle=self.shuffle,
        )
        taps_9C = None if spatial is None else spatial.weight.reshape(-1, 9).t().contiguous()
        weights_GOI = [factor.weight.reshape(factor.groups, -1, factor.weight.shape[1]) for factor in factors]
        out_NCHW, mean_C, variance_C, count = unit_in_training(
            shape, x_NCHW, norm.weight, norm.bias, norm.running_mean, taps_9C, weights_GOI
        )
        _follow(norm, mean_C, variance_C, count)
        return out_NCHW

    def _linear_parts(self) -> tuple[nn.Conv2d | None, list[nn.Conv2d], tuple[int, ...]]:
        """The channel-wise convolution, and the 1x1 factors with their shuffles."""
        if self.product is None:
            return self.spatial, [], ()
        factors = [factor for factor in self.product.factors if isinstance(factor, nn.Conv2d)]
        count = leading(factors)
        spatial = factors[0] if count else self.spatial
        return spatial, factors[count:], self.product.shuffles[count:]

    def _bound(self) -> float:
        if self.activation is None:
            return 0.0
        return 6.0 if isinstance(self.activation, nn.ReLU6) else math.inf

    def _scored(self, x_NCHW: Tensor) -> Tensor:
        """The unit with the running statistics: folded into its last convolution where there is one."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale_C = norm.weight * (norm.running_var + norm.eps).rsqrt()
        offset_C = norm.bias - norm.running_mean * scale_C
        spatial, factors, _ = self._linear_parts()
        if factors:
            assert self.product is not None
            x_NCHW = composed(self.product, self.spatial(x_NCHW) if self.spatial else x_NCHW, scale_C, offset_C)
        elif spatial is not None:
            x_NCHW = _scaled_spatial(spatial, x_NCHW, scale_C, offset_C)
        else:
            x_NCHW = norm(x_NCHW)
        return shuffle(x_NCHW if self.activation is None else self.activation(x_NCHW), self.shuffle)


def _scaled_spatial(conv: nn.Conv2d, x_NCHW: Tensor, scale_C: Tensor, offset_C: Tensor) -> Tensor:
    weight = conv.weight * scale_C[:, None, None, None]
    return functional.conv2d(x_NCHW, weight, offset_C, conv.stride, conv.padding, 1, conv.groups)


@torch.no_grad()
def _follow(norm: nn.BatchNorm2d, mean_C: Tensor, variance_C: Tensor, count: int) -> None:
    """The running statistics take their step, as BatchNorm2d does it (unbiased variance)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean_C, norm.momentum)
    norm.running_var.lerp_(variance_C * (count / max(count - 1, 1)), norm.momentum)
