"""Objectives as the table shows them and as dominance wants them, and what of a table is on the front.

Inside, every objective is minimised; accuracy turns into error = 1 - accuracy here and nowhere else in this room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from dashboards.table import StudyFacts, TrialRow
from search_spaces.pareto import hypervolume_history, non_dominated

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How one column is read, drawn and compared."""

    name: str
    title: str
    log: bool = True
    maximise: bool = False


OBJECTIVES: Mapping[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective(name="accuracy", title="accuracy", log=False, maximise=True),
        Objective(name="macs", title="MACs"),
        Objective(name="flops", title="FLOPs"),
        Objective(name="params", title="parameters"),
        Objective(name="latency_ms", title="latency (ms)"),
        Objective(name="batch_latency_ms", title="latency of a batch (ms)"),
        Objective(name="inference_memory_mib", title="inference memory (MiB)"),
        Objective(name="activation_bytes", title="activation memory (bytes)"),
        Objective(name="depth", title="depth (layers)", log=False),
        Objective(name="peak_memory_mib", title="peak memory (MiB)"),
    )
}


def objective(name: str) -> Objective:
    """An objective by name. ValueError lists the known ones."""
    if name not in OBJECTIVES:
        raise ValueError(f"unknown objective {name!r}; known: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def column(rows: Sequence[TrialRow], name: str) -> Floats:
    """One column as it stands in the table, (n,), NaN where null."""
    values = list(map(attrgetter(objective(name).name), rows))
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def objective_values(rows: Sequence[TrialRow], objectives: Sequence[str]) -> Floats:
    """The objectives, all minimised, (n, number of objectives): error for accuracy; NaN where unknown."""
    columns = [1.0 - column(rows, name) if objective(name).maximise else column(rows, name) for name in objectives]
    return np.stack(columns, axis=1) if columns else np.empty((len(rows), 0))


def found(rows: Sequence[TrialRow], objectives: Sequence[str]) -> Mask:
    """Trials that count as found: complete, of the search itself, every objective known."""
    whole = np.isfinite(objective_values(rows, objectives)).all(axis=1)
    return whole & np.array([row.source == "search" and row.state == "complete" for row in rows], dtype=bool)


def references(rows: Sequence[TrialRow]) -> Mask:
    """Reference networks that were trained to the end under the study's recipe."""
    return np.array([row.source == "reference" and row.state == "complete" for row in rows], dtype=bool)


def front(rows: Sequence[TrialRow], objectives: Sequence[str]) -> Mask:
    """The Pareto front of what was found; references never belong to it."""
    counted = found(rows, objectives)
    mask = np.zeros(len(rows), dtype=bool)
    mask[counted] = non_dominated(objective_values(rows, objectives)[counted])
    return mask


def front_rows(rows: Sequence[TrialRow], objectives: Sequence[str]) -> list[TrialRow]:
    """The front's members by their second objective (the cost), the cheapest first; one for each network."""
    members = [row for row, is_member in zip(rows, front(rows, objectives), strict=True) if is_member]
    costs = objective_values(members, objectives[1:2] or objectives[:1])[:, 0]
    ordered = [members[index] for index in np.argsort(costs, kind="stable")]
    return list({row.plan_key: row for row in reversed(ordered)}.values())[::-1]


def reference_point(rows: Sequence[TrialRow], facts: StudyFacts) -> Floats:
    """The hypervolume's reference: the study's, or else the budget's limits and the worst that was found."""
    if facts.reference_point is not None:
        return np.array(facts.reference_point, dtype=np.float64)
    values = objective_values(rows, facts.objectives)[found(rows, facts.objectives)]
    worst = values.max(axis=0) if len(values) else np.ones(len(facts.objectives))
    limits = [facts.limits.get(name, worst[index]) for index, name in enumerate(facts.objectives)]
    return np.array(limits, dtype=np.float64)


def hypervolume_shares(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[list[TrialRow], Floats]:
    """Found trials in the order in which they ended, and after each the dominated share of the reference's box."""
    counted = [row for row, counts in zip(rows, found(rows, facts.objectives), strict=True) if counts]
    ended = sorted(counted, key=lambda row: (row.ended_at if row.ended_at is not None else 0.0, row.number))
    reference = reference_point(rows, facts)
    if not ended or not (reference > 0).all():
        return ended, np.zeros(len(ended))
    return ended, hypervolume_history(objective_values(ended, facts.objectives), reference) / float(reference.prod())
