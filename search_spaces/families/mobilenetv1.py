"""MobileNetV1: channel-wise 3x3 and dense 1x1 convolutions, each with its own normalisation and ReLU, no skips.

Source: "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications" (2017), table 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces import blocks
from search_spaces.blocks import Inner
from search_spaces.networks import Domain, Family, Task
from search_spaces.plan import Add, PlanBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parameters of the whole network.

    inner: what stands between a block's two convolutions. skip: the identity around a block that keeps the shape.
    """

    stem_width: int = 32
    stem_stride: int = 1
    inner: Inner = "relu"
    skip: bool = False
    width_multiplier: float = 1.0

    def __post_init__(self) -> None:
        blocks.check_one_of("inner", self.inner, blocks.INNERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Parameters of a stage."""

    width: int = 64
    blocks: int = 2
    stride: int = 1


def _stem(builder: PlanBuilder, shared: Shared) -> None:
    blocks.stem(builder, _scaled(shared.stem_width, shared), shared.stem_stride)


def _stage(builder: PlanBuilder, shared: Shared, stage: Stage, number: int) -> None:
    width = _scaled(stage.width, shared)
    for index, stride in enumerate(blocks.stage_strides(stage.blocks, stage.stride, builder.place), 1):
        builder.place = f"stage{number}/block{index}"
        entry = builder.last
        blocks.separable(builder, width, stride, shared.inner)
        blocks.norm(builder)
        if shared.skip and builder.shape() == builder.shape(entry):
            builder.add(Add(), builder.last, entry)


def _head(builder: PlanBuilder, shared: Shared, task: Task) -> None:
    blocks.head(builder, task)


def _scaled(width: int, shared: Shared) -> int:
    """The width times the multiplier, cut off; at least 8 where it is scaled (the published code's rule)."""
    return width if shared.width_multiplier == 1 else max(8, int(width * shared.width_multiplier))


MOBILENETV1 = Family(
    name="mobilenetv1",
    summary="channel-wise 3x3 and dense 1x1 convolutions with a width multiplier (2017)",
    shared_type=Shared,
    stage_type=Stage,
    shared_domains=(
        Domain(name="width_multiplier", values=(0.25, 0.375, 0.5, 0.75, 1.0)),
        Domain(name="inner", values=("relu", "norm")),
        Domain(name="skip", values=(False, True)),
    ),
    stage_domains=tuple(
        (Domain(name="width", values=widths), Domain(name="blocks", values=(1, 2, 3, 4, 6)))
        for widths in ((64,), (128,), (256,))
    ),
    default_stages=(
        Stage(width=64),
        Stage(width=128, stride=2),
        Stage(width=256, stride=2),
    ),
    stem=_stem,
    stage=_stage,
    head=_head,
)
