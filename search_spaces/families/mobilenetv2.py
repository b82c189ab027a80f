"""MobileNetV2: inverted residual blocks with linear bottlenecks.

Source: "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (CVPR 2018), tables 1 and 2; widths are rounded and the
first expansion is left out as torchvision does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from search_spaces import blocks
from search_spaces.blocks import conv_norm
from search_spaces.networks import Domain, Family, Task
from search_spaces.plan import Add, Conv, PlanBuilder

Activations = Literal["both", "middle"]
ACTIVATIONS: tuple[Activations, ...] = ("both", "middle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parameters of the whole network.

    activations: ReLU6 behind the expansion and the channel-wise convolution, or (`middle`) behind the latter only.
    head_width: a 1x1 convolution before the mean, scaled by multipliers above 1 only; 0 for none.
    """

    stem_width: int = 16
    stem_stride: int = 1
    head_width: int = 128
    activations: Activations = "both"
    skip: bool = True
    width_multiplier: float = 1.0

    def __post_init__(self) -> None:
        blocks.check_one_of("activations", self.activations, ACTIVATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Parameters of a stage: (c, n, s, t) of the paper's table 2; an expansion of 1 has no expanding convolution."""

    width: int = 24
    blocks: int = 2
    stride: int = 1
    expansion: int = 6


def _stem(builder: PlanBuilder, shared: Shared) -> None:
    blocks.stem(builder, _scaled(shared.stem_width, shared.width_multiplier), shared.stem_stride, "relu6")


def _stage(builder: PlanBuilder, shared: Shared, stage: Stage, number: int) -> None:
    width = _scaled(stage.width, shared.width_multiplier)
    for index, stride in enumerate(blocks.stage_strides(stage.blocks, stage.stride, builder.place), 1):
        builder.place = f"stage{number}/block{index}"
        _append_block(builder, shared, stage.expansion, width, stride)


def _head(builder: PlanBuilder, shared: Shared, task: Task) -> None:
    width = _scaled(shared.head_width, max(1.0, shared.width_multiplier)) if shared.head_width else 0
    blocks.wide_head(builder, task, width)


def _append_block(builder: PlanBuilder, shared: Shared, expansion: int, width: int, stride: int) -> None:
    entry, expanded = builder.last, expansion * builder.shape()[0]
    if expansion != 1:
        conv_norm(builder, Conv(out_channels=expanded), "relu6" if shared.activations == "both" else None)
    conv_norm(builder, Conv(out_channels=expanded, kernel=3, stride=stride, groups=expanded), "relu6")
    conv_norm(builder, Conv(out_channels=width), None)
    if shared.skip and builder.shape() == builder.shape(entry):
        builder.add(Add(), builder.last, entry)


def _scaled(width: int, multiplier: float) -> int:
    """The nearest multiple of 8 that is at least 90 % of the scaled width (torchvision's rule)."""
    if multiplier == 1:
        return width
    rounded = max(8, int(width * multiplier + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width * multiplier else rounded


MOBILENETV2 = Family(
    name="mobilenetv2",
    summary="inverted residual blocks with linear bottlenecks (CVPR 2018)",
    shared_type=Shared,
    stage_type=Stage,
    shared_domains=(
        Domain(name="width_multiplier", values=(0.5, 0.75, 1.0, 1.5)),
        Domain(name="activations", values=("both", "middle")),
        Domain(name="skip", values=(True, False)),
    ),
    stage_domains=tuple(
        (
            Domain(name="width", values=widths),
            Domain(name="blocks", values=(1, 2, 3, 4)),
            Domain(name="expansion", values=(2, 4, 6)),
        )
        for widths in ((16,), (32,), (64,))
    ),
    default_stages=(
        Stage(width=16),
        Stage(width=32, stride=2),
        Stage(width=64, stride=2),
    ),
    stem=_stem,
    stage=_stage,
    head=_head,
)
