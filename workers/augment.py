"""Random crops and flips of a whole batch as tensor operations, drawn from (seed, epoch) and nothing else.

Shapes: N images of an epoch, B of a batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from workers.data.dataset import Part


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpochDraw:
    """One epoch's order of the images, and each one's crop offset and flip."""

    order_N: Tensor
    rows_N: Tensor
    columns_N: Tensor
    flips_N: Tensor

    def to(self, device: torch.device) -> EpochDraw:
        return EpochDraw(
            order_N=self.order_N.to(device),
            rows_N=self.rows_N.to(device),
            columns_N=self.columns_N.to(device),
            flips_N=self.flips_N.to(device),
        )


def draw_epoch(count: int, *, seed: int, epoch: int, crop_padding: int, flip: bool) -> EpochDraw:
    """The draw of one epoch (from 1): the same on every device, and the same whether resumed or not."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    offsets = 2 * crop_padding + 1
    return EpochDraw(
        order_N=torch.randperm(count, generator=generator),
        rows_N=torch.randint(offsets, (count,), generator=generator),
        columns_N=torch.randint(offsets, (count,), generator=generator),
        flips_N=torch.rand(count, generator=generator) < (0.5 if flip else 0.0),
    )


def batches(part: Part, draw: EpochDraw, *, batch_size: int, crop_padding: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented uint8 images with their labels; the last incomplete batch is dropped unless it is the only one."""
    size = min(batch_size, len(part))
    for start in range(0, len(part) - size + 1, size):
        chosen = slice(start, start + size)
        index_B = draw.order_N[chosen]
        images = part.images_NCHW[index_B]
        if crop_padding:
            images = cropped(images, draw.rows_N[chosen], draw.columns_N[chosen], crop_padding)
        yield flipped(images, draw.flips_N[chosen]), part.labels_N[index_B]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """How many batches `batches` makes."""
    return count // min(batch_size, count)


def cropped(x_BCHW: Tensor, rows_B: Tensor, columns_B: Tensor, padding: int) -> Tensor:
    """Each image padded with black and cut to its own size at its own offset (0 .. 2 * padding)."""
    height, width = x_BCHW.shape[2:]
    padded = functional.pad(x_BCHW, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # B C rows columns H W, a view
    batch = torch.arange(len(x_BCHW), device=x_BCHW.device)
    return windows[batch, :, rows_B, columns_B]


def flipped(x_BCHW: Tensor, flips_B: Tensor) -> Tensor:
    """The chosen images mirrored left to right."""
    return torch.where(flips_B[:, None, None, None], x_BCHW.flip(3), x_BCHW)
