"""Xception-style: a channel-wise 3x3 and a dense 1x1 convolution with nothing between, as the IGC papers compare it.

Source: "Interleaved Structured Sparse Convolutional Neural Networks" (CVPR 2018), table 1, column Xception: blocks of
one channel-wise and one 1x1 convolution, a skip connection around every two of them. A shortcut is a dense 1x1
convolution; one that only widens, at stride 1, repeats its channels and has no weights (a fit to table 3 of the paper).
"""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces import blocks
from search_spaces.blocks import Inner
from search_spaces.networks import Domain, Family, Task
from search_spaces.plan import Conv, Norm, PlanBuilder, Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parameters of the whole network. inner: what stands between a block's two convolutions."""

    stem_width: int = 32
    stem_stride: int = 1
    inner: Inner = "none"
    skip: bool = True

    def __post_init__(self) -> None:
        blocks.check_one_of("inner", self.inner, blocks.INNERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Parameters of a stage."""

    width: int = 32
    blocks: int = 2
    stride: int = 1


def _stem(builder: PlanBuilder, shared: Shared) -> None:
    blocks.stem(builder, shared.stem_width, shared.stem_stride)


def _stage(builder: PlanBuilder, shared: Shared, stage: Stage, number: int) -> None:
    strides = blocks.stage_strides(stage.blocks, stage.stride, builder.place)

    def block(stride: int) -> None:
        blocks.separable(builder, stage.width, stride, shared.inner)
        builder.add(Norm())

    def project(source: int, width: int, stride: int) -> None:
        widens = stride == 1 and width > builder.shape(source)[0]
        builder.add(Tile(channels=width) if widens else Conv(out_channels=width, stride=stride), source)

    if shared.skip:
        blocks.paired_blocks(builder, number, strides, block, project)
    else:
        blocks.plain_blocks(builder, number, strides, block)


def _head(builder: PlanBuilder, shared: Shared, task: Task) -> None:
    blocks.head(builder, task)


XCEPTION = Family(
    name="xception",
    summary="channel-wise 3x3 and dense 1x1 convolutions with skip connections (table 1 of the IGCV2 paper)",
    shared_type=Shared,
    stage_type=Stage,
    shared_domains=(
        Domain(name="stem_width", values=(16, 32)),
        Domain(name="inner", values=("none", "relu")),
        Domain(name="skip", values=(True, False)),
    ),
    stage_domains=tuple(
        (Domain(name="width", values=widths), Domain(name="blocks", values=(1, 2, 3, 4)))
        for widths in ((16, 24, 32, 48), (32, 48, 64, 96), (48, 64, 96, 128, 192))
    ),
    default_stages=(
        Stage(width=32),
        Stage(width=64, stride=2),
        Stage(width=128, stride=2),
    ),
    stem=_stem,
    stage=_stage,
    head=_head,
)
