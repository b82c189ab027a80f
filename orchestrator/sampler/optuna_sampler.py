"""Our sampler for plain Optuna: `optuna.create_study(sampler=IgcvSampler(space, budget), directions=[...])`.

The study's first objective is the accuracy (maximised) or the error (minimised); the others are known without training
and are taken from the architecture. An objective asks for its architecture with `suggest_architecture`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from orchestrator.sampler.hypervolume import HypervolumeProposer
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.questions import space_questions
from orchestrator.sampler.source import FeasibleSource
from orchestrator.sampler.space import FAMILY, distributions, suggest
from search_spaces.block_costs import CostName
from search_spaces.feasible import Budget, FeasibleSet
from search_spaces.space import Architecture, Space


def suggest_architecture(trial: Trial, space: Space) -> Architecture:
    """The architecture that a trial's sampler proposes; `space.plan` of it is the network."""
    return suggest(trial, space_questions(space), distributions(space))


def earlier_observations(study: Study, space: Space) -> list[Observation]:
    """The finished trainings of another study whose networks are points of this space, for a warm start."""
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        architecture = _architecture(space, trial)
        if architecture is not None:
            accuracy, curve = _accuracy(study, trial), _curve(study, trial)
            found.append(Observation(architecture=architecture, accuracy=accuracy, curve=curve, earlier=True))
    return found


class IgcvSampler(BaseSampler):
    """Models accuracy alone and proposes whole, feasible, unseen architectures by expected hypervolume improvement.

    costs: one or two of macs, params, activation_bytes, depth. reference_costs: the worst of each that counts (None: the
    budget, else the dearest member). first: architectures to begin with. earlier: what other studies have shown.
    Stopped trials teach through their intermediate values, failed ones nothing; neither is proposed again. One sampler
    serves one study at a time.
    """

    def __init__(
        self,
        space: Space,
        budget: Budget | None = None,
        *,
        costs: Sequence[CostName] = ("macs",),
        reference_error: float = 0.5,
        reference_costs: Sequence[float] | None = None,
        seed: int | None = None,
        first: Sequence[Architecture] = (),
        earlier: Iterable[Observation] = (),
    ) -> None:
        self._feasible = FeasibleSet(space, budget or Budget())
        self._distributions = distributions(space)
        self._costs = tuple(costs)
        self._reference = (reference_error, *(reference_costs or [self._bound(name) for name in costs]))
        self._seed = seed if seed is not None else int(np.random.default_rng().integers(1 << 31))
        self._first, self._earlier = tuple(first), tuple(earlier)
        self._independent = RandomSampler(seed=self._seed)
        self._lock = threading.Lock()
        self._forget_study()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter of every family of the space."""
        return dict(self._distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The family and the active parameters of one architecture."""
        with self._lock:
            architecture = self._propose(study, trial.number)
        return {FAMILY: architecture.family, **architecture.parameters}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Parameters that are not of the space are drawn at random."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def __getstate__(self) -> dict[str, Any]:
        """Without the lock and what was read of a study, so that a study can be sent to other processes."""
        own = ("_feasible", "_distributions", "_costs", "_reference", "_seed", "_first", "_earlier", "_independent")
        return {name: getattr(self, name) for name in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._forget_study()

    def _forget_study(self) -> None:
        source = FeasibleSource(self._feasible)
        self._proposer = HypervolumeProposer(source, self._costs, self._reference, self._seed, self._first)
        self._study: tuple[int, int] | None = None  # its storage and its number there
        self._settled: set[int] = set()  # ended trials that the proposer knows
        self._proposed: dict[int, Architecture] = {}  # to trials that may not have asked for their parameters yet

    def _bound(self, cost: CostName) -> float:
        most = self._feasible.budget.limits(cost)[1]
        return float(most if most is not None else self._feasible.cost_range(cost)[1])

    def _propose(self, study: Study, number: int) -> Architecture:
        owner = (id(study._storage), study._study_id)
        if self._study not in (None, owner):
            self._forget_study()
        observed = [] if self._study == owner else list(self._earlier)
        self._study = owner
        pending = []
        for trial in study.get_trials(deepcopy=False):
            if trial.state is TrialState.RUNNING and trial.number != number:
                pending.append(_architecture(self._feasible.space, trial) or self._proposed.get(trial.number))
            elif trial.state.is_finished() and trial.number not in self._settled:
                observed += self._settle(study, trial)
        found = self._proposer.propose(1, observed, [one for one in pending if one is not None])
        self._proposed[number] = found[0] if found else self._repeat()
        return self._proposed[number]

    def _settle(self, study: Study, trial: FrozenTrial) -> list[Observation]:
        self._settled.add(trial.number)
        architecture = _architecture(self._feasible.space, trial) or self._proposed.get(trial.number)
        self._proposed.pop(trial.number, None)
        if architecture is None:
            return []
        accuracy = _accuracy(study, trial) if trial.state is TrialState.COMPLETE else None
        curve = () if trial.state is TrialState.FAIL else _curve(study, trial)
        return [Observation(architecture=architecture, accuracy=accuracy, curve=curve)]

    def _repeat(self) -> Architecture:
        warnings.warn("every network within the budget was proposed; this one is a repetition", stacklevel=2)
        return self._feasible.sample(np.random.default_rng(len(self._settled)), 1)[0]


def _architecture(space: Space, trial: FrozenTrial) -> Architecture | None:
    """The point of the space that a trial stands for; None where its parameters are incomplete or of another space."""
    if FAMILY not in trial.params:
        return None
    own = {name: value for name, value in trial.params.items() if name.startswith(f"{trial.params[FAMILY]}.")}
    try:
        return space.from_parameters(trial.params[FAMILY], own)
    except ValueError:
        return None


def _accuracy(study: Study, trial: FrozenTrial) -> float:
    return _as_accuracy(study, trial.values[0])


def _curve(study: Study, trial: FrozenTrial) -> tuple[float, ...]:
    """The accuracy after each epoch: intermediate values, where there is one for every epoch from the first on."""
    steps = sorted(trial.intermediate_values)
    if steps != list(range(1, len(steps) + 1)):
        return ()
    return tuple(_as_accuracy(study, trial.intermediate_values[step]) for step in steps)


def _as_accuracy(study: Study, value: float) -> float:
    return float(value) if study.directions[0] is StudyDirection.MAXIMIZE else 1.0 - float(value)
