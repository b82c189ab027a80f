"""Known networks as points of a space: a search may begin with them, and learn from what they reached elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.networks import AnyNetwork, Domain, Value
from search_spaces.references import reference
from search_spaces.space import Architecture, Choice, FamilySpace, Space


def reference_points(space: Space, names: Sequence[str]) -> dict[str, Architecture]:
    """The reference networks, by name, that are points of a space; the others are left out. ValueError: unknown name."""
    found = {name: point(space, reference(name).network) for name in names}
    return {name: architecture for name, architecture in found.items() if architecture is not None}


def point(space: Space, network: AnyNetwork) -> Architecture | None:
    """The point of a space that a network is; None where it has another family, stage count or fixed parameter."""
    for family in space.families:
        if family.family == network.family and len(family.stages) == len(network.stages):
            return _point(family, network)
    return None


def _point(family: FamilySpace, network: AnyNetwork) -> Architecture | None:
    shared = _choice(family.shared, network.shared)
    stages = [_choice(domains, stage) for domains, stage in zip(family.stages, network.stages, strict=True)]
    known = [stage for stage in stages if stage is not None]
    if shared is None or len(known) < len(stages):
        return None
    same = family.network(shared, tuple(known)) == network
    return family.architecture(shared, tuple(known)) if same else None


def _choice(domains: Sequence[Domain], given: Any) -> Choice | None:
    """The active parameters of a segment, as its dataclass has them; None where one is out of its range."""
    taken: dict[str, Value] = {}
    for domain in domains:
        if not _is_active(domain, taken):
            continue
        value = getattr(given, domain.name)
        if value not in domain.values:
            return None
        taken[domain.name] = value
    return tuple(taken.items())


def _is_active(domain: Domain, taken: Mapping[str, Value]) -> bool:
    return domain.when is None or taken.get(domain.when[0]) in domain.when[1]
