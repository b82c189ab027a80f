"""Numbers and architectures in words, and text that others wrote made harmless."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping

from dashboards.front import OBJECTIVES
from dashboards.table import TrialRow
from search_spaces.networks import Value

MISSING = "–"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNREADABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")  # control and direction characters


def compact(value: float | None) -> str:
    """Three digits and a unit step: 1.23M, 456k, 78."""
    if value is None or not math.isfinite(value):
        return MISSING
    for size, letter in _STEPS:
        if abs(value) >= 0.9995 * size:
            return (
                f"{value / size:#.3g}".rstrip(".") + letter
                if abs(value) < 999.5 * size
                else f"{value / size:.0f}{letter}"
            )
    return f"{value:.3g}"


def percent(fraction: float | None) -> str:
    return MISSING if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.2f} %"


def duration(seconds: float | None) -> str:
    """Two units at most: 3 d 4 h, 5 min 20 s, 0.4 s."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def amount(name: str, value: float | None) -> str:
    """An objective's value with its name: `91.20 %`, `1.23M MACs`, `45k parameters`."""
    if name == "accuracy":
        return percent(value)
    return f"{compact(value)} {OBJECTIVES[name].title}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 network`, `20,000 networks`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def plain(text: str, limit: int = 160) -> str:
    """One line without control characters, cut at `limit`; not escaped."""
    line = _UNREADABLE.sub("", text.replace("\r", " ").replace("\n", " "))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def safe(text: str, limit: int = 80) -> str:
    """The same, escaped for HTML and for the figures' pseudo-HTML."""
    return html.escape(plain(text, limit))


def shown_name(row: TrialRow) -> str:
    """A reference's own name, or the architecture's."""
    return row.reference or row.name


def described(parameters: Mapping[str, Value]) -> dict[str, str]:
    """Parameters without their family, those of the stages put together: {"width": "16-32-64", "skip": "yes"}."""
    parts: dict[str, list[str]] = {}
    for name, value in parameters.items():
        short = name.split(".", 1)[-1]
        parts.setdefault(re.sub(r"_\d+$", "", short), []).append(_written(value))
    return {name: "-".join(values) for name, values in parts.items()}


def architecture(row: TrialRow) -> str:
    """One line: `width 16-32-64, blocks 2-2-3, skip yes`."""
    return ", ".join(f"{name} {value}" for name, value in described(row.parameters).items())


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
