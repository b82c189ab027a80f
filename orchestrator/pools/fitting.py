"""How many workers a cluster's nodes hold: their resources, and Ray's label selectors. No framework is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ROUNDING = 1e-6  # of Ray's, in resources
_SELECTOR = re.compile(r"(!?)(?:in\((.*)\)|(.*))", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A living node of the cluster: all that it has, whether in use or not."""

    id: str  # Ray's
    name: str
    cpus: float
    gpus: float
    labels: Mapping[str, str]


def matches(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether a node with these labels may be chosen. Selectors: `a`, `!a`, `in(a,b)` and `!in(a,b)`."""
    return all(_agrees(labels.get(key), wanted) for key, wanted in selector.items())


def fitting(nodes: Iterable[NodeFacts], cpus: float, gpus: float, selector: Mapping[str, str]) -> int:
    """How many workers of `cpus` and `gpus` each fit there, node by node. A share of a GPU never spans two."""
    return sum(_on(node, cpus, gpus) for node in nodes if matches(node.labels, selector))


def _on(node: NodeFacts, cpus: float, gpus: float) -> int:
    fits = [int(node.cpus / cpus + ROUNDING)] if cpus else []
    if gpus:
        shared = int(1 / gpus + ROUNDING)
        fits.append(int(node.gpus + ROUNDING) * shared if shared else int(node.gpus / gpus + ROUNDING))
    return min(fits, default=1)


def _agrees(label: str | None, wanted: str) -> bool:
    found = _SELECTOR.fullmatch(wanted)
    assert found is not None
    values = [value.strip() for value in found[2].split(",")] if found[2] is not None else [found[3]]
    return (label in values) != bool(found[1])
