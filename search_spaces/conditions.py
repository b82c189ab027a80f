"""The structural conditions of interleaved group convolutions, read off a plan.

A path leads from an input channel of a block to an output channel through one channel of every layer between. The main
path of a block counts; normalisation and activations let channels pass, so do channel-wise convolutions.
Sources: IGCV2 section 3.2 (strict complementary and balance conditions), IGCV3 section 3 (loose condition).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from search_spaces.plan import Conv, Plan, Product, Shuffle, Tile

Step = Conv | Shuffle | Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockCondition:
    """What holds between the input and the output channels of one block.

    branches: input channels of a branch of each layer that mixes channels. density: the share of joined pairs.
    strict: exactly one path for every pair. loose: see `is_loose`. factors: the number of convolutions L;
    optimum_factors: ln(S C); balance_ratio: weights to the minimum C L (S C)^(1/L), None where the width changes.
    """

    place: str
    in_channels: int
    out_channels: int
    branches: tuple[int, ...]
    least_paths: int
    most_paths: int
    density: float
    strict: bool
    loose: bool
    factors: int
    optimum_factors: float
    balance_ratio: float | None
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCondition:
    """The conditions of a stage: strict, loose and density over all blocks, the rest from its last block.

    The last block works at the stage's own width; the first may be given another. explanation: empty where all are
    strict, otherwise what fails and where.
    """

    stage: str
    least_paths: int
    most_paths: int
    strict: bool
    loose: bool
    density: float
    factors: int
    optimum_factors: float
    balance_ratio: float | None
    explanation: str
    blocks: tuple[BlockCondition, ...]

    def text(self) -> str:
        """The condition in one line, for the terminal."""
        name = f"stage {self.stage.removeprefix('stage')}"
        paths = self.explanation or f"{name}: exactly one path for every pair of channels"
        balance = ""
        if self.balance_ratio is not None:
            balance = f"; {self.balance_ratio:.2f} times the balanced weights with {self.factors} layers"
        return f"{paths}{balance} (optimum {self.optimum_factors:.1f} layers)"


def stage_conditions(plan: Plan) -> tuple[StageCondition, ...]:
    """The conditions of every stage that has blocks, in order."""
    stages: dict[str, list[BlockCondition]] = {}
    for place, channels, steps in _blocks(plan):
        stage = place.split("/")[0]
        stages.setdefault(stage, []).append(replace(_condition(steps, channels), place=place))
    return tuple(_stage_condition(stage, tuple(blocks)) for stage, blocks in stages.items())


def _stage_condition(stage: str, blocks: tuple[BlockCondition, ...]) -> StageCondition:
    last = blocks[-1]
    return StageCondition(
        stage=stage,
        least_paths=last.least_paths,
        most_paths=last.most_paths,
        strict=all(block.strict for block in blocks),
        loose=all(block.loose for block in blocks),
        density=min(block.density for block in blocks),
        factors=last.factors,
        optimum_factors=last.optimum_factors,
        balance_ratio=last.balance_ratio,
        explanation=_explain_stage(stage, blocks),
        blocks=blocks,
    )


def product_steps(product: Product) -> tuple[Step, ...]:
    """An interleaved product as group convolutions and shuffles, first to last."""
    steps: list[Step] = []
    for factor, groups in zip(product.factors, product.shuffles, strict=True):
        steps.append(factor)
        if groups > 1:
            steps.append(Shuffle(groups=groups))
    return tuple(steps)


def path_counts(steps: Product | Sequence[Step], channels: int) -> NDArray[np.int64]:
    """The number of paths from each input channel (columns) to each output channel (rows), C_out x C_in.

    `channels`: the width that the first step is given.
    """
    counts = np.eye(channels, dtype=np.int64)
    for step in product_steps(steps) if isinstance(steps, Product) else steps:
        counts = _apply(step, counts)
    return counts


def is_strict(counts: NDArray[np.int64]) -> bool:
    """Exactly one path for every pair of an input and an output channel."""
    return bool((counts == 1).all())


def is_loose(steps: Product | Sequence[Step], channels: int) -> bool:
    """The loose complementary condition: the strict one between super-channels.

    Wherever the layers are split into a first and a last part, the channels between fall into equal super-channels that
    each part joins as one or not at all, and every pair of an input and an output channel is joined through exactly one
    of them. For two layers: every pair is joined by the same number >= 1 of paths. For one: every pair is joined.
    """
    steps = product_steps(steps) if isinstance(steps, Product) else tuple(steps)
    splits = _splits(steps, channels)
    if not splits:
        return bool(path_counts(steps, channels).all())
    for split in splits:
        before = path_counts(steps[:split], channels) > 0
        after = path_counts(steps[split:], before.shape[0]) > 0
        if not _joined_once(before, after):
            return False
    return True


def balance_ratio(weights: int, channels: int, factors: int, area: int) -> float:
    """The weights of a product to the least that its width and number of layers allow (IGCV2 section 3.2).

    `area`: S, the positions of the spatial kernel. Below 1 only where pairs are left unjoined.
    """
    return weights / (channels * factors * math.pow(area * channels, 1 / factors))


def optimum_factors(channels: int, area: int) -> float:
    """The number of layers that makes a balanced product cheapest: ln(S C)."""
    return math.log(area * channels)


def _blocks(plan: Plan) -> Iterator[tuple[str, int, tuple[Step, ...]]]:
    """Place, input width and steps of the main path of every block."""
    for place in plan.places():
        if "/" not in place or place.endswith("/shortcut"):
            continue
        nodes = [node for node in plan.nodes if node.place == place]
        steps: list[Step] = []
        for node in nodes:
            match node.operation:
                case Product() as product:
                    steps.extend(product_steps(product))
                case Conv() | Shuffle() | Tile() as step:
                    steps.append(step)
        yield place, plan.nodes[nodes[0].inputs[0]].shape[0], tuple(steps)


def _apply(step: Step, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    channels, columns = counts.shape
    match step:
        case Conv(out_channels=out, groups=groups):
            sums = counts.reshape(groups, channels // groups, columns).sum(axis=1)
            spread: NDArray[np.int64] = sums.repeat(out // groups, axis=0)
            return spread
        case Shuffle(groups=groups):
            grouped = counts.reshape(groups, channels // groups, columns)
            return grouped.transpose(1, 0, 2).reshape(channels, columns)
        case Tile(channels=tiled):
            repeated: NDArray[np.int64] = counts[np.arange(tiled) % channels]
            return repeated


def _mixing(steps: Sequence[Step], channels: int) -> list[tuple[int, int]]:
    """Index and branch size of every convolution that is not channel-wise."""
    found: list[tuple[int, int]] = []
    for index, step in enumerate(steps):
        if isinstance(step, Conv):
            if not step.groups == channels == step.out_channels:
                found.append((index, channels // step.groups))
            channels = step.out_channels
        elif isinstance(step, Tile):
            channels = step.channels
    return found


def _splits(steps: Sequence[Step], channels: int) -> list[int]:
    return [index for index, _ in _mixing(steps, channels)[1:]]


def _joined_once(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
    """Equal super-channels between two parts, one for every pair: `before` is middle x in, `after` is out x middle.

    Channels that both parts treat alike must form one super-channel, or a pair would have two; so their classes are the
    only candidates. All have one size, and every pair has that many middle channels.
    """
    signatures = np.packbits(np.concatenate([before, after.T], axis=1), axis=1)
    sizes = np.unique(signatures, axis=0, return_counts=True)[1]
    size = int(sizes[0])
    pairs = before.shape[1] * after.shape[0]
    if (sizes != size).any() or int(before.sum(axis=1) @ after.sum(axis=0)) != size * pairs:
        return False
    joints = after.astype(np.float32) @ before.astype(np.float32)  # exact: at most 2**24 middle channels
    return bool((joints == size).all())


@lru_cache(maxsize=4096)
def _condition(steps: tuple[Step, ...], channels: int) -> BlockCondition:
    counts = path_counts(steps, channels)
    strict = is_strict(counts)
    branches = tuple(size for _, size in _mixing(steps, channels))
    convs = [step for step in steps if isinstance(step, Conv)]
    area = max((conv.kernel**2 for conv in convs), default=1)
    condition = BlockCondition(
        place="",
        in_channels=channels,
        out_channels=counts.shape[0],
        branches=branches,
        least_paths=int(counts.min()),
        most_paths=int(counts.max()),
        density=float((counts > 0).mean()),
        strict=strict,
        loose=strict or (bool(counts.all()) and is_loose(steps, channels)),
        factors=len(convs),
        optimum_factors=optimum_factors(channels, area),
        balance_ratio=_block_balance(convs, channels, area),
        explanation="",
    )
    return replace(condition, explanation=_explain(condition))


def _block_balance(convs: Sequence[Conv], channels: int, area: int) -> float | None:
    if not convs or any(conv.out_channels != channels for conv in convs):
        return None
    weights = sum(conv.kernel**2 * channels // conv.groups * channels for conv in convs)
    return balance_ratio(weights, channels, len(convs), area)


def _explain(block: BlockCondition) -> str:
    """What keeps a block from the strict condition; empty where nothing does."""
    if block.strict:
        return ""
    widths = f"{block.in_channels} channels"
    if block.out_channels != block.in_channels:
        widths = f"{block.in_channels} to {block.out_channels} channels"
    return f"{widths}, {_branches(block.branches)}: {_joined(block)}"


def _branches(branches: tuple[int, ...]) -> str:
    if not branches:
        return "no layer that mixes channels"
    if len(set(branches)) > 1:
        return f"branches of {', '.join(map(str, branches[:-1]))} and {branches[-1]} channels"
    return f"K={branches[0]} with {len(branches)} factor{'s' if len(branches) > 1 else ''}"


def _joined(block: BlockCondition) -> str:
    if block.least_paths == 0:
        return f"{1 - block.density:.1%} of the pairs are not joined, the others up to {block.most_paths} times"
    if block.least_paths == block.most_paths:
        return f"every pair joined {block.most_paths} times" + (", loose" if block.loose else "")
    return f"pairs joined {block.least_paths}-{block.most_paths} times"


def _explain_stage(stage: str, blocks: Sequence[BlockCondition]) -> str:
    found = dict.fromkeys(block.explanation for block in blocks if block.explanation)
    number = stage.removeprefix("stage")
    return f"stage {number}: {'; '.join(found)}" if found else ""
