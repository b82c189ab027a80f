"""A space as Optuna's distributions: the names and ranges that the study and every sampler of Optuna see."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from orchestrator.sampler.questions import Question, Questions, answer, space_questions
from search_spaces.networks import Value
from search_spaces.space import Architecture, Space

FAMILY = "family"


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """`family`, and `family.name` for each parameter with more than one value, in the space's order."""
    return question_distributions(space_questions(space))


def question_distributions(questions: Questions) -> dict[str, BaseDistribution]:
    found: dict[str, BaseDistribution] = {FAMILY: CategoricalDistribution(list(questions))}
    for family, asked in questions.items():
        found.update({f"{family}.{one.name}": _distribution(one) for one in asked if len(one.values) > 1})
    return found


def suggest(trial: Trial, questions: Questions, known: Mapping[str, BaseDistribution]) -> Architecture:
    """The architecture that a trial's sampler proposes, each active parameter asked in turn; it may break the budget.

    known: `question_distributions(questions)`, made once.
    """

    def ask(name: str) -> Value | None:
        value: Value | None = trial._suggest(name, known[name])
        return value

    family = str(ask(FAMILY))
    return Architecture(family=family, values=answer(questions[family], lambda one: ask(f"{family}.{one.name}")))


def _distribution(question: Question) -> BaseDistribution:
    """Whole numbers at equal steps keep their order; all else is categorical."""
    whole = [value for value in question.values if isinstance(value, int) and not isinstance(value, bool)]
    steps = {after - before for before, after in pairwise(whole)}
    if len(whole) == len(question.values) and len(steps) == 1 and min(steps) > 0:
        return IntDistribution(whole[0], whole[-1], step=steps.pop())
    return CategoricalDistribution(question.values)
