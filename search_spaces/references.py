"""The catalogue: reference networks by name, and ours beside the published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from search_spaces.cost import cost
from search_spaces.families.table import FAMILIES
from search_spaces.networks import Task, lower
from search_spaces.plan import Plan
from search_spaces.published.igcv1 import IGCV1_REFERENCES
from search_spaces.published.igcv2 import IGCV2_REFERENCES
from search_spaces.published.igcv3 import IGCV3_REFERENCES
from search_spaces.published.mobilenets import MOBILENET_REFERENCES
from search_spaces.published.records import Accuracy, Figure, Reference, count
from search_spaces.published.xception import XCEPTION_REFERENCES

REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        reference.name: reference
        for reference in (
            *IGCV1_REFERENCES,
            *IGCV2_REFERENCES,
            *XCEPTION_REFERENCES,
            *IGCV3_REFERENCES,
            *MOBILENET_REFERENCES,
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One published figure beside ours. difference: ours - published; within: at most half a step of the printed digit.

    why: the reason of a difference beyond the rounding, empty where there is none.
    """

    quantity: str
    convention: str
    ours: int
    published: int
    step: int
    difference: int
    within: bool
    source: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRow:
    """A reference: its cost, its first published figure beside ours, then all of them, and the published accuracies.

    params and macs are ours, all of them. fit: parts of the network are our reconstruction; the note says which.
    """

    name: str
    family: str
    image_size: int
    classes: int
    params: int
    macs: int
    convention: str
    ours: int
    published: int
    difference: int
    within: bool
    why: str
    fit: bool
    note: str
    comparisons: tuple[Comparison, ...]
    accuracies: tuple[Accuracy, ...]


def reference(name: str) -> Reference:
    """The reference of a name; ValueError with the names that come close."""
    if name not in REFERENCES:
        close = get_close_matches(name, REFERENCES, n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "`igcv catalog` lists them."
        raise ValueError(f"unknown reference network {name!r}; {hint}")
    return REFERENCES[name]


def reference_plan(name: str, task: Task | None = None) -> Plan:
    """The reference's plan, for its own task or for another image size, number of channels and number of classes."""
    found = reference(name)
    return lower(FAMILIES[found.network.family], found.network, task or found.task)


def catalog_rows() -> tuple[CatalogRow, ...]:
    """Every reference, ours and published side by side, in the catalogue's order."""
    return tuple(_row(found) for found in REFERENCES.values())


def _row(found: Reference) -> CatalogRow:
    plan = reference_plan(found.name)
    total = cost(plan)
    comparisons = tuple(_comparison(plan, found.task, figure) for figure in found.figures)
    first = comparisons[0]
    return CatalogRow(
        name=found.name,
        family=found.network.family,
        image_size=found.task.image_size,
        classes=found.task.classes,
        params=total.params,
        macs=total.macs,
        convention=first.convention,
        ours=first.ours,
        published=first.published,
        difference=first.difference,
        within=first.within,
        why=first.why,
        fit=found.fit,
        note=found.note,
        comparisons=comparisons,
        accuracies=found.accuracies,
    )


def _comparison(plan: Plan, task: Task, figure: Figure) -> Comparison:
    ours = count(plan, figure)
    within = 2 * abs(ours - figure.value) <= figure.step if figure.step > 1 else ours == figure.value
    return Comparison(
        quantity=figure.quantity,
        convention=figure.convention(task),
        ours=ours,
        published=figure.value,
        step=figure.step,
        difference=ours - figure.value,
        within=within,
        source=figure.source,
        why="" if within else figure.why,
    )
