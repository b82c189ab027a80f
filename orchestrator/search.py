"""The search: carries the decisions' commands to pool, study, table and tracker, and their events back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from orchestrator.candidates import Catalogue
from orchestrator.checkpoints import Checkpoints
from orchestrator.decisions import (
    Command,
    Decisions,
    Event,
    Finish,
    Keep,
    Kill,
    Launch,
    Propose,
    Recorded,
    Stop,
    Tell,
    Tick,
)
from orchestrator.pools.protocol import Job, Pool
from orchestrator.proposing import Snapshot
from orchestrator.study import Study
from orchestrator.trials import Trial
from search_spaces.plan import Plan
from workers.places import Place
from workers.records import TrainRequest

WAIT_SECONDS = 0.2  # the longest that the loop sleeps
PROPOSAL_WAIT_SECONDS = 0.005  # at a time, where workers may report meanwhile

Row = TypeVar("Row")
Made = TypeVar("Made", covariant=True)
Taken = TypeVar("Taken", contravariant=True)


class Sink(Protocol[Taken]):
    """Whoever wants to know of changed trials: the table's writer, the tracker, the display."""

    def update(self, rows: Iterable[Taken]) -> None: ...


class TrialMaker(Protocol):
    """Who records trials: those that are trained from the start, and more when workers are free."""

    def begin(self, present: Sequence[Trial]) -> tuple[Trial, ...]:
        """Records what is to be trained before anything is proposed, and is not among the trials there are."""

    def note(self, trial: Trial) -> None:
        """Takes note of where a trial stands now."""

    def snapshot(self) -> Snapshot:
        """What a proposal may know."""

    def propose(self, count: int, snapshot: Snapshot) -> Recorded:
        """Records up to `count` new trials; runs on a thread of its own."""


class Rows(Protocol[Made]):
    """Makes the rows that the sinks take."""

    def row(self, trial: Trial) -> Made: ...


class Training(Protocol):
    """What a worker is asked to do for a trial."""

    def request(self, trial: Trial, plan: Plan, stop_epoch: int) -> TrainRequest: ...


@dataclass(slots=True, kw_only=True)
class OneRecipe:
    """Every trial of a search is trained alike."""

    template: TrainRequest
    place: Place  # of the checkpoints

    @staticmethod
    def checkpoint(trial: Trial) -> str:
        """The name of the trial's file there."""
        return f"trial-{trial.number:06d}.pt"

    def request(self, trial: Trial, plan: Plan, stop_epoch: int) -> TrainRequest:
        checkpoint = self.place.file(self.checkpoint(trial))
        return replace(self.template, key=str(trial.number), plan=plan, stop_epoch=stop_epoch, checkpoint=checkpoint)


class Search(Generic[Row]):
    """One run of the loop. `interrupt` may be called from a signal handler."""

    def __init__(
        self,
        study: Study,
        trials: Sequence[Trial],
        catalogue: Catalogue,
        decisions: Decisions,
        pool: Pool,
        maker: TrialMaker,
        rows: Rows[Row],
        training: Training,
        sinks: tuple[Sink[Row], ...],
        checkpoints: Checkpoints,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._study = study
        self._trials = trials
        self._catalogue = catalogue
        self._decisions = decisions
        self._pool = pool
        self._maker = maker
        self._rows = rows
        self._training = training
        self._sinks = sinks
        self._checkpoints = checkpoints
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="propose")
        self._proposals: Future[Recorded] | None = None
        self._changed: dict[int, Trial] = {}
        self._interrupted: str | None = None

    def interrupt(self, reason: str) -> None:
        self._interrupted = reason

    def run(self) -> str:
        """Runs until nothing is left to do; returns why it ended (done, exhausted, wall clock, or the interruption)."""
        try:
            self._start()
            while self._decisions.finished is None:
                self._study.hold()
                self._handle(self._events())
                self._publish()
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._checkpoints.close()
        return self._decisions.finished

    def _start(self) -> None:
        self._checkpoints.sweep(self._trials)
        self._decisions.restore(self._trials)
        for trial in self._decisions.trials.values():
            self._mark(trial)
        self._handle([Recorded(self._maker.begin(self._trials))])
        self._publish()

    def _events(self) -> list[Event]:
        events: list[Event] = []
        if self._interrupted is not None:
            events.append(Stop(self._interrupted))
        events += self._pool.events(0.0 if events else self._patience())
        if self._proposals is not None and self._proposals.done():
            events.append(self._proposals.result())
            self._proposals = None
        return [*events, Tick()]

    def _patience(self) -> float:
        """How long the pool may sleep. While a free worker waits for a proposal, the proposal is waited for instead."""
        if self._proposals is None or not self._decisions.free:
            return WAIT_SECONDS
        wait([self._proposals], PROPOSAL_WAIT_SECONDS)
        return 0.0

    def _handle(self, events: Sequence[Event]) -> None:
        """What follows from events is in the study before it is done: a crash in between repeats, and loses nothing."""
        commands: list[Command] = []
        for event in events:
            for trial in event.trials if isinstance(event, Recorded) else ():
                self._mark(trial)
            commands += self._decisions.handle(event, self._clock())
        waited = self._study.waited
        with self._study.grouped():
            for command in commands:
                self._write(command)
        if self._study.waited > waited:
            self._decisions.excuse(self._study.waited - waited)
        for command in commands:
            self._execute(command)

    def _write(self, command: Command) -> None:
        match command:
            case Keep(number, report):
                self._study.keep(self._decisions.trials[number], report)
            case Tell(number):
                self._study.tell(self._decisions.trials[number])
            case _:
                return
        self._mark(self._decisions.trials[number])

    def _mark(self, trial: Trial) -> None:
        """The trial changed: sampler, table, tracker and display shall know."""
        self._changed[trial.number] = trial
        self._maker.note(trial)

    def _execute(self, command: Command) -> None:
        match command:
            case Propose(count):
                self._proposals = self._thread.submit(self._maker.propose, count, self._maker.snapshot())
            case Launch(number, attempt, worker, stop_epoch):
                self._launch(self._decisions.trials[number], attempt, worker, stop_epoch)
            case Tell(number):
                self._checkpoints.ended(self._decisions.trials[number])
            case Kill(worker, _):
                self._pool.kill(worker)
            case Keep() | Finish():
                pass

    def _launch(self, trial: Trial, attempt: int, worker: str, stop_epoch: int) -> None:
        request = self._training.request(trial, self._catalogue.plan(trial.candidate), stop_epoch)
        if trial.micro_batch is not None:
            request = replace(request, recipe=replace(request.recipe, micro_batch=trial.micro_batch))
        if trial.measured is not None:
            request = replace(request, measure=None)  # once is enough
        self._pool.launch(worker, Job(number=trial.number, attempt=attempt, request=request))

    def _publish(self) -> None:
        rows = [self._rows.row(trial) for trial in self._changed.values()]
        self._changed.clear()
        for sink in self._sinks:
            sink.update(rows)
