"""Optuna's own samplers as proposers: they propose on a study in memory, fed with finished and running trials only.

The real study holds stopped trials with curves, on which several samplers of Optuna raise when there are several
objectives. A proposal that makes no network, breaks the budget or was seen before is told as failed and another is asked
for; after a bounded number of tries a uniform feasible draw takes its place, so the search never stalls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState, create_trial

from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.space import distributions
from search_spaces.feasible import FeasibleSet
from search_spaces.networks import Domain, Value
from search_spaces.space import Architecture, FamilySpace

TRIES = 20
DRAWS = 200


class ShadowProposer:
    """Any sampler of Optuna behind the budget and the memory of what was trained."""

    def __init__(
        self, sampler: BaseSampler, feasible: FeasibleSet, costs: Sequence[str], reference: Sequence[float], seed: int
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * len(costs)]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._feasible = feasible
        self._costs = tuple(costs)
        self._reference = reference
        self._distributions = distributions(feasible.space)
        self._rng = np.random.default_rng(seed)
        self._open: dict[Architecture, int] = {}  # proposed and not yet ended -> number in the shadow study
        self._seen: set[Architecture] = set()
        self._told: set[Architecture] = set()

    def propose(
        self, count: int, observed: Sequence[Observation], pending: Sequence[Architecture]
    ) -> list[Architecture]:
        for observation in observed:
            self._learn(observation)
        self._seen.update(pending)
        found: list[Architecture] = []
        while len(found) < count:
            architecture = self._ask() or self._draw()
            if architecture is None:
                break
            self._seen.add(architecture)
            found.append(architecture)
        return found

    def _learn(self, observation: Observation) -> None:
        architecture, accuracy = observation.architecture, observation.accuracy
        self._seen.add(architecture)
        if accuracy is None or architecture in self._told:
            return
        self._told.add(architecture)
        values = [accuracy, *self._exact(architecture)]
        number = self._open.pop(architecture, None)
        if number is not None:
            self._study.tell(number, values)
            return
        parameters = {"family": architecture.family, **architecture.parameters}
        known = {name: self._distributions[name] for name in parameters}
        self._study.add_trial(create_trial(values=values, params=parameters, distributions=known))

    def _exact(self, architecture: Architecture) -> list[float]:
        row = self._feasible.costs([architecture])[0]
        names = ("params", "macs", "activation_bytes", "depth")
        return [float(row[names.index(name)]) for name in self._costs]

    def _ask(self) -> Architecture | None:
        """The sampler's next proposal that may be trained; None where it finds none in a bounded number of tries."""
        for _ in range(TRIES):
            trial = self._study.ask()
            architecture = self._suggest(trial)
            if architecture not in self._seen and self._feasible.contains(architecture):
                self._open[architecture] = trial.number
                return architecture
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _draw(self) -> Architecture | None:
        drawn = self._feasible.sample(self._rng, DRAWS)
        return next((architecture for architecture in drawn if architecture not in self._seen), None)

    def _suggest(self, trial: Trial) -> Architecture:
        family = trial.suggest_categorical("family", [one.family for one in self._feasible.space.families])
        space = self._feasible.space.family(str(family))
        values = [*suggested(trial, space, space.shared, "")]
        for number, stage in enumerate(space.stages, 1):
            values += suggested(trial, space, stage, f"_{number}")
        return Architecture(family=space.family, values=tuple(values))


def suggested(trial: Trial, space: FamilySpace, domains: Sequence[Domain], suffix: str) -> list[tuple[str, Value]]:
    """The active, not fixed parameters of one segment, each asked of the trial."""
    given: dict[str, Value] = {}
    free: list[tuple[str, Value]] = []
    for domain in domains:
        if domain.when is not None and given.get(domain.when[0]) not in domain.when[1]:
            continue
        value: Value = domain.values[0]
        if len(domain.values) > 1:
            name = f"{space.family}.{domain.name}{suffix}"
            value = trial._suggest(name, CategoricalDistribution(domain.values))
            free.append((domain.name + suffix, value))
        given[domain.name] = value
    return free


def _tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _tpe_multivariate(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def _nsga2(seed: int) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)


def _gp(seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed)


def _random(seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


OPTUNA_SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "tpe-multivariate": _tpe_multivariate,
    "nsga2": _nsga2,
    "gp": _gp,
    "random": _random,
}
