"""Optuna's own samplers as proposers: they propose on a study in memory, fed with running and completed trials only.

The real study holds stopped trials with curves, on which several samplers of Optuna raise when there are several
objectives. A proposal that was seen before is told as failed; one over the budget is told with its exact costs, its
violated limits and a middling accuracy, so that samplers that heed constraints learn the budget. After a bounded number
of tries a uniform feasible draw takes its place: the search never stalls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState, create_trial

from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.source import CandidateSource, cost_columns
from orchestrator.sampler.space import FAMILY, question_distributions, suggest
from search_spaces.space import Architecture

TRIES = 20
DRAWS, ROUNDS = 256, 24
LESSONS = 1  # proposals over budget that are told, for each training; more would only slow the sampler


class ShadowProposer:
    """Any sampler of Optuna behind the budget and the memory of what was trained.

    guarded: False lets duplicates and proposals over the budget pass, as a plain study would train them. measured: how
    many objectives only workers can tell; the sampler learns them as it learns accuracy.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        source: CandidateSource,
        costs: Sequence[str],
        seed: int,
        guarded: bool = True,
        measured: int = 0,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * (len(costs) + measured)]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._source = source
        self._columns = cost_columns(source, costs)
        self._distributions = question_distributions(source.questions)
        self._rng = np.random.default_rng(seed)
        self._guarded = guarded
        self._measured = measured
        self._open: dict[Architecture, list[Trial]] = {}  # proposed, and not yet ended
        self._seen: set[Architecture] = set()
        self._told: set[Architecture] = set()
        self._accuracies: list[float] = []
        self._lessons = 0

    def propose(
        self, count: int, observed: Sequence[Observation], pending: Sequence[Architecture]
    ) -> list[Architecture]:
        for observation in observed:
            self._learn(observation)
        self._seen.update(pending)
        self._drop_all_but(pending)
        found: list[Architecture] = []
        while len(found) < count:
            architecture = self._ask() or self._draw()
            if architecture is None:
                break
            self._seen.add(architecture)
            found.append(architecture)
        return found

    # What ended

    def _learn(self, observation: Observation) -> None:
        architecture, accuracy = observation.architecture, observation.accuracy
        if not observation.earlier:
            self._seen.add(architecture)
        running = self._open.get(architecture, [])
        if accuracy is None or (architecture in self._told and not running):
            return
        if self._weigh(architecture) is None:
            return  # from another space
        if len(observation.measured) != self._measured:
            return  # not measured, or elsewhere
        self._told.add(architecture)
        self._accuracies.append(accuracy)
        if running:
            self._tell(running.pop(0), architecture, accuracy, observation.measured)
        else:
            self._add(architecture, accuracy, observation.measured)

    def _tell(
        self, trial: Trial, architecture: Architecture, accuracy: float, measured: tuple[float, ...] = ()
    ) -> None:
        weighed = self._weigh(architecture)
        assert weighed is not None
        costs, excess = weighed
        for name, value in excess.items():
            trial.set_constraint(name, value)
        self._study.tell(trial, [accuracy, *costs, *measured])

    def _add(self, architecture: Architecture, accuracy: float, measured: tuple[float, ...]) -> None:
        """A training that this proposer did not ask for."""
        weighed = self._weigh(architecture)
        assert weighed is not None
        costs, excess = weighed
        parameters = {FAMILY: architecture.family, **architecture.parameters}
        known = {name: self._distributions[name] for name in parameters}
        self._study.add_trial(
            create_trial(
                values=[accuracy, *costs, *measured], params=parameters, distributions=known, constraints=excess
            )
        )

    def _weigh(self, architecture: Architecture) -> tuple[list[float], dict[str, float]] | None:
        """The costs that are objectives, and by how much each limit is exceeded; None where it makes no network."""
        try:
            code = self._source.encode([architecture])
        except ValueError:
            return None
        return self._source.costs(code)[0, self._columns].tolist(), self._source.excess(code)

    def _drop_all_but(self, pending: Sequence[Architecture]) -> None:
        """What neither ended well nor still trains was stopped or failed."""
        running = set(pending)
        for architecture in [one for one in self._open if one not in running]:
            for trial in self._open.pop(architecture):
                self._study.tell(trial, state=TrialState.FAIL)

    # What to train

    def _ask(self) -> Architecture | None:
        """The sampler's next proposal that may be trained; None where it finds none in a bounded number of tries."""
        for _ in range(TRIES):
            trial = self._study.ask()
            proposed = suggest(trial, self._source.questions, self._distributions)
            architecture = self._source.nearest(proposed)
            if architecture is not None and self._may_pass(architecture):
                self._open.setdefault(architecture, []).append(trial)
                return architecture
            self._refuse(trial, architecture)
        return None

    def _may_pass(self, architecture: Architecture) -> bool:
        return not self._guarded or (architecture not in self._seen and self._source.contains(architecture))

    def _refuse(self, trial: Trial, architecture: Architecture | None) -> None:
        over = architecture is not None and not self._source.contains(architecture)
        may_teach = not self._measured and self._lessons < LESSONS * len(self._accuracies)
        if architecture is not None and over and may_teach:
            self._lessons += 1
            self._tell(trial, architecture, float(np.median(self._accuracies)))
        else:
            self._study.tell(trial, state=TrialState.FAIL)

    def _draw(self) -> Architecture | None:
        for _ in range(ROUNDS):
            for architecture in self._source.decode(self._source.sample(self._rng, DRAWS)):
                if architecture not in self._seen:
                    return architecture
        return None


def _tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _tpe_multivariate(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


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
