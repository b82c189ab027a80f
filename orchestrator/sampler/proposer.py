"""The face of everything that proposes architectures, ours and Optuna's alike. No framework knows this file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from search_spaces.space import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known of one training.

    accuracy: after the last epoch, the mean over `seeds` trainings; None where it was stopped or paused before.
    curve: the accuracy after each epoch so far; a training without a final accuracy counts through it, and it never
    enters the front. earlier: from another study, whose accuracies need only be alike, not equal. reference: trained
    here to be compared with; it teaches, but is not on the front of what was found. measured: the objectives that only
    workers can tell, in their order; empty where it was not measured, or under another study's conditions.
    """

    architecture: Architecture
    accuracy: float | None
    curve: tuple[float, ...] = ()
    seeds: int = 1
    earlier: bool = False
    reference: bool = False
    measured: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        known = self.curve if self.accuracy is None else (*self.curve, self.accuracy)
        if not all(math.isfinite(value) for value in known):
            raise ValueError(f"{self.architecture}: accuracies are finite fractions, given {known}")
        if not all(math.isfinite(value) and value > 0 for value in self.measured):
            raise ValueError(f"{self.architecture}: measured costs are positive numbers, given {self.measured}")


class Proposer(Protocol):
    """Proposes architectures to train. One instance serves one search, from one thread."""

    def propose(
        self, count: int, observed: Sequence[Observation], pending: Sequence[Architecture]
    ) -> list[Architecture]:
        """Up to `count` distinct members of the feasible set that were never seen; fewer where none are left.

        observed: what is new or changed since the last call (what was told before may be told again; that costs only
        time). pending: all that is being trained or waits for a worker now. Both count as seen from then on, as does
        what was proposed.
        """
