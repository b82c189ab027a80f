"""Pieces that several families share: stem, head, residual connections, channel counts that fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from search_spaces.networks import Task
from search_spaces.plan import Activation, Add, Conv, Linear, Norm, PlanBuilder, Pool, Product

Function = Literal["relu", "relu6"]
Inner = Literal["none", "norm", "relu"]
INNERS: tuple[Inner, ...] = ("none", "norm", "relu")
Append = Callable[[int], None]
Project = Callable[[int, int, int], None]


def conv_norm(builder: PlanBuilder, conv: Conv, function: Function | None = "relu") -> None:
    """A convolution, its normalisation and, unless `function` is None, an activation."""
    builder.add(conv)
    norm(builder, function)


def norm(builder: PlanBuilder, function: Function | None = "relu") -> None:
    """Normalisation and, unless `function` is None, an activation."""
    builder.add(Norm())
    if function is not None:
        builder.add(Activation(function=function))


def inner(builder: PlanBuilder, kind: Inner) -> None:
    """What stands between a block's spatial and pointwise part: nothing, a normalisation, or that and a ReLU."""
    if kind != "none":
        norm(builder, "relu" if kind == "relu" else None)


def stem(builder: PlanBuilder, width: int, stride: int, function: Function = "relu") -> None:
    """The first layer: a dense 3x3 convolution from the image to `width` channels."""
    conv_norm(builder, Conv(out_channels=width, kernel=3, stride=stride), function)


def separable(builder: PlanBuilder, width: int, stride: int, between: Inner) -> None:
    """A channel-wise 3x3 and a dense 1x1 convolution: one product where nothing stands between them."""
    channels = builder.shape()[0]
    spatial = Conv(out_channels=channels, kernel=3, stride=stride, groups=channels)
    pointwise = Conv(out_channels=width)
    if between == "none":
        builder.add(Product(factors=(spatial, pointwise), shuffles=(1, 1)))
    else:
        builder.add(spatial)
        inner(builder, between)
        builder.add(pointwise)


def wide_head(builder: PlanBuilder, task: Task, width: int) -> None:
    """The head of MobileNetV2 and IGCV3: a 1x1 convolution to `width` channels (none for 0), then the common head."""
    if width:
        conv_norm(builder, Conv(out_channels=width), "relu6")
    head(builder, task)


def head(builder: PlanBuilder, task: Task) -> None:
    """The last layers: the mean over the map and a fully connected layer with bias."""
    builder.add(Pool())
    builder.add(Linear(out_features=task.classes))


def plain_blocks(builder: PlanBuilder, number: int, strides: tuple[int, ...], block: Append) -> None:
    """Blocks one after the other, each followed by ReLU. `block(stride)` appends one up to its normalisation."""
    for index, stride in enumerate(strides, 1):
        builder.place = f"stage{number}/block{index}"
        block(stride)
        builder.add(Activation())


def paired_blocks(builder: PlanBuilder, number: int, strides: tuple[int, ...], block: Append, project: Project) -> None:
    """Blocks with a skip connection around every two; an odd last block has one of its own.

    The second block of a pair ends in its normalisation, the ReLU follows the sum (IGCV1 section 5, IGCV2 table 1).
    Where the shape changes, `project(source, out_channels, stride)` appends the shortcut's convolution.
    """
    for first in range(0, len(strides), 2):
        entry, pair = builder.last, strides[first : first + 2]
        for offset, stride in enumerate(pair):
            builder.place = f"stage{number}/block{first + offset + 1}"
            block(stride)
            if offset + 1 < len(pair):
                builder.add(Activation())
        _join(builder, entry, math.prod(pair), project)


def _join(builder: PlanBuilder, entry: int, stride: int, project: Project) -> None:
    """Adds the tensor of node `entry` to the last one and applies ReLU."""
    main, place = builder.last, builder.place
    if builder.shape(entry) != builder.shape(main):
        builder.place = f"{place}/shortcut"
        project(entry, builder.shape(main)[0], stride)
        builder.add(Norm())
        entry = builder.last
        builder.place = place
    builder.add(Add(), main, entry)
    builder.add(Activation())


def stage_strides(blocks: int, stride: int, place: str) -> tuple[int, ...]:
    """The stride of each block of a stage: the first takes the stage's."""
    if blocks < 1:
        raise ValueError(f"{place}: a stage has at least one block, given {blocks}")
    return (stride,) + (1,) * (blocks - 1)


def check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """ValueError that lists the known values where `value` is none of them."""
    if value not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}; given {value!r}")


def check_divides(divisor: int, channels: int, what: str) -> None:
    """ValueError with the remainder where `channels` is no multiple of `divisor`."""
    if not 1 <= divisor <= channels:
        raise ValueError(f"{what}: {divisor} is not between 1 and the {channels} channels")
    if channels % divisor:
        raise ValueError(f"{what}: {divisor} does not divide {channels} channels (remainder {channels % divisor})")


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    low = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return sorted({*low, *(number // divisor for divisor in low)})
