"""The checkpoints of a search: kept while a trial may go on, and handed on or removed once it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from orchestrator.trials import ENDED, Trial
from workers.places import Folder, Place


class Keeper(Protocol):
    """Whoever wants the last checkpoints of some of the trials that ended."""

    def take(self, trial: Trial, place: Place, name: str) -> None:
        """The trial ended; what is still at `name` afterwards is removed. OSError where it cannot be had now."""


class Checkpoints:
    """Those of one search, in a place that holds nothing else. A bucket is waited for on a thread of its own.

    A place that fails is no fault of the search: what it could not do is tried again at the end, and at the next start.
    """

    def __init__(
        self, place: Place, name: Callable[[Trial], str], say: Callable[[str], None], keeper: Keeper | None = None
    ) -> None:
        self._place = place
        self._name = name
        self._say = say
        self._keeper = keeper
        self._left: list[Trial] = []
        self._under_way: list[Future[None]] = []
        self._thread = None if isinstance(place, Folder) else ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    def sweep(self, trials: Iterable[Trial]) -> None:
        """Ends the trials that had ended when their driver was killed before it did this. OSError: no such place."""
        ended = {_stem(self._name(trial)): trial for trial in trials if trial.phase in ENDED}
        for stem in ended.keys() & {_stem(name) for name in self._place.names()}:
            self._end(ended[stem], alone=False)

    def ended(self, trial: Trial) -> None:
        """The trial's checkpoint is taken by the keeper, or goes."""
        # otherwise there may be the one before, and what killed workers left half-written
        alone = trial.epochs <= 1 and trial.attempts <= 1
        if self._thread is None:
            self._end(trial, alone)
        else:
            self._under_way = [each for each in self._under_way if not each.done() or each.exception()]
            self._under_way.append(self._thread.submit(self._end, trial, alone))

    def close(self) -> None:
        """Waits for what is under way, and tries once more what failed; raises what was no fault of the place."""
        if self._thread is not None:
            self._thread.shutdown()
        left, self._left = self._left, []
        for trial in left:
            self._end(trial, alone=False)
        for each in self._under_way:
            each.result()

    def _end(self, trial: Trial, alone: bool) -> None:
        name = self._name(trial)
        try:
            if self._keeper is not None:
                self._keeper.take(trial, self._place, name)
            self._place.remove(name, alone=alone)
        except OSError as error:
            self._say(f"trial {trial.number}: its checkpoint stays where it is for now ({error})")
            self._left.append(trial)


def _stem(name: str) -> str:
    """What a checkpoint's file and those beside it share."""
    return name.partition(".")[0]
