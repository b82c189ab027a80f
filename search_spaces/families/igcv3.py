"""IGCV3: inverted residual blocks whose two 1x1 convolutions are group convolutions joined by permutations.

Source: "IGCV3: Interleaved Low-Rank Group Convolutions" (BMVC 2018), figure 2, and the published symbol files. A block
is group 1x1 (G1, to `expansion` times the width), shuffle, channel-wise 3x3, group 1x1 (G2), shuffle; normalisation
behind each convolution, ReLU6 only behind the channel-wise one, the identity added where the shape allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from search_spaces import blocks
from search_spaces.blocks import check_divides, conv_norm
from search_spaces.networks import Domain, Family, Task
from search_spaces.plan import Add, Conv, PlanBuilder, Shuffle

Permutations = Literal["both", "first", "none"]
PERMUTATIONS: tuple[Permutations, ...] = ("both", "first", "none")
Activations = Literal["middle", "both"]
ACTIVATIONS: tuple[Activations, ...] = ("middle", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parameters of the whole network.

    permutations: behind both group convolutions, behind the first only (as the released code has it), or nowhere.
    activations: ReLU6 in the middle of a block only (the paper's choice) or behind the expansion too.
    head_width: a 1x1 convolution before the mean, scaled by multipliers above 1 only; 0 for none.
    """

    stem_width: int = 16
    stem_stride: int = 1
    head_width: int = 128
    g1: int = 2
    g2: int = 2
    permutations: Permutations = "both"
    activations: Activations = "middle"
    skip: bool = True
    width_multiplier: float = 1.0

    def __post_init__(self) -> None:
        blocks.check_one_of("permutations", self.permutations, PERMUTATIONS)
        blocks.check_one_of("activations", self.activations, ACTIVATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Parameters of a stage: (c, n, s, t) of the MobileNetV2 table."""

    width: int = 24
    blocks: int = 2
    stride: int = 1
    expansion: int = 6


def _stem(builder: PlanBuilder, shared: Shared) -> None:
    blocks.stem(builder, _scaled(shared.stem_width, shared), shared.stem_stride, "relu6")


def _stage(builder: PlanBuilder, shared: Shared, stage: Stage, number: int) -> None:
    for index, stride in enumerate(blocks.stage_strides(stage.blocks, stage.stride, builder.place), 1):
        builder.place = f"stage{number}/block{index}"
        _append_block(builder, shared, stage.expansion, _scaled(stage.width, shared), stride)


def _head(builder: PlanBuilder, shared: Shared, task: Task) -> None:
    blocks.wide_head(builder, task, int(shared.head_width * max(1.0, shared.width_multiplier)))


def _append_block(builder: PlanBuilder, shared: Shared, expansion: int, width: int, stride: int) -> None:
    entry, channels = builder.last, builder.shape()[0]
    expanded = expansion * channels
    check_divides(shared.g1, channels, f"{builder.place}: G1")
    check_divides(shared.g2, expanded, f"{builder.place}: G2 on the expanded width")
    check_divides(shared.g2, width, f"{builder.place}: G2")
    both = shared.activations == "both"
    conv_norm(builder, Conv(out_channels=expanded, groups=shared.g1), "relu6" if both else None)
    if shared.permutations != "none":
        builder.add(Shuffle(groups=shared.g1))
    conv_norm(builder, Conv(out_channels=expanded, kernel=3, stride=stride, groups=expanded), "relu6")
    conv_norm(builder, Conv(out_channels=width, groups=shared.g2), None)
    if shared.permutations == "both":
        builder.add(Shuffle(groups=width // shared.g2))
    if shared.skip and builder.shape() == builder.shape(entry):
        builder.add(Add(), builder.last, entry)


def _scaled(width: int, shared: Shared) -> int:
    """The width times the multiplier, cut off and then raised to a multiple of 2, G1 and G2.

    The rule of the released networks at 0.25, 0.5, 0.7, 0.75 and 1.4 (with G1 = G2 = 2). A width that is not scaled is
    taken as it is.
    """
    if shared.width_multiplier == 1:
        return width
    multiple = math.lcm(2, shared.g1, shared.g2)
    return -(-int(width * shared.width_multiplier) // multiple) * multiple


IGCV3 = Family(
    name="igcv3",
    summary="inverted residual blocks of two interleaved group 1x1 convolutions around a channel-wise 3x3 (BMVC 2018)",
    shared_type=Shared,
    stage_type=Stage,
    shared_domains=(
        Domain(name="g1", values=(2, 4)),
        Domain(name="g2", values=(2, 4)),
        Domain(name="permutations", values=("both", "first")),
        Domain(name="activations", values=("middle", "both")),
        Domain(name="skip", values=(True, False)),
    ),
    stage_domains=tuple(
        (
            Domain(name="width", values=widths),
            Domain(name="blocks", values=(1, 2, 3, 4)),
            Domain(name="expansion", values=(2, 4, 6)),
        )
        for widths in ((16, 24, 32), (24, 32, 48), (48, 64, 96))
    ),
    default_stages=(
        Stage(width=24, expansion=4),
        Stage(width=32, stride=2),
        Stage(width=64, stride=2),
    ),
    stem=_stem,
    stage=_stage,
    head=_head,
)
