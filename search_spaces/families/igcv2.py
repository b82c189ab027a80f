"""IGCV2: a spatial layer followed by several group 1x1 convolutions, joined by permutations into one product.

Source: "Interleaved Structured Sparse Convolutional Neural Networks" (CVPR 2018), equation 1 and table 1. Every layer
is a group convolution with branches of K channels followed by the shuffle (group, k) -> (k, group): output r then reads
the K consecutive inputs (r K + j) mod C, and a product of such layers joins every pair of channels floor(P / C) or
ceil(P / C) times, P being the product of the branch sizes. The first block of a stage works at the width it is given;
its last layer makes the new width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from search_spaces import blocks
from search_spaces.blocks import Inner, check_divides, divisors
from search_spaces.networks import Domain, Family, Task
from search_spaces.plan import Conv, Norm, PlanBuilder, Product, Tile

Condition = Literal["strict", "covering", "any"]
CONDITIONS: tuple[Condition, ...] = ("strict", "covering", "any")
Spatial = Literal["channelwise", "grouped"]
SPATIALS: tuple[Spatial, ...] = ("channelwise", "grouped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parameters of the whole network.

    condition: `strict`, exactly one path for every pair of channels: the product of the branch sizes is the width;
    `covering`, one branch size K and at least one path; `any`, K and the number of factors as given, unchecked.
    spatial: the 3x3 layer is channel-wise or has branches of `spatial_k` channels. inner: what stands behind it.
    """

    stem_width: int = 32
    stem_stride: int = 1
    condition: Condition = "covering"
    spatial: Spatial = "channelwise"
    spatial_k: int = 2
    inner: Inner = "none"
    skip: bool = True

    def __post_init__(self) -> None:
        blocks.check_one_of("condition", self.condition, CONDITIONS)
        blocks.check_one_of("spatial", self.spatial, SPATIALS)
        blocks.check_one_of("inner", self.inner, blocks.INNERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Parameters of a stage.

    k: channels of a branch of the 1x1 layers. factors: the number of these layers; 0: the least that joins every pair
    (`covering`), or as many as let their branch sizes stay nearest to k (`strict`).
    """

    width: int = 64
    blocks: int = 2
    stride: int = 1
    k: int = 8
    factors: int = 0


def _stem(builder: PlanBuilder, shared: Shared) -> None:
    blocks.stem(builder, shared.stem_width, shared.stem_stride)


def _stage(builder: PlanBuilder, shared: Shared, stage: Stage, number: int) -> None:
    _check(shared, stage, builder.place)
    strides = blocks.stage_strides(stage.blocks, stage.stride, builder.place)

    def block(stride: int) -> None:
        _append_block(builder, shared, stage, stride)

    def project(source: int, width: int, stride: int) -> None:
        _append_projection(builder, source, width, stride)

    if shared.skip:
        blocks.paired_blocks(builder, number, strides, block, project)
    else:
        blocks.plain_blocks(builder, number, strides, block)


def _head(builder: PlanBuilder, shared: Shared, task: Task) -> None:
    blocks.head(builder, task)


def _check(shared: Shared, stage: Stage, place: str) -> None:
    if stage.k < 2:
        raise ValueError(f"{place}: K={stage.k} joins no channels; a branch has at least 2")
    if stage.k > stage.width:
        raise ValueError(f"{place}: K={stage.k} is larger than the width {stage.width}")
    if shared.condition != "strict":
        check_divides(stage.k, stage.width, f"{place}: K")


def _append_block(builder: PlanBuilder, shared: Shared, stage: Stage, stride: int) -> None:
    """Spatial layer and 1x1 layers as one product, or as two with `inner` between them; then the normalisation."""
    channels = builder.shape()[0]
    spatial_k = shared.spatial_k if shared.spatial == "grouped" else 1
    check_divides(spatial_k, channels, f"{builder.place}: spatial_k")
    groups = channels // spatial_k
    spatial = (Conv(out_channels=channels, kernel=3, stride=stride, groups=groups),)
    spatial_shuffle = (groups if spatial_k > 1 else 1,)
    sizes = branch_sizes(shared.condition, stage, channels, spatial_k, builder.place)
    pointwise = _pointwise(channels, stage.width, sizes)
    shuffles = tuple(factor.groups for factor in pointwise)
    if shared.inner == "none":
        builder.add(Product(factors=spatial + pointwise, shuffles=spatial_shuffle + shuffles))
    else:
        builder.add(Product(factors=spatial, shuffles=spatial_shuffle) if spatial_k > 1 else spatial[0])
        blocks.inner(builder, shared.inner)
        builder.add(Product(factors=pointwise, shuffles=shuffles))
    builder.add(Norm())


def _pointwise(channels: int, width: int, sizes: tuple[int, ...]) -> tuple[Conv, ...]:
    outputs = (channels,) * (len(sizes) - 1) + (width,)
    return tuple(Conv(out_channels=out, groups=channels // size) for out, size in zip(outputs, sizes, strict=True))


def branch_sizes(condition: Condition, stage: Stage, channels: int, spatial_k: int, place: str) -> tuple[int, ...]:
    """The branch size of each 1x1 layer of a block that is given `channels` channels, first to last.

    ValueError with the arithmetic where the condition cannot be met.
    """
    if condition == "strict":
        return _strict_sizes(channels // spatial_k, channels, stage, place)
    least = least_factors(channels, stage.k, spatial_k)
    count = stage.factors or least
    if condition == "covering" and count < least:
        raise ValueError(
            f"{place}: {count} factors of K={stage.k} join a channel with at most "
            f"{spatial_k * stage.k**count} of {channels}; {least} factors are needed"
        )
    inner_size = _size_from(divisors(channels), stage.k)
    last_size = channels // max(
        groups for groups in divisors(math.gcd(channels, stage.width)) if groups <= channels // inner_size
    )
    return (inner_size,) * (count - 1) + (last_size,)


def least_factors(channels: int, k: int, spatial_k: int = 1) -> int:
    """The least number of 1x1 layers of branch size k that joins every pair: ceil(log_k(channels / spatial_k)) >= 1."""
    count = 1
    while spatial_k * k**count < channels:
        count += 1
    return count


def _size_from(sizes: list[int], k: int) -> int:
    """The least size that is at least k, or the largest there is: what a width from the stage before allows."""
    return next((size for size in sizes if size >= k), sizes[-1])


def _strict_sizes(product: int, channels: int, stage: Stage, place: str) -> tuple[int, ...]:
    """Sizes between K/2 and 2K with the given product: those nearest to K by their largest ratio, then the fewest.

    They stand in ascending order but for the last, the largest whose groups also divide the new width.
    """
    low, high = max(2, -(-stage.k // 2)), 2 * stage.k
    ways = [sizes for sizes in _factorisations(product, low, high) if stage.factors in (0, len(sizes))]
    for sizes in sorted(ways, key=lambda sizes: (_ratio(sizes, stage.k), len(sizes), sizes)):
        lasts = [size for size in sizes if stage.width % (channels // size) == 0]
        if lasts:
            place_of_last = len(sizes) - 1 - sizes[::-1].index(lasts[-1])
            return (*sizes[:place_of_last], *sizes[place_of_last + 1 :], lasts[-1])
    raise ValueError(
        f"{place}: strict asks for {stage.factors or 'some'} branch sizes between {low} and {high} (K={stage.k}) with "
        f"the product {product} = {_primes(product)}, the last making {stage.width} of {channels} channels; "
        "there are none"
    )


def _factorisations(product: int, low: int, high: int) -> Iterator[tuple[int, ...]]:
    """Every non-decreasing way to write `product` with factors from low (2 or more) to high."""
    for factor in divisors(product):
        if not low <= factor <= high:
            continue
        if factor == product:
            yield (factor,)
        else:
            yield from ((factor, *rest) for rest in _factorisations(product // factor, factor, high))


def _ratio(sizes: tuple[int, ...], k: int) -> float:
    return max(max(size / k, k / size) for size in sizes)


def _primes(number: int) -> str:
    primes: list[int] = []
    while number > 1:
        primes.append(divisors(number)[1])
        number //= primes[-1]
    return " * ".join(map(str, primes)) or "1"


def _append_projection(builder: PlanBuilder, source: int, width: int, stride: int) -> None:
    """The shortcut's 1x1 convolution, two inputs for each output: output r reads the inputs (2 r + j) mod C.

    Its 2 * width weights are a fit that reproduces the published parameters of tables 3, 4 and 6.
    """
    channels = builder.shape(source)[0]
    groups = max(1, channels // 2)
    if channels % 2 == 0 and width % groups == 0:
        builder.add(Conv(out_channels=width, stride=stride, groups=groups), source)
    else:
        builder.add(Tile(channels=width * max(2, -(-channels // width))), source)
        builder.add(Conv(out_channels=width, stride=stride, groups=width))


IGCV2 = Family(
    name="igcv2",
    summary="products of structured sparse kernels: a spatial layer and several group 1x1 layers (CVPR 2018)",
    shared_type=Shared,
    stage_type=Stage,
    shared_domains=(
        Domain(name="stem_width", values=(16, 32)),
        Domain(name="spatial", values=("channelwise", "grouped")),
        Domain(name="spatial_k", values=(2, 4), when=("spatial", ("grouped",))),
        Domain(name="inner", values=("none", "relu")),
        Domain(name="skip", values=(True, False)),
    ),
    stage_domains=tuple(
        (
            Domain(name="width", values=widths),
            Domain(name="blocks", values=(1, 2, 3, 4)),
            Domain(name="k", values=(4, 8, 16)),
        )
        for widths in ((16, 32, 48, 64), (32, 64, 96, 128), (64, 128, 192, 256))
    ),
    default_stages=(
        Stage(width=64, k=8),
        Stage(width=128, k=16, stride=2),
        Stage(width=256, k=16, stride=2),
    ),
    stem=_stem,
    stage=_stage,
    head=_head,
)
