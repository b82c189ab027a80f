"""How an interleaved product is executed: several mathematically equal forms over the same factor parameters.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

GROUPED = "grouped"  # group convolutions one after another, with a copy for each shuffle
FORMS = (GROUPED,)


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
        return grouped(self, x_NCHW)


def grouped(layer: ProductLayer, x_NCHW: Tensor) -> Tensor:
    """Factor after factor, as the plan counts it."""
    for factor, groups in zip(layer.factors, layer.shuffles, strict=True):
        x_NCHW = shuffle(factor(x_NCHW), groups)
    return x_NCHW


def shuffle(x_NCHW: Tensor, groups: int) -> Tensor:
    """Channels read as (groups, C / groups) and transposed; 1 group (or C) moves nothing."""
    count, channels, height, width = x_NCHW.shape
    if groups in (1, channels):
        return x_NCHW
    parts = x_NCHW.reshape(count, groups, channels // groups, height, width)
    return parts.transpose(1, 2).reshape(count, channels, height, width)
