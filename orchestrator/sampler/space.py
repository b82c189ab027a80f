"""A space as Optuna's distributions: the names and ranges that the study and every sampler of Optuna see."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search_spaces.networks import Domain
from search_spaces.space import FamilySpace, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """`family`, and `family.name` for each parameter with more than one value, in the space's order."""
    found: dict[str, BaseDistribution] = {"family": CategoricalDistribution([one.family for one in space.families])}
    for family in space.families:
        found.update(_family(family))
    return found


def _family(family: FamilySpace) -> dict[str, BaseDistribution]:
    named = [(domain.name, domain) for domain in family.shared]
    named += [(f"{domain.name}_{number}", domain) for number, stage in enumerate(family.stages, 1) for domain in stage]
    return {f"{family.family}.{name}": _distribution(domain) for name, domain in named if len(domain.values) > 1}


def _distribution(domain: Domain) -> BaseDistribution:
    return CategoricalDistribution(domain.values)
