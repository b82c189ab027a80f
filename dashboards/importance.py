"""Which parameters make the front: how differently the best networks choose a parameter from all that were tried.

Source: PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023), which compares the density of a parameter among the best
trials with that among all by Pearson divergence. Here "best" is by rank of non-domination, values are counted one by
one, and what random sets of the same size would show is subtracted, so 0 is "no more than chance".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dashboards.front import found, objective_values
from dashboards.table import TrialRow
from search_spaces.networks import Value
from search_spaces.pareto import non_dominated_ranks

LEAST_TRIALS = 20
BEST_SHARE = 0.1
_SHUFFLES = 40
_MOST_CLASSES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """One parameter's: its share among those listed beside it, and the value that the best choose more often."""

    parameter: str
    share: float
    preferred: str


def importances(rows: Sequence[TrialRow], objectives: Sequence[str], family: str | None = None) -> list[Importance]:
    """The parameters of one family, or with None the family itself and what all families share; the greatest first.

    Empty where fewer than `LEAST_TRIALS` networks were found. A parameter without its family's prefix is shared.
    """
    counted = [row for row, counts in zip(rows, found(rows, objectives), strict=True) if counts]
    counted = [row for row in counted if family in (None, row.family)]
    if len(counted) < LEAST_TRIALS:
        return []
    best = best_mask(counted, objectives)
    divergences = {name: _divergence(classes, best) for name, classes in _columns(counted, family).items()}
    total = sum(divergence for divergence, _ in divergences.values()) or 1.0
    listed = [
        Importance(parameter=name, share=divergence / total, preferred=preferred)
        for name, (divergence, preferred) in divergences.items()
    ]
    return sorted(listed, key=lambda importance: -importance.share)


def best_mask(rows: Sequence[TrialRow], objectives: Sequence[str]) -> npt.NDArray[np.bool_]:
    """The best tenth, and at least eight, by rank of non-domination; whole ranks only."""
    ranks = non_dominated_ranks(objective_values(rows, objectives))
    wanted = max(8, round(BEST_SHARE * len(rows)))
    return np.asarray(ranks <= np.sort(ranks)[min(wanted, len(rows)) - 1])


def _columns(rows: list[TrialRow], family: str | None) -> dict[str, list[str]]:
    """Each parameter's values as classes, in the trials' order; parameters with one value only are left out."""
    if family is None:
        columns = {"family": [row.family for row in rows]}
    else:
        names = sorted({name for row in rows for name in row.parameters})
        columns = {name.split(".", 1)[-1]: _classes([row.parameters.get(name) for row in rows]) for name in names}
    return {name: classes for name, classes in columns.items() if len(set(classes)) > 1}


def _classes(values: list[Value | None]) -> list[str]:
    """Values as they are, or, of numbers with many values, as quantile ranges."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(set(numbers)) <= _MOST_CLASSES or len(numbers) < len(values):
        return ["inactive" if value is None else _written(value) for value in values]
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _MOST_CLASSES + 1)[1:-1]))
    bounds = [min(numbers), *edges, max(numbers)]
    bins = np.searchsorted(edges, numbers, side="right")
    return [f"{bounds[index]:.4g} to {bounds[index + 1]:.4g}" for index in bins]


def _written(value: Value) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _divergence(classes: list[str], best: npt.NDArray[np.bool_]) -> tuple[float, str]:
    """(Pearson divergence of the best from all, less what chance gives, at least 0; the most preferred class)."""
    names, codes = np.unique(classes, return_inverse=True)
    every = np.bincount(codes, minlength=len(names)) / len(codes)
    chosen = _frequencies(codes[best], len(names), every)
    draw = np.random.default_rng(0)
    by_chance = [
        _pearson(_frequencies(draw.permutation(codes)[: int(best.sum())], len(names), every), every)
        for _ in range(_SHUFFLES)
    ]
    return max(0.0, _pearson(chosen, every) - float(np.mean(by_chance))), str(names[np.argmax(chosen - every)])


def _frequencies(codes: npt.NDArray[np.int64], count: int, prior: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Frequencies with one observation's weight on what all trials show."""
    return (np.bincount(codes, minlength=count) + prior) / (len(codes) + 1)


def _pearson(chosen: npt.NDArray[np.float64], every: npt.NDArray[np.float64]) -> float:
    return float(np.sum((chosen - every) ** 2 / every))
