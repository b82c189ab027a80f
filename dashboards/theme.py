"""Colours and marks: safe for colour-blind readers (Okabe and Ito), legible on light and on dark ground."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, GREY = "#E69F00", "#56B4E9", "#F0E442", "#8C8C8C"
FAMILY_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
FAMILY_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon")
STATE_COLOURS: Mapping[str, str] = {
    "complete": BLUE,
    "pruned": SKY,
    "paused": GREEN,
    "failed": VERMILLION,
    "lost": PURPLE,
    "training": ORANGE,
    "queued": GREY,
}


def family_colours(families: Iterable[str]) -> dict[str, str]:
    """A colour for each family; the same families always get the same ones."""
    return {name: FAMILY_COLOURS[index % len(FAMILY_COLOURS)] for index, name in enumerate(sorted(set(families)))}


def family_symbols(families: Iterable[str]) -> dict[str, str]:
    """A mark for each family, so that colour is never the only sign."""
    return {name: FAMILY_SYMBOLS[index % len(FAMILY_SYMBOLS)] for index, name in enumerate(sorted(set(families)))}
