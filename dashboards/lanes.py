"""Draws one block of a plan from left to right: channels as lanes, groups as boxes, permutations as crossing lines.

The channels of a tensor fill a vertical bar whose height grows with their number; channel c of C stands at (c + 1/2)/C
of it, so every box and every line is where it is in the network, however many there are. What one channel reaches
through the convolutions is drawn in the paths' colour.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from dashboards.theme import BLUE, GREEN, GREY, PURPLE, SKY, VERMILLION
from search_spaces.plan import Activation, Add, Conv, Linear, Norm, Operation, Pool, Product, Shuffle, Tile

TALLEST, SHORTEST = 120.0, 34.0  # pixels
CONV, LINKS, BAR, GAP = 68.0, 46.0, 15.0, 5.0  # widths
MOST_LINES, MOST_PATHS, MOST_BOXES = 40, 72, 32
Item = TypeVar("Item")
CAPTION = 'font-size="10" fill="currentColor" text-anchor="middle"'


@dataclass(slots=True, kw_only=True)
class Lanes:
    """The pen that draws a block: where it stands, how many channels it carries, which of them one channel reached."""

    channels: int
    most_channels: int  # of the whole plan: the tallest bar
    middle: float  # y of the lanes' axis
    half: float  # half the height of the block's tallest bar
    x: float
    reached: set[int] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)

    def restart(self) -> None:
        """Follows one channel anew, a third of the way down."""
        self.reached = {self.channels // 3}

    def draw(self, operation: Operation, channels: int) -> None:
        """Draws an operation that makes `channels` channels and moves on."""
        match operation:
            case Conv():
                self._conv(operation)
            case Product():
                self._product(operation)
            case Shuffle(groups=groups):
                self._shuffle(groups)
            case Tile():
                self._links([(index % self.channels, index) for index in range(channels)], channels, ("repeat", ""))
            case Norm():
                self._bar("norm", GREY)
            case Activation(function=function):
                self._bar({"relu": "ReLU", "relu6": "ReLU6"}[function], GREEN)
            case Add():
                self._add()
            case Pool(function=function, kernel=kernel, stride=stride):
                size = f"{kernel}×{kernel}" if kernel else "of the map"
                self._whole(channels, ("mean" if function == "average" else "max", size, _stride(stride)), GREY)
            case Linear():
                self._whole(channels, ("linear", f"{self.channels} → {channels}"), SKY)

    def _conv(self, conv: Conv) -> None:
        right, colour = self.x + CONV, PURPLE if conv.kernel > 1 else BLUE
        boxes = min(conv.groups, MOST_BOXES)
        bounds = [round(index * conv.groups / boxes) for index in range(boxes + 1)]
        for first, last in pairwise(bounds):
            self._box(right, conv, first, last, colour)
        self._paths_through(right, conv)
        self._caption(CONV, _conv_words(conv, self.channels))
        self._ticks()
        self._move(CONV, conv.out_channels)
        self._ticks()

    def _box(self, right: float, conv: Conv, first: int, last: int, colour: str) -> None:
        """The groups from `first` up to `last` as one box, less a little air between boxes."""
        air = min(0.12, 2.5 * conv.groups / self._height(self.channels)) if conv.groups <= MOST_BOXES else 0.0
        share = [(first + air / 2) / conv.groups, (last - air / 2) / conv.groups]
        left_y = [self._y(part, self.channels) for part in share]
        right_y = [self._y(part, conv.out_channels) for part in share]
        points = [(self.x, left_y[0]), (right, right_y[0]), (right, right_y[1]), (self.x, left_y[1])]
        self.parts.append(
            f'<path d="{_path(points)}Z" fill="{colour}" fill-opacity=".22" stroke="{colour}" stroke-width=".8"/>'
        )

    def _paths_through(self, right: float, conv: Conv) -> None:
        """From what is reached of each group to all its outputs."""
        inputs, outputs = self.channels // conv.groups, conv.out_channels // conv.groups
        by_group: dict[int, list[int]] = {}
        for channel in sorted(self.reached):
            by_group.setdefault(channel // inputs, []).append(channel)
        shapes = []
        for group, channels in _some(list(by_group.items()), MOST_PATHS):
            left = [self._y(channels[0] / self.channels, self.channels)]
            left.append(self._y((channels[-1] + 1) / self.channels, self.channels))
            ends = [self._y(edge / conv.groups, conv.out_channels) for edge in (group, group + 1)]
            shapes.append(_path([(self.x, left[0]), (right, ends[0]), (right, ends[1]), (self.x, left[1])]) + "Z")
        self.parts.append(f'<path d="{"".join(shapes)}" fill="{VERMILLION}" fill-opacity=".45"/>')
        self.reached = {group * outputs + index for group in by_group for index in range(outputs)}

    def _product(self, product: Product) -> None:
        start = self.x
        for factor, groups in zip(product.factors, product.shuffles, strict=True):
            self._conv(factor)
            self._shuffle(groups)
        if len(product.factors) > 1:
            self._bracket(start, self.x - GAP)

    def _bracket(self, start: float, end: float) -> None:
        y = self.middle - self.half - 6
        self.parts.append(
            f'<path d="M{start:.0f} {y + 4:.0f}V{y:.0f}H{end:.0f}V{y + 4:.0f}" fill="none" stroke="currentColor" '
            f'stroke-opacity=".5"/><text x="{(start + end) / 2:.0f}" y="{y - 4:.0f}" {CAPTION}>linear product</text>'
        )

    def _shuffle(self, groups: int) -> None:
        """(g, k) -> (k, g); of 1 or C groups it changes nothing."""
        if groups in (1, self.channels):
            return
        size = self.channels // groups
        pairs = [(index, index % size * groups + index // size) for index in range(self.channels)]
        self._links(pairs, self.channels, ("shuffle", f"({groups}, {size})"))

    def _links(self, pairs: list[tuple[int, int]], channels: int, words: Sequence[str]) -> None:
        right = self.x + LINKS
        paths = [pair for pair in pairs if pair[0] in self.reached]
        for shown, colour, opacity in (
            (_some(pairs, MOST_LINES), "currentColor", ".3"),
            (_some(paths, MOST_PATHS), VERMILLION, ".8"),
        ):
            lines = "".join(
                _path([(self.x, self._lane(source, self.channels)), (right, self._lane(target, channels))])
                for source, target in shown
            )
            self.parts.append(f'<path d="{lines}" fill="none" stroke="{colour}" stroke-opacity="{opacity}"/>')
        self.reached = {target for _, target in paths}
        self._caption(LINKS, words)
        self._move(LINKS, channels)

    def _bar(self, label: str, colour: str) -> None:
        """Normalisation or activation: a narrow bar, its name upright."""
        height, x = self._height(self.channels), self.x + BAR / 2
        self.parts.append(
            f'<rect x="{self.x:.1f}" y="{self.middle - height / 2:.1f}" width="{BAR:.0f}" height="{height:.1f}" '
            f'fill="{colour}" fill-opacity=".25" stroke="{colour}"/>'
            f'<text transform="translate({x + 3.5:.1f} {self.middle:.1f}) rotate(-90)" {CAPTION}>{label}</text>'
        )
        self._move(BAR, self.channels)

    def _add(self) -> None:
        self.parts.append(
            f'<circle cx="{self.x + 9:.1f}" cy="{self.middle:.1f}" r="9" fill="none" stroke="currentColor"/>'
            f'<path d="M{self.x + 3:.1f} {self.middle:.1f}h12m-6 -6v12" stroke="currentColor"/>'
        )
        self._move(18, self.channels)

    def _whole(self, channels: int, words: Sequence[str], colour: str) -> None:
        """An operation drawn as one box."""
        left, right = self._height(self.channels) / 2, self._height(channels) / 2
        points = [
            (self.x, self.middle - left),
            (self.x + CONV, self.middle - right),
            (self.x + CONV, self.middle + right),
            (self.x, self.middle + left),
        ]
        self.parts.append(f'<path d="{_path(points)}Z" fill="{colour}" fill-opacity=".22" stroke="{colour}"/>')
        self._caption(CONV, words)
        self.reached = set(range(channels)) if channels != self.channels else self.reached
        self._move(CONV, channels)

    def _ticks(self) -> None:
        """The channels themselves, where they are few enough to be told apart."""
        if self.channels <= MOST_LINES:
            dots = "".join(
                f"M{self.x - GAP / 2 - 1:.1f} {self._lane(channel, self.channels):.1f}h2"
                for channel in range(self.channels)
            )
            self.parts.append(f'<path d="{dots}" stroke="currentColor" stroke-opacity=".6"/>')

    def _caption(self, width: float, words: Iterable[str]) -> None:
        x, y = self.x + width / 2, self.middle + self.half + 15
        for index, word in enumerate(word for word in words if word):
            self.parts.append(f'<text x="{x:.1f}" y="{y + 12 * index:.1f}" {CAPTION}>{html.escape(word)}</text>')

    def _move(self, width: float, channels: int) -> None:
        self.x += width + GAP
        self.channels = channels

    def _height(self, channels: int) -> float:
        return bar_height(channels, self.most_channels)

    def _y(self, share: float, channels: int) -> float:
        return self.middle + (share - 0.5) * self._height(channels)

    def _lane(self, channel: int, channels: int) -> float:
        return self._y((channel + 0.5) / channels, channels)


def bar_height(channels: int, most_channels: int) -> float:
    """The height of a tensor's bar, in pixels."""
    return SHORTEST + (TALLEST - SHORTEST) * math.sqrt(channels / most_channels)


def _conv_words(conv: Conv, channels: int) -> tuple[str, ...]:
    kernel = f"{conv.kernel}×{conv.kernel}{_stride(conv.stride)}"
    if conv.groups == 1:
        return kernel, "dense", f"{channels} → {conv.out_channels}"
    if conv.groups == channels == conv.out_channels:
        return kernel, "channel-wise", str(channels)
    return kernel, f"{conv.groups} groups", f"{channels // conv.groups} → {conv.out_channels // conv.groups}"


def _stride(stride: int) -> str:
    return f" /{stride}" if stride > 1 else ""


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _some(items: list[Item], most: int) -> list[Item]:
    """At most `most`, evenly spread."""
    if len(items) <= most:
        return items
    return [items[index * (len(items) - 1) // (most - 1)] for index in range(most)]
