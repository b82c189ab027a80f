"""A search space: families with the ranges of their parameters, for one task.

A parameter's flat name is the field's name for a whole network (`skip`) and `field_stage` for a stage (`width_1`);
the study and the tables put the family in front (`igcv2.width_1`). Parameters with one value are fixed and do not appear.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from search_spaces.families.table import FAMILIES
from search_spaces.networks import AnyFamily, AnyNetwork, Domain, Network, Task, Value, lower
from search_spaces.plan import Plan

Choice = tuple[tuple[str, Value], ...]
Ranges = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One point of a space: a family and its active, not fixed, parameters as (flat name, value) in the space's order."""

    family: str
    values: Choice

    @property
    def parameters(self) -> dict[str, Value]:
        """`family.name` -> value, as the study and the tables write it."""
        return {f"{self.family}.{name}": value for name, value in self.values}


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySpace:
    """One family's part of a space: domains of the whole network and of each stage, and what is fixed."""

    family: str
    shared: tuple[Domain, ...]
    stages: tuple[tuple[Domain, ...], ...]

    def shared_choices(self) -> Iterator[Choice]:
        """Every combination of the whole network's parameters, fixed ones included, inactive ones left out."""
        return choices(self.shared)

    def stage_choices(self, stage: int) -> Iterator[Choice]:
        """Every combination of one stage's parameters (stages from 0), likewise."""
        return choices(self.stages[stage])

    def network(self, shared: Choice, stages: tuple[Choice, ...]) -> AnyNetwork:
        """The network of one choice for the whole and one for each stage; what no domain names keeps its default."""
        family = FAMILIES[self.family]
        return Network(
            family=self.family,
            shared=family.shared_type(**dict(shared)),
            stages=tuple(replace(default_stage(family, index), **dict(choice)) for index, choice in enumerate(stages)),
        )

    def architecture(self, shared: Choice, stages: tuple[Choice, ...]) -> Architecture:
        """The point with these choices, fixed parameters dropped."""
        values = [(name, value) for name, value in shared if _is_free(self.shared, name)]
        for index, choice in enumerate(stages):
            free = [(name, value) for name, value in choice if _is_free(self.stages[index], name)]
            values += [(f"{name}_{index + 1}", value) for name, value in free]
        return Architecture(family=self.family, values=tuple(values))

    def split(self, architecture: Architecture) -> tuple[Choice, tuple[Choice, ...]]:
        """The inverse of `architecture`: fixed parameters put back. ValueError names what does not belong or is missing."""
        given = dict(architecture.values)
        shared = _take(self.shared, given, "")
        stages = tuple(_take(domains, given, f"_{index + 1}") for index, domains in enumerate(self.stages))
        if given:
            raise ValueError(f"{self.family}: {', '.join(given)} is unknown or does not matter here")
        return shared, stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All architectures of a mix of families, for one task."""

    task: Task
    families: tuple[FamilySpace, ...]

    def family(self, name: str) -> FamilySpace:
        for space in self.families:
            if space.family == name:
                return space
        raise ValueError(f"family {name!r} is not in this space; it has {', '.join(s.family for s in self.families)}")

    def plan(self, architecture: Architecture) -> Plan:
        """The architecture's plan. ValueError where its parameters make no network."""
        space = self.family(architecture.family)
        shared, stages = space.split(architecture)
        return lower(FAMILIES[space.family], space.network(shared, stages), self.task)

    def from_parameters(self, family: str, parameters: Mapping[str, Value]) -> Architecture:
        """The architecture of the study's flat parameters (`family.name` -> value), put in the space's order."""
        space = self.family(family)
        names = {name.removeprefix(f"{family}."): value for name, value in parameters.items() if name != "family"}
        shared, stages = space.split(Architecture(family=family, values=tuple(names.items())))
        return space.architecture(shared, stages)


def make_space(task: Task, families: Mapping[str, Ranges]) -> Space:
    """A space from ranges: `{family: {parameter: value | [values] | [[values of stage 1], …]}}`; empty ranges = defaults.

    The number of stages is the length of the lists of lists, or the family's own. ValueError lists what is known.
    """
    if not families:
        raise ValueError(f"a space needs at least one family; known: {', '.join(FAMILIES)}")
    return Space(task=task, families=tuple(_family_space(name, ranges) for name, ranges in families.items()))


def default_stage(family: AnyFamily, index: int) -> Any:
    """The family's default parameters of a stage; stages beyond the defaults repeat the last."""
    return family.default_stages[min(index, len(family.default_stages) - 1)]


def choices(domains: tuple[Domain, ...]) -> Iterator[Choice]:
    """Every combination of the domains' values in which a parameter stands only where its `when` holds.

    A `when` names an earlier domain of the same tuple; where that one is inactive itself, it does not hold.
    """
    return _choices_from(domains, ())


def _choices_from(domains: tuple[Domain, ...], taken: Choice) -> Iterator[Choice]:
    if not domains:
        yield taken
    elif _is_active(domains[0], dict(taken)):
        for value in domains[0].values:
            yield from _choices_from(domains[1:], (*taken, (domains[0].name, value)))
    else:
        yield from _choices_from(domains[1:], taken)


def _is_active(domain: Domain, given: Mapping[str, Value]) -> bool:
    return domain.when is None or given.get(domain.when[0]) in domain.when[1]


def _is_free(domains: tuple[Domain, ...], name: str) -> bool:
    return any(domain.name == name and len(domain.values) > 1 for domain in domains)


def _take(domains: tuple[Domain, ...], given: dict[str, Value], suffix: str) -> Choice:
    """Removes these domains' parameters from `given` and checks them, domain by domain."""
    taken: dict[str, Value] = {}
    for domain in domains:
        if not _is_active(domain, taken):
            continue
        name = domain.name + suffix
        if len(domain.values) > 1 and name not in given:
            raise ValueError(f"{name} is missing; it may be {_listed(domain.values)}")
        value = given.pop(name, domain.values[0])
        if value not in domain.values:
            raise ValueError(f"{name}: {value!r} is not in its range {_listed(domain.values)}")
        taken[domain.name] = value
    return tuple(taken.items())


def _family_space(name: str, ranges: Ranges) -> FamilySpace:
    if name not in FAMILIES:
        raise ValueError(f"unknown family {name!r}; known: {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    shared_fields = {field.name for field in fields(family.shared_type)}
    stage_fields = {field.name for field in fields(family.stage_type)}
    for key in ranges:
        if key not in shared_fields | stage_fields:
            raise ValueError(
                f"{name}: unknown parameter {key!r}; known: {', '.join(sorted(shared_fields | stage_fields))}"
            )
    count = _stage_count(name, family, ranges)
    shared = _override(
        family.shared_domains, {key: _values(name, key, ranges[key]) for key in ranges if key in shared_fields}
    )
    stages = []
    for index in range(count):
        defaults = family.stage_domains[min(index, len(family.stage_domains) - 1)]
        given = {key: _stage_values(name, key, ranges[key], index) for key in ranges if key in stage_fields}
        stages.append(_override(defaults, given))
    return FamilySpace(family=name, shared=shared, stages=tuple(stages))


def _stage_count(name: str, family: AnyFamily, ranges: Ranges) -> int:
    counts = {key: len(value) for key, value in ranges.items() if _is_per_stage(value)}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{name}: parameters are given for different numbers of stages: {counts}")
    return next(iter(counts.values()), len(family.stage_domains))


def _is_per_stage(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], list | tuple)


def _stage_values(name: str, key: str, value: Any, index: int) -> tuple[Value, ...]:
    return _values(name, f"{key} of stage {index + 1}", value[index] if _is_per_stage(value) else value)


def _values(name: str, key: str, value: Any) -> tuple[Value, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(item, int | float | str | bool) for item in values):
        raise ValueError(f"{name}: {key} wants a value or a list of values, given {value!r}")
    if len(set(values)) != len(values):
        raise ValueError(f"{name}: {key} lists a value twice: {value!r}")
    return values


def _override(defaults: tuple[Domain, ...], given: Mapping[str, tuple[Value, ...]]) -> tuple[Domain, ...]:
    """The default domains with the given values in place of theirs; what has no default domain is put in front."""
    named = {domain.name for domain in defaults}
    extra = tuple(Domain(name=key, values=values) for key, values in given.items() if key not in named)
    return extra + tuple(replace(domain, values=given.get(domain.name, domain.values)) for domain in defaults)


def _listed(values: tuple[Value, ...]) -> str:
    return "[" + ", ".join(map(str, values)) + "]"
