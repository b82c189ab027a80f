"""Which networks of a study are trained again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.decisions import CostName
from orchestrator.trials import Trial
from search_spaces.pareto import non_dominated

ROUNDING = 1e-9  # 0.97 - 0.96 is a little more than 0.01
Floats = npt.NDArray[np.float64]


def chosen(trials: Sequence[Trial], costs: Sequence[CostName], within: float | None, references: bool) -> list[Trial]:
    """The front, or all whose accuracy is at most `within` below the best at their costs or lower; the cheapest first.

    Reference networks, whatever became of their training, come last. ValueError: nothing is trained to the end.
    """
    complete = [trial for trial in trials if trial.phase == "complete" and trial.candidate.source == "search"]
    if not complete:
        raise ValueError("no network of this study was trained to the end, so it has no front yet; run its search on")
    errors, prices = _points(complete, costs)
    if within is None:
        members = non_dominated(np.column_stack([errors, prices]))
    else:
        best = np.array([errors[np.all(prices <= price, axis=1)].min() for price in prices])
        members = errors <= best + within + ROUNDING
    found = [trial for trial, is_member in zip(complete, members, strict=True) if is_member]
    found.sort(key=lambda trial: (*(trial.cost(name) or 0.0 for name in costs), trial.number))
    return found + ([trial for trial in trials if trial.candidate.source == "reference"] if references else [])


def _points(trials: Sequence[Trial], costs: Sequence[CostName]) -> tuple[Floats, Floats]:
    errors = np.array([1.0 - (trial.accuracy or 0.0) for trial in trials])
    return errors, np.array([[trial.cost(name) for name in costs] for trial in trials], dtype=float)
