"""Which trial to launch, promote, pause, end or give up: events in, commands out, no I/O and no clock.

The caller records candidates before it reports them here, executes every command, and passes time in as a number, so
the whole search runs as well in a simulator. Messages of an earlier attempt, repeated or late ones are dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from orchestrator.extrapolation import Partial
from orchestrator.packing import Packing
from orchestrator.promotion import Promotion
from orchestrator.trials import ENDED, Trial
from workers.measured import MeasuredName
from workers.records import EpochReport, Failure, Message, Metrics

CostName = Literal["macs", "params"] | MeasuredName
MOST_UNBEGUN = (
    12  # workers in turn that were dead before they took a trial up, or that it killed before they could say so
)
MOST_AHEAD = 16  # trials recorded ahead of need for each worker
AHEAD_KEPT = 0.9  # of them the next time, where no worker waited


# Events


@dataclass(frozen=True, slots=True)
class Recorded:
    """New trials stand in the study; `asked` proposals were wanted, fewer came where the space is exhausted."""

    trials: tuple[Trial, ...]
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker is there; `memory`: the bytes of its share, None where nothing bounds it."""

    worker: str
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone, whatever it was doing; `began`: whether it had taken up the trial that it was given.

    short_of_memory: it was ended because its machine's memory was full.
    """

    worker: str
    reason: str = "the worker died"
    began: bool = True
    short_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A worker's message about one attempt of one trial."""

    number: int
    attempt: int
    message: Message


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No more launches and no more waiting: running trials stay for a resume."""

    reason: str


Event = Recorded | Joined | Lost | Said | Tick | Stop


# Commands


@dataclass(frozen=True, slots=True)
class Propose:
    count: int


@dataclass(frozen=True, slots=True)
class Launch:
    """Train `trial` on `worker` up to `stop_epoch`, from its checkpoint where it has one, in parts of its micro-batch."""

    number: int
    attempt: int
    worker: str
    stop_epoch: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Write the trial's new phase (training, paused, lost) or epoch to the study."""

    number: int
    report: EpochReport | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """The trial has ended; its phase says how."""

    number: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker that does not answer; the pool replaces it."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do, or the search was stopped."""

    reason: str


Command = Propose | Launch | Keep | Tell | Kill | Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends a search and its trials. Seconds are in the caller's clock."""

    trials: int | None = None
    deadline: float | None = None  # no launch after this time; what runs may end, the rest waits for a resume
    time_limit: float | None = None  # of one training
    grace: float = 60.0  # beyond the time limit before the worker is killed
    max_losses: int = 3  # workers that one trial may lose in the same epoch: then it is the trial, not the machine
    ahead: int = 1  # trials recorded ahead of need, at least; more where trials are so short that workers wait for them


class Decisions:
    """The state of a search. `handle` is the only way in; `trials` is for reading."""

    def __init__(
        self,
        limits: Limits,
        promotion: Promotion,
        costs: tuple[CostName, ...] = ("macs",),
        packing: Packing | None = None,
    ) -> None:
        self.limits = limits
        self.promotion = promotion
        self.costs = costs
        self.packing = packing
        self.trials: dict[int, Trial] = {}
        self.free: deque[str] = deque()
        self.running: dict[str, int] = {}  # worker -> trial
        self.finished: str | None = None
        self._queue: deque[int] = deque()  # recorded or lost, to be launched
        self._paused: dict[int, int] = {}  # trial -> rung
        self._deadlines: dict[str, float] = {}
        self._searched = 0  # search trials recorded
        self._proposing = 0
        self._launched = 0  # since the last proposal was asked for
        self._ahead = float(limits.ahead)
        self._exhausted = False
        self._killed: dict[str, Failure] = {}
        self._shares: dict[str, int | None] = {}  # worker -> bytes

    def restore(self, trials: Iterable[Trial]) -> None:
        """Takes up the trials of an earlier run: what was queued, training or lost waits for a worker again."""
        for trial in trials:
            self._adopt(trial)
            if trial.phase not in ENDED and trial.phase != "paused":
                (self._queue.append if trial.phase == "queued" else self._queue.appendleft)(trial.number)
            self._restore_rungs(trial)

    def handle(self, event: Event, now: float) -> list[Command]:
        """The commands that follow from an event at a time (seconds)."""
        if self.finished is not None:
            return []
        match event:
            case Recorded():
                commands = self._recorded(event)
            case Joined(worker, memory):
                commands = self._joined(worker, memory)
            case Lost():
                commands = self._lost(event, now)
            case Said(number, attempt, message):
                commands = self._said(number, attempt, message, now)
            case Tick():
                commands = self._overdue(now)
            case Stop(reason):
                self.finished = reason
                return [Finish(reason)]
        return commands + self._assign(now)

    def excuse(self, seconds: float) -> None:
        """For so long nobody was listened to, and no worker is late because of it."""
        self._deadlines = {worker: deadline + seconds for worker, deadline in self._deadlines.items()}

    @property
    def unfinished(self) -> bool:
        """Whether trials wait, run or are paused."""
        return bool(self._queue or self.running or self._paused)

    # Events

    def _adopt(self, trial: Trial) -> None:
        assert trial.number not in self.trials, f"trial {trial.number} is recorded twice"
        self.trials[trial.number] = trial
        self._searched += trial.candidate.source == "search"

    def _recorded(self, event: Recorded) -> list[Command]:
        self._proposing = 0
        self._look_ahead()
        self._exhausted = event.exhausted
        for trial in event.trials:
            self._adopt(trial)
            self._queue.append(trial.number)
        return []

    def _look_ahead(self) -> None:
        """As many as were launched while the last ones were made; twice as many as before where a worker waited."""
        waited = self.free and self._searched
        ahead = min(2 * self._ahead, MOST_AHEAD * len(self._shares)) if waited else AHEAD_KEPT * self._ahead
        self._ahead = max(self.limits.ahead, self._launched, ahead)

    def _joined(self, worker: str, memory: int | None) -> list[Command]:
        self._shares[worker] = memory
        if worker not in self.running and worker not in self.free:
            self.free.append(worker)
        return []

    def _lost(self, event: Lost, now: float) -> list[Command]:
        worker, reason, began = event.worker, event.reason, event.began
        if worker in self.free:
            self.free.remove(worker)
        self._deadlines.pop(worker, None)
        share = self._shares.pop(worker, None)
        number = self.running.pop(worker, None)
        failure = self._killed.pop(worker, None)
        if number is None:
            return []
        trial = self.trials[number]
        if failure is not None:
            return self._end(trial, failure, now)
        if event.short_of_memory and began and self.packing is not None:
            short = Failure(key=str(number), kind="out_of_memory", message=reason, epochs=trial.epochs)
            return self._failed(trial, short, share, now)
        trial.losses += began
        trial.stuck += began
        trial.unbegun += not began
        if trial.stuck >= self.limits.max_losses or trial.unbegun >= MOST_UNBEGUN:
            times = trial.stuck + trial.unbegun
            lost = f"epoch {trial.epochs + 1} has lost its worker {times} times; the last time: {reason}"
            message = f"gave up on {trial.candidate.name}: {lost}"
            return self._end(trial, Failure(key=str(number), kind="lost", message=message, epochs=trial.epochs), now)
        trial.turn("lost", now)
        self._queue.appendleft(number)
        return [Keep(number)]

    def _said(self, number: int, attempt: int, message: Message, now: float) -> list[Command]:
        trial = self.trials.get(number)
        if trial is None or trial.phase != "training" or attempt != trial.attempts:
            return []
        if isinstance(message, EpochReport):
            return self._epoch(trial, message)
        worker = trial.worker
        assert worker is not None
        del self.running[worker]
        self._deadlines.pop(worker, None)
        self.free.append(worker)
        if isinstance(message, Failure):
            return self._failed(trial, message, self._shares.get(worker), now)
        self._fill_curve(trial, message)
        trial.measured = message.measured or trial.measured
        unknown = [name for name in self.costs if trial.cost(name) is None]
        if unknown:
            text = f"its worker measured no {' and no '.join(unknown)}, an objective of this study"
            return self._end(trial, Failure(key=str(number), kind="exception", message=text, epochs=trial.epochs), now)
        if message.epochs < self.promotion.last_epoch:
            return self._pause(trial, now)
        trial.metrics = message
        return self._end(trial, None, now)

    def _failed(self, trial: Trial, failure: Failure, share: int | None, now: float) -> list[Command]:
        """Out of memory is tried once more in smaller parts; the curve so far stays, as its checkpoint does."""
        if failure.kind != "out_of_memory" or self.packing is None:
            return self._end(trial, failure, now)
        smaller = self.packing.smaller(trial)
        if smaller is None:
            return self._end(trial, self.packing.explained(trial, failure, share), now)
        trial.micro_batch, trial.shrunk = smaller, True
        trial.turn("queued", now)
        self._queue.appendleft(trial.number)
        return [Keep(trial.number)]

    def _epoch(self, trial: Trial, report: EpochReport) -> list[Command]:
        if report.epoch <= trial.epochs:
            return []
        trial.stuck = 0
        trial.curve.append(report)
        return [Keep(trial.number, report)]

    def _fill_curve(self, trial: Trial, metrics: Metrics) -> None:
        """A resumed attempt knows the epochs that an earlier worker finished and never reported."""
        if len(metrics.curve) >= len(trial.curve):
            trial.curve = list(metrics.curve)

    def _pause(self, trial: Trial, now: float) -> list[Command]:
        trial.turn("paused", now)
        self._paused[trial.number] = trial.rung
        epoch = self.promotion.stop_epoch(trial.rung)
        self.promotion.enter(trial.number, trial.rung, self._point(trial, epoch), self._partial(trial, epoch))
        return [Keep(trial.number)]

    def _end(self, trial: Trial, failure: Failure | None, now: float) -> list[Command]:
        trial.failure = failure
        trial.turn("failed" if failure else "complete", now)
        if failure:
            self.promotion.leave(trial.number)
        else:
            self._learn(trial)
        return [Tell(trial.number)]

    def _overdue(self, now: float) -> list[Command]:
        commands: list[Command] = []
        for worker, deadline in list(self._deadlines.items()):
            if now >= deadline:
                del self._deadlines[worker]
                number = self.running[worker]
                message = f"no end {self.limits.grace:g} s after its time limit of {self.limits.time_limit:g} s"
                self._killed[worker] = Failure(key=str(number), kind="time_limit", message=message)
                commands.append(Kill(worker, f"trial {number}: {message}"))
        return commands

    # What to do next

    def _assign(self, now: float) -> list[Command]:
        commands: list[Command] = []
        past = self._past_deadline(now)
        while self.free and not past:
            number = self._next(now)
            if number is None:
                break
            commands += self._start(self.trials[number], now)
        commands += self._propose(now)
        if past and not self.running:
            self.finished = "wall clock"
            return [*commands, Finish(self.finished)]
        if not self._queue and not self.running and not self._proposing and not self._more_wanted(now):
            commands += self._finish(now)
        return commands

    def _next(self, now: float) -> int | None:
        lost_or_reference = self._queue and (
            self.trials[self._queue[0]].phase != "queued" or self.trials[self._queue[0]].candidate.source == "reference"
        )
        if lost_or_reference:
            return self._queue.popleft()
        finishing = not self._more_wanted(now) and not self._queue and not self._proposing
        promoted = self.promotion.next(self._paused, finishing and not self.running)
        if promoted is not None:
            rung = self._paused.pop(promoted)
            self.promotion.mark_promoted(promoted, rung)
            self.trials[promoted].rung = rung + 1
            return promoted
        return self._queue.popleft() if self._queue else None

    def _start(self, trial: Trial, now: float) -> list[Command]:
        """Launches a trial on the next free worker, or ends it where it cannot fit there."""
        if self.packing is not None:
            fitted = self.packing.fitted(trial, self._shares.get(self.free[0]))
            if isinstance(fitted, Failure):
                return self._end(trial, fitted, now)
            trial.micro_batch = fitted
        return self._launch(trial, self.free.popleft(), now)

    def _launch(self, trial: Trial, worker: str, now: float) -> list[Command]:
        self._launched += trial.phase == "queued"
        trial.begin(worker, now)
        self.running[worker] = trial.number
        if self.limits.time_limit is not None:
            self._deadlines[worker] = now + self.limits.time_limit + self.limits.grace
        stop_epoch = (
            self.promotion.stop_epoch(trial.rung) if trial.candidate.source == "search" else self.promotion.last_epoch
        )
        return [Keep(trial.number), Launch(trial.number, trial.attempts, worker, stop_epoch)]

    def _more_wanted(self, now: float) -> bool:
        if self._exhausted or self._past_deadline(now):
            return False
        return self.limits.trials is None or self._searched < self.limits.trials

    def _past_deadline(self, now: float) -> bool:
        return self.limits.deadline is not None and now >= self.limits.deadline

    def _propose(self, now: float) -> list[Command]:
        ahead = round(self._ahead)
        wanted = len(self.free) + ahead - len(self._queue)
        if not self.free and len(self._queue) > ahead // 2:
            return []  # several are asked for at once
        if self.limits.trials is not None:
            wanted = min(wanted, self.limits.trials - self._searched)
        if self._proposing or wanted <= 0 or not self._more_wanted(now):
            return []
        self._proposing, self._launched = wanted, 0
        return [Propose(wanted)]

    def _finish(self, now: float) -> list[Command]:
        if self._paused and not self.free:
            return []  # a worker may still come and take what deserves to go on
        commands: list[Command] = []
        for number in sorted(self._paused):
            self.trials[number].turn("pruned", now)
            commands.append(Tell(number))
        self._paused.clear()
        self.finished = "exhausted" if self._exhausted else "done"
        return [*commands, Finish(self.finished)]

    # Rungs

    def _point(self, trial: Trial, epoch: int) -> tuple[float, ...]:
        accuracy = next(report.accuracy for report in reversed(trial.curve) if report.epoch <= epoch)
        costs = [trial.cost(name) for name in self.costs]
        return (1.0 - accuracy, *(cost for cost in costs if cost is not None))

    def _partial(self, trial: Trial, epoch: int) -> Partial | None:
        """What is known of a trial after so many epochs; one that nobody reported counts as the next. None: nothing."""
        told = {report.epoch: report for report in trial.curve if report.epoch <= epoch}
        if not told or not self.promotion.epochs or trial.candidate.architecture is None:
            return None
        accuracy, accuracies = told[max(told)].accuracy, []
        for number in range(epoch, 0, -1):
            accuracy = told[number].accuracy if number in told else accuracy
            accuracies.append(accuracy)
        exact = trial.candidate.cost
        return Partial(
            costs=tuple(cost for cost in map(trial.cost, self.costs) if cost is not None),
            size=(float(exact.macs), float(exact.params)),
            architecture=trial.candidate.architecture,
            accuracies=tuple(reversed(accuracies)),
            seconds=sum(report.seconds for report in told.values()) / len(told),
        )

    def _learn(self, trial: Trial) -> None:
        """A trial of the search that was trained to the end tells what others may become."""
        if trial.candidate.source == "search" and (partial := self._partial(trial, self.promotion.last_epoch)):
            self.promotion.finish(trial.number, partial)

    def _restore_rungs(self, trial: Trial) -> None:
        if trial.candidate.source != "search" or trial.phase == "failed":
            return
        if any(trial.cost(name) is None for name in self.costs):
            return  # its worker or its driver died before it was measured; it is once it pauses
        for index, epoch in enumerate(self.promotion.epochs):
            if trial.epochs < epoch:
                break
            self.promotion.enter(trial.number, index, self._point(trial, epoch), self._partial(trial, epoch))
            past = trial.epochs > epoch or trial.phase == "complete" or (trial.phase != "paused" and trial.rung > index)
            if past:
                self.promotion.mark_promoted(trial.number, index)
                trial.rung = max(trial.rung, index + 1)
        if trial.phase == "paused":
            self._paused[trial.number] = trial.rung
        if trial.phase == "complete":
            self._learn(trial)
