"""Proposals become recorded trials: asked of the proposer, checked for budget and novelty, written to the study."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import BaseDistribution

from orchestrator.candidates import Catalogue
from orchestrator.decisions import Decisions, Recorded
from orchestrator.sampler.proposer import Observation, Proposer
from orchestrator.study import Study
from orchestrator.trials import ENDED, Trial
from search_spaces.space import Architecture

TRIES = 5  # proposals that were all seen or over budget, before the space counts as exhausted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a proposal may know: finished trainings, and architectures that are still being trained."""

    observed: tuple[Observation, ...]
    pending: tuple[Architecture, ...]


class Proposing:
    """The only maker of trials. `propose` runs on a thread of its own, so that no worker waits for it."""

    def __init__(
        self,
        study: Study,
        catalogue: Catalogue,
        proposer: Proposer,
        distributions: dict[str, BaseDistribution],
        warm: Sequence[Observation] = (),
    ) -> None:
        self._study = study
        self._catalogue = catalogue
        self._proposer = proposer
        self._distributions = distributions
        self._warm = tuple(warm)
        self.seconds = 0.0  # that the proposer took

    def record_references(self, names: Sequence[str], present: Sequence[Trial]) -> tuple[Trial, ...]:
        """Records the reference networks that the study does not hold yet."""
        held = {trial.candidate.name for trial in present if trial.candidate.source == "reference"}
        missing = [self._catalogue.reference(name) for name in dict.fromkeys(names) if name not in held]
        return tuple(self._study.record(candidate, {}) for candidate in missing)

    def snapshot(self, decisions: Decisions) -> Snapshot:
        observed = list(self._warm)
        pending = []
        for trial in decisions.trials.values():
            architecture = trial.candidate.architecture
            if architecture is None:
                continue
            if trial.accuracy is not None:
                observed.append(Observation(architecture=architecture, accuracy=trial.accuracy))
            elif trial.phase not in ENDED:
                pending.append(architecture)
        return Snapshot(tuple(observed), tuple(pending))

    def propose(self, count: int, snapshot: Snapshot) -> Recorded:
        """Up to `count` new trials; fewer only where the space is exhausted."""
        trials: list[Trial] = []
        for _ in range(TRIES):
            pending = (*snapshot.pending, *(t.candidate.architecture for t in trials if t.candidate.architecture))
            began = time.perf_counter()
            proposals = self._proposer.propose(count - len(trials), snapshot.observed, pending)
            self.seconds += time.perf_counter() - began
            for architecture in proposals:
                candidate = self._catalogue.admit(architecture)
                if candidate is not None:
                    trials.append(self._study.record(candidate, self._distributions))
            if len(trials) >= count or not proposals:
                break
        return Recorded(tuple(trials), exhausted=len(trials) < count)
