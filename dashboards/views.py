"""The sections of a study's page: which figures there are, in which order, behind which choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import plotly.graph_objects as go

from dashboards.figures.curves import curves_figure
from dashboards.figures.failures import failures_figure
from dashboards.figures.front import front_figure
from dashboards.figures.history import hypervolume_figure
from dashboards.figures.importance import importance_figure
from dashboards.figures.parallel import parallel_figure
from dashboards.figures.third import coloured_figure, projections_figure, three_of
from dashboards.figures.timeline import timeline_figure
from dashboards.front import OBJECTIVES
from dashboards.table import StudyFacts, TrialRow

Choice = tuple[str, Callable[[], go.Figure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A section with a figure, or several behind a choice; `told` is what it shows, for those who cannot see it."""

    key: str
    title: str
    told: str
    choices: tuple[Choice, ...]


def views(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[View, ...]:
    """All views in their order; a figure is drawn when its choice is called."""
    families = sorted({row.family for row in rows if row.source == "search"})
    return (
        _front(rows, facts),
        _history(rows, facts),
        _curves(rows, facts),
        _importance(rows, facts, families),
        _parallel(rows, facts, families),
        _workers(rows, facts),
        _failures(rows, facts),
    )


def known_costs(rows: Sequence[TrialRow], facts: StudyFacts) -> list[str]:
    """The costs to draw accuracy against: the study's objectives first, of those that any row knows."""
    named = dict.fromkeys((*facts.objectives, "macs", "params", "latency_ms"))
    costs = [name for name in named if name != "accuracy"]
    return [name for name in costs if any(getattr(row, name) is not None for row in rows)] or ["macs"]


def _front(rows: Sequence[TrialRow], facts: StudyFacts) -> View:
    return View(
        key="front",
        title="Accuracy against cost",
        told="Found networks, their Pareto front, the references and the budget. The table below lists the front.",
        choices=tuple(
            (OBJECTIVES[cost].title, partial(front_figure, rows, facts, x=cost)) for cost in known_costs(rows, facts)
        )
        + _in_three(rows, facts),
    )


def _in_three(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[Choice, ...]:
    """A third quantity as colour, and all pairs of three; none where only one cost is known."""
    first, second, third = three_of(rows, facts)
    if first != "accuracy" or len(known_costs(rows, facts)) < 2:
        return ()
    coloured = partial(coloured_figure, rows, facts, second, first, third)
    name = f"{OBJECTIVES[second].title}, colour: {OBJECTIVES[third].title}"
    return ((name, coloured), ("all pairs", partial(projections_figure, rows, facts)))


def _history(rows: Sequence[TrialRow], facts: StudyFacts) -> View:
    return View(
        key="hypervolume",
        title="How the search came along",
        told="The share of the box below the reference point that the networks found so far dominate.",
        choices=(
            ("trainings", partial(hypervolume_figure, rows, facts)),
            ("time", partial(hypervolume_figure, rows, facts, "time")),
        ),
    )


def _curves(rows: Sequence[TrialRow], facts: StudyFacts) -> View:
    return View(
        key="curves",
        title="Learning curves",
        told="Validation accuracy by epoch: members of the front in colour, the others faint; rungs and stops marked.",
        choices=(("curves", partial(curves_figure, rows, facts)),),
    )


def _importance(rows: Sequence[TrialRow], facts: StudyFacts, families: list[str]) -> View:
    overall: tuple[Choice, ...] = (("families", partial(importance_figure, rows, facts)),)
    return View(
        key="importance",
        title="What makes the front",
        told="How differently the best tenth of the networks chooses each parameter from all that were tried. "
        "What is no more than chance has no bar.",
        choices=tuple((name, partial(importance_figure, rows, facts, name)) for name in families)
        + (overall if len(families) != 1 else ()),
    )


def _parallel(rows: Sequence[TrialRow], facts: StudyFacts, families: list[str]) -> View:
    overall: tuple[Choice, ...] = (("all", partial(parallel_figure, rows, facts)),)
    return View(
        key="parallel",
        title="Parameters side by side",
        told="Parallel coordinates, a line for each network trained to the end. Drag along an axis to select.",
        choices=overall + tuple((name, partial(parallel_figure, rows, facts, name)) for name in families),
    )


def _workers(rows: Sequence[TrialRow], facts: StudyFacts) -> View:
    return View(
        key="workers",
        title="Workers",
        told="What each worker trained and when, how it ended, and which workers were lost.",
        choices=(("timeline", partial(timeline_figure, rows, facts)),),
    )


def _failures(rows: Sequence[TrialRow], facts: StudyFacts) -> View:
    return View(
        key="failures",
        title="Failures",
        told="Failed trials by kind and family. The list below has their text."
        if any(row.state == "failed" for row in rows)
        else "Failed trials by kind and family.",
        choices=(("kinds", partial(failures_figure, rows, facts)),),
    )
