"""IGCV1: a spatial group convolution and a 1x1 group convolution, interleaved by a permutation and its inverse.

Source: "Interleaved Group Convolutions for Deep Neural Networks" (ICCV 2017), equation 6 and table 2. A block of width
C = L * M is the primary convolution, 3x3 with L partitions of M channels, and the secondary convolution, 1x1 with M
partitions of L channels that take one channel of every primary partition each. Normalisation and ReLU follow the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces import blocks
from search_spaces.blocks import Inner, check_divides
from search_spaces.networks import Domain, Family, Task
from search_spaces.plan import Conv, Norm, PlanBuilder, Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parameters of the whole network. inner: what stands between the two convolutions (the paper: nothing)."""

    stem_width: int = 48
    stem_stride: int = 1
    inner: Inner = "none"
    skip: bool = True

    def __post_init__(self) -> None:
        blocks.check_one_of("inner", self.inner, blocks.INNERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Parameters of a stage. partitions: L, of the primary convolution; the secondary one has M = width / L."""

    width: int = 48
    blocks: int = 2
    stride: int = 1
    partitions: int = 24


def _stem(builder: PlanBuilder, shared: Shared) -> None:
    blocks.stem(builder, shared.stem_width, shared.stem_stride)


def _stage(builder: PlanBuilder, shared: Shared, stage: Stage, number: int) -> None:
    check_divides(stage.partitions, builder.shape()[0], f"{builder.place}: L partitions of the width before the stage")
    check_divides(stage.partitions, stage.width, f"{builder.place}: L")
    strides = blocks.stage_strides(stage.blocks, stage.stride, builder.place)

    def block(stride: int) -> None:
        _append_block(builder, shared, stage, stride)

    def project(source: int, width: int, stride: int) -> None:
        builder.add(Conv(out_channels=width, stride=stride, groups=stage.partitions), source)

    if shared.skip:
        blocks.paired_blocks(builder, number, strides, block, project)
    else:
        blocks.plain_blocks(builder, number, strides, block)


def _head(builder: PlanBuilder, shared: Shared, task: Task) -> None:
    blocks.head(builder, task)


def _append_block(builder: PlanBuilder, shared: Shared, stage: Stage, stride: int) -> None:
    primary = Conv(out_channels=stage.width, kernel=3, stride=stride, groups=stage.partitions)
    secondary = Conv(out_channels=stage.width, groups=stage.width // stage.partitions)
    if shared.inner == "none":
        builder.add(Product(factors=(primary, secondary), shuffles=(primary.groups, secondary.groups)))
    else:
        builder.add(Product(factors=(primary,), shuffles=(primary.groups,)))
        blocks.inner(builder, shared.inner)
        builder.add(Product(factors=(secondary,), shuffles=(secondary.groups,)))
    builder.add(Norm())


IGCV1 = Family(
    name="igcv1",
    summary="a primary 3x3 and a secondary 1x1 group convolution, interleaved by permutations (ICCV 2017)",
    shared_type=Shared,
    stage_type=Stage,
    shared_domains=(
        Domain(name="stem_width", values=(24, 48)),
        Domain(name="inner", values=("none", "relu")),
        Domain(name="skip", values=(True, False)),
    ),
    stage_domains=tuple(
        (
            Domain(name="width", values=widths),
            Domain(name="blocks", values=(1, 2, 3, 4)),
            Domain(name="partitions", values=(4, 8, 12, 24)),
        )
        for widths in ((24, 48, 72), (48, 72, 96), (72, 96, 144, 192))
    ),
    default_stages=(
        Stage(width=48),
        Stage(width=96, stride=2),
        Stage(width=192, stride=2),
    ),
    stem=_stem,
    stage=_stage,
    head=_head,
)
