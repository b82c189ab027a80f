"""A space as questions asked in turn, family by family: what a sampler that knows nothing of networks has to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from search_spaces.networks import Domain, Value
from search_spaces.space import Choice, FamilySpace, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One parameter: its flat name without the family, and its values (None: it may be left out).

    `when`: another parameter of the family, and its values that make this one matter. A single value is not asked.
    """

    name: str
    values: tuple[Value | None, ...]
    when: tuple[str, tuple[Value, ...]] | None = None


Questions = Mapping[str, tuple[Question, ...]]  # by family


def space_questions(space: Space) -> Questions:
    """The questions of a space, in its order."""
    return {family.family: tuple(_family(family)) for family in space.families}


def answer(questions: Sequence[Question], choose: Callable[[Question], Value | None]) -> Choice:
    """The active, not fixed parameters of one architecture, each chosen in turn."""
    given: dict[str, Value | None] = {}
    free: list[tuple[str, Value]] = []
    for question in questions:
        if question.when is not None and given.get(question.when[0]) not in question.when[1]:
            continue
        asked = len(question.values) > 1
        value = choose(question) if asked else question.values[0]
        given[question.name] = value
        if asked and value is not None:
            free.append((question.name, value))
    return tuple(free)


def _family(family: FamilySpace) -> list[Question]:
    segments = [("", family.shared), *((f"_{number}", stage) for number, stage in enumerate(family.stages, 1))]
    return [_question(domain, suffix) for suffix, domains in segments for domain in domains]


def _question(domain: Domain, suffix: str) -> Question:
    when = None if domain.when is None else (domain.when[0] + suffix, domain.when[1])
    return Question(name=domain.name + suffix, values=domain.values, when=when)
