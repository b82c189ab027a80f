"""Early stopping with several objectives: asynchronous successive halving by non-dominated rank.

A trial pauses at each rung. It goes on when it stands among the best 1/eta of all that reached the rung, ordered by
non-dominated rank of (error at the rung, exact costs), ties by the smaller error. Costs are known and exact, so a small
network is never stopped for being less accurate than a large one. Partial errors stay inside this file.
Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA, 2018), algorithm 2; the ranking by
non-dominated sorting follows Schmucker et al., "Multi-objective Asynchronous Successive Halving" (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from search_spaces.pareto import non_dominated_ranks


@dataclass(slots=True)
class Rung:
    """All trials that reached one number of epochs, and which of them were let past."""

    points: dict[int, tuple[float, ...]] = field(default_factory=dict)  # trial -> (error, cost, …), minimised
    promoted: set[int] = field(default_factory=set)
    _order: list[int] | None = None

    def enter(self, trial: int, point: tuple[float, ...]) -> None:
        if trial not in self.points:
            self.points[trial] = point
            self._order = None

    def leave(self, trial: int) -> None:
        """Forgets a trial that failed later; its place is free again."""
        if self.points.pop(trial, None) is not None:
            self.promoted.discard(trial)
            self._order = None

    def order(self) -> list[int]:
        """Trials from best to worst."""
        if self._order is None:
            trials = list(self.points)
            points: NDArray[np.float64] = np.array([self.points[trial] for trial in trials], dtype=np.float64)
            ranks = non_dominated_ranks(points) if trials else np.zeros(0)
            self._order = [
                trials[i] for i in sorted(range(len(trials)), key=lambda i: (ranks[i], points[i, 0], trials[i]))
            ]
        return self._order


class Promotion:
    """The rungs of a search: `epochs`, ascending and below the recipe's own; none: nothing ever pauses."""

    def __init__(self, epochs: tuple[int, ...], eta: float, last_epoch: int) -> None:
        if any(not 0 < epoch < last_epoch for epoch in epochs) or list(epochs) != sorted(set(epochs)):
            raise ValueError(
                f"rungs are ascending epochs between 0 and {last_epoch} (the recipe's), given {list(epochs)}"
            )
        self.epochs = epochs
        self.eta = eta
        self.last_epoch = last_epoch
        self.rungs = [Rung() for _ in epochs]

    def stop_epoch(self, rung: int) -> int:
        """Where a trial that was promoted past `rung` rungs pauses or ends."""
        return self.epochs[rung] if rung < len(self.epochs) else self.last_epoch

    def enter(self, trial: int, rung: int, point: tuple[float, ...]) -> None:
        self.rungs[rung].enter(trial, point)

    def mark_promoted(self, trial: int, rung: int) -> None:
        self.rungs[rung].promoted.add(trial)

    def leave(self, trial: int) -> None:
        for rung in self.rungs:
            rung.leave(trial)

    def next(self, paused: dict[int, int], finishing: bool = False) -> int | None:
        """The paused trial (number -> rung) to let on now, highest rung first; None where none deserves it.

        While trials still arrive a rung lets floor(n / eta) pass; when no more will come (`finishing`) at least one.
        """
        for index in reversed(range(len(self.rungs))):
            rung = self.rungs[index]
            allowed = int(len(rung.points) / self.eta)
            if finishing and rung.points:
                allowed = max(allowed, 1)
            for trial in rung.order()[:allowed]:
                if paused.get(trial) == index and trial not in rung.promoted:
                    return trial
        return None


def default_rungs(first: int, eta: float, last_epoch: int) -> tuple[int, ...]:
    """first, first * eta, … below the last epoch."""
    rungs: list[int] = []
    epoch = float(first)
    while round(epoch) < last_epoch:
        rungs.append(round(epoch))
        epoch *= eta
    return tuple(dict.fromkeys(rungs))
