"""Early stopping with several objectives: asynchronous successive halving, by promise or by non-dominated rank.

A trial pauses at each rung, and one in eta of those that reached it goes on. By promise (`orchestrator.extrapolation`) it
is the one that may add most to the front for each second of training. By rank, and while too little is known to guess, a
trial goes on that stands among the best 1/eta of the rung, ordered by non-dominated rank of (error at the rung, exact
costs), ties by the smaller error. Costs are known and exact, so a small network is never stopped for being less accurate
than a large one. Partial errors stay inside these files.
Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA, 2018), algorithm 2; the ranking by
non-dominated sorting follows Schmucker et al., "Multi-objective Asynchronous Successive Halving" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.extrapolation import Extrapolation, Partial, no_traits
from orchestrator.sampler.model import traits_of
from orchestrator.sampler.source import CandidateSource
from search_spaces.pareto import non_dominated_ranks

SHARE_BETWEEN_RANKINGS = 64  # a rung is ranked again when it grew by one part in so many; at first at each arrival


StoppedBy = Literal["promise", "rank"]
Order = Callable[[Iterable[int]], list[int] | None]


def _by_rank_alone(waiting: Iterable[int]) -> None:
    return None


@dataclass(slots=True)
class Rung:
    """All trials that reached one number of epochs, and which of them were let past.

    A large rung is not ranked again at each arrival, so that the mean work of an arrival grows as log n.
    """

    points: dict[int, tuple[float, ...]] = field(default_factory=dict)  # trial -> (error, cost, …), minimised
    promoted: set[int] = field(default_factory=set)
    by_promise: Order = _by_rank_alone
    _is_guessed: bool = False  # the order is by promise
    _order: list[int] = field(default_factory=list)  # from best to worst, as last ranked
    _changes: int = 0  # since then
    _next: int = 0  # all before this place in the order are past the rung

    def enter(self, trial: int, point: tuple[float, ...]) -> None:
        """A trial pauses here. One that is here already, as after a resume, keeps its point."""
        self.points.setdefault(trial, point)
        self._changes += 1

    def learn(self) -> None:
        """A trial was trained to the end, so others look different."""
        self._changes += 1

    def leave(self, trial: int) -> None:
        """Forgets a trial that failed later; its place is free again."""
        if self.points.pop(trial, None) is not None:
            self.promoted.discard(trial)
            self._changes += 1

    def best_waiting(self, allowed: int, waiting: Container[int], exact: bool) -> int | None:
        """The best of the `allowed` best that still waits here. exact: however little changed, rank again."""
        if self._changes > len(self.points) // SHARE_BETWEEN_RANKINGS or (exact and self._changes):
            self._rank()
        if self._is_guessed:
            allowed = len(self._order) if exact or len(self.promoted) < allowed else 0
        while self._next < min(allowed, len(self._order)):
            trial = self._order[self._next]
            if trial in waiting and trial in self.points and trial not in self.promoted:
                return trial
            self._next += 1
        return None

    def _rank(self) -> None:
        guessed = self.by_promise(trial for trial in self.points if trial not in self.promoted)
        self._is_guessed = guessed is not None
        if guessed is not None:
            self._order, self._changes, self._next = guessed, 0, 0
            return
        trials = list(self.points)
        points: NDArray[np.float64] = np.array([self.points[trial] for trial in trials], dtype=np.float64)
        if trials:
            order = np.lexsort((np.array(trials), points[:, 0], non_dominated_ranks(points)))
            trials = [trials[index] for index in order]
        self._order, self._changes, self._next = trials, 0, 0


class Promotion:
    """The rungs of a search: `epochs`, ascending and below the recipe's own; none: nothing ever pauses."""

    def __init__(
        self, epochs: tuple[int, ...], eta: float, last_epoch: int, extrapolation: Extrapolation | None = None
    ) -> None:
        """extrapolation: None where trials go on by rank alone."""
        if any(not 0 < epoch < last_epoch for epoch in epochs) or list(epochs) != sorted(set(epochs)):
            raise ValueError(
                f"rungs are ascending epochs between 0 and {last_epoch} (the recipe's), given {list(epochs)}"
            )
        self.epochs = epochs
        self.eta = eta
        self.last_epoch = last_epoch
        self._extrapolation = extrapolation
        self.rungs = [Rung(by_promise=self._order(epoch)) for epoch in epochs]

    def stop_epoch(self, rung: int) -> int:
        """Where a trial that was promoted past `rung` rungs pauses or ends."""
        return self.epochs[rung] if rung < len(self.epochs) else self.last_epoch

    def enter(self, trial: int, rung: int, point: tuple[float, ...], partial: Partial | None = None) -> None:
        """partial: what is known of it at this rung, where it is to be extrapolated."""
        if self._extrapolation is not None and partial is not None:
            self._extrapolation.enter(trial, partial)
        self.rungs[rung].enter(trial, point)

    def finish(self, trial: int, partial: Partial) -> None:
        """A trial of the search was trained to the end."""
        if self._extrapolation is not None and self.epochs:
            self._extrapolation.enter(trial, partial)
            for rung in self.rungs:
                rung.learn()

    def mark_promoted(self, trial: int, rung: int) -> None:
        self.rungs[rung].promoted.add(trial)

    def leave(self, trial: int) -> None:
        if self._extrapolation is not None:
            self._extrapolation.leave(trial)
        for rung in self.rungs:
            rung.leave(trial)

    def _order(self, epoch: int) -> Order:
        extrapolation = self._extrapolation
        if extrapolation is None:
            return _by_rank_alone
        return lambda waiting: extrapolation.order(epoch, waiting)

    def next(self, paused: dict[int, int], finishing: bool = False) -> int | None:
        """The paused trial (number -> rung) to let on now, highest rung first; None where none deserves it.

        While trials still arrive a rung lets floor(n / eta) pass; when no more will come (`finishing`) at least one.
        """
        for index in reversed(range(len(self.rungs))):
            rung = self.rungs[index]
            allowed = int(len(rung.points) / self.eta)
            if finishing and rung.points:
                allowed = max(allowed, 1)
            trial = rung.best_waiting(allowed, paused, finishing)
            if trial is not None:
                return trial
        return None


def make_promotion(
    epochs: tuple[int, ...],
    eta: float,
    last_epoch: int,
    by: StoppedBy,
    reference: tuple[float, ...],
    source: CandidateSource | None = None,
) -> Promotion:
    """reference: the worst (error, *costs) that counts. With three costs or more no promise is known: rank decides.

    source: where the architectures come from, so that they can be told apart; None: by costs and families alone.
    """
    if not epochs or by != "promise" or len(reference) > 3:
        return Promotion(epochs, eta, last_epoch)
    traits = traits_of(source) if source is not None else no_traits
    return Promotion(epochs, eta, last_epoch, Extrapolation(reference, (*epochs, last_epoch), traits))


def default_rungs(first: int, eta: float, last_epoch: int) -> tuple[int, ...]:
    """first, first * eta, … up to half of the epochs: later, stopping saves little."""
    rungs: list[int] = []
    epoch = float(first)
    while round(epoch) <= last_epoch / 2:
        rungs.append(round(epoch))
        epoch *= eta
    return tuple(dict.fromkeys(rungs))
