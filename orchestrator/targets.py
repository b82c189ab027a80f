"""Trained networks by what a person types: a study (its front), STUDY:NUMBER, or a network's name in a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards.front import front_rows
from dashboards.table import StudyFacts, TrialRow
from orchestrator.locate import read_rows
from search_spaces.plan import Plan, plan_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A network that was named; `number` where it is a trial."""

    name: str
    plan: Plan
    number: int | None = None


def trained_networks(what: str) -> list[Target]:
    """The front of STUDY, or the one trial of STUDY:NUMBER. ValueError where there is neither."""
    study, _, number = what.rpartition(":")
    if study and number.isdigit() and not Path(what).exists():
        rows, facts = read_rows(study)
        return [_target(find_trial(rows, facts, number))]
    rows, facts = read_rows(what)
    members = front_rows(rows, facts.objectives)
    if not members:
        raise ValueError(f"study {facts.study} has no front yet: no network is trained to the end")
    return [_target(row) for row in members]


def find_trial(rows: Sequence[TrialRow], facts: StudyFacts, name: str) -> TrialRow:
    """The trial of a number, or of a network's name. ValueError where there is none, or more than one."""
    found = [row for row in rows if name in (str(row.number), row.name)]
    if not found:
        numbers = f"0 to {max(row.number for row in rows)}" if rows else "none yet"
        raise ValueError(f"study {facts.study} has no trial {name!r}; its trials are numbered {numbers}")
    if len(found) > 1:
        raise ValueError(f"{name!r} names trials {', '.join(str(row.number) for row in found)}; give one by its number")
    return found[0]


def _target(row: TrialRow) -> Target:
    if row.plan is None:
        raise ValueError(f"trial {row.number} has no plan in its table")
    return Target(name=row.name, plan=plan_from_json(row.plan), number=row.number)
