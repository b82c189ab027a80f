"""Proposals become recorded trials: asked of the proposer, checked for budget and novelty, written to the study."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import BaseDistribution

from orchestrator.candidates import Catalogue
from orchestrator.decisions import Recorded
from orchestrator.sampler.ledger import Ledger
from orchestrator.sampler.proposer import Observation, Proposer
from orchestrator.sampler.references import reference_points
from orchestrator.study import Study
from orchestrator.trials import Trial
from search_spaces.space import Architecture

TRIES = 5  # proposals that were all seen or over budget, before the space counts as exhausted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a proposal may know: trainings that ended or paused since the last one, and what is still being trained."""

    observed: tuple[Observation, ...]
    pending: tuple[Architecture, ...]


class Proposing:
    """The only maker of trials. `propose` runs on a thread of its own, so that no worker waits for it.

    warm: what earlier studies have shown. references: names of networks that are trained beside; they teach too.
    measured: the objectives that only workers can tell.
    """

    def __init__(
        self,
        study: Study,
        catalogue: Catalogue,
        proposer: Proposer,
        distributions: dict[str, BaseDistribution],
        warm: Sequence[Observation] = (),
        references: Sequence[str] = (),
        measured: Sequence[str] = (),
    ) -> None:
        self._study = study
        self._catalogue = catalogue
        self._proposer = proposer
        self._distributions = distributions
        self._references = tuple(dict.fromkeys(references))
        self._ledger = Ledger(warm, reference_points(catalogue.space, references), measured)
        self.seconds = 0.0  # that the proposer took

    def begin(self, present: Sequence[Trial]) -> tuple[Trial, ...]:
        """Records the reference networks that the study does not hold yet."""
        held = {trial.candidate.name for trial in present if trial.candidate.source == "reference"}
        missing = [self._catalogue.reference(name) for name in self._references if name not in held]
        return tuple(self._study.record_all(missing, {}))

    def note(self, trial: Trial) -> None:
        """Takes note of where a trial stands now."""
        self._ledger.changed(trial)

    def snapshot(self) -> Snapshot:
        """What changed since the last snapshot, and all that is pending."""
        return Snapshot(*self._ledger.take())

    def propose(self, count: int, snapshot: Snapshot) -> Recorded:
        """Up to `count` new trials; fewer only where the space is exhausted."""
        trials: list[Trial] = []
        observed = snapshot.observed
        for _ in range(TRIES):
            pending = (*snapshot.pending, *(t.candidate.architecture for t in trials if t.candidate.architecture))
            began = time.perf_counter()
            proposals = self._proposer.propose(count - len(trials), observed, pending)
            self.seconds += time.perf_counter() - began
            admitted = [self._catalogue.admit(architecture) for architecture in proposals]
            candidates = [candidate for candidate in admitted if candidate is not None]
            trials += self._study.record_all(candidates, self._distributions)
            observed = ()  # told once
            if len(trials) >= count or not proposals:
                break
        return Recorded(tuple(trials), exhausted=len(trials) < count)
