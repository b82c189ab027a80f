"""One simulated search: the real decisions and proposers, workers that only take virtual time."""

from __future__ import annotations

import heapq
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import psutil

from orchestrator.decisions import (
    Command,
    CostName,
    Decisions,
    Event,
    Joined,
    Keep,
    Launch,
    Limits,
    Propose,
    Recorded,
    Said,
    Tell,
)
from orchestrator.promotion import Promotion
from orchestrator.sampler.encoding import Floats
from orchestrator.sampler.ledger import Ledger
from orchestrator.sampler.proposer import Proposer
from orchestrator.simulator.world import World
from orchestrator.trials import Candidate, Trial
from search_spaces.cost import Cost
from search_spaces.pareto import hypervolume_history
from search_spaces.space import Architecture
from workers.records import EpochReport, Metrics

MARKS = 100  # in a whole search


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a search stood: trainings completed, decisions and proposals made, memory of this process."""

    trainings: int
    decisions: int
    proposals: int
    memory_mib: float


@dataclass(slots=True)
class Log:
    """What happened, in order of completion; seconds are virtual, those of decisions and proposals this machine's."""

    architectures: list[Architecture] = field(default_factory=list)
    seconds: array[float] = field(default_factory=lambda: array("d"))
    spent: array[float] = field(default_factory=lambda: array("d"))  # training seconds of all trials until then
    launched: int = 0
    decision_seconds: array[float] = field(default_factory=lambda: array("d"))
    proposal_seconds: array[float] = field(default_factory=lambda: array("d"))  # for each architecture proposed
    marks: list[Mark] = field(default_factory=list)

    def volumes(self, world: World, costs: Sequence[str], reference: Sequence[float]) -> Floats:
        """The hypervolume, by the errors that score, after each completed training."""
        places = [("macs", "params").index(name) for name in costs]
        points = [
            (world.error(one), *(float(world.costs(one)[place]) for place in places)) for one in self.architectures
        ]
        return hypervolume_history(np.array(points).reshape(-1, 1 + len(places)), reference)

    def mark(self) -> None:
        memory = psutil.Process().memory_info().rss / 2**20
        counts = len(self.architectures), len(self.decision_seconds), len(self.proposal_seconds)
        self.marks.append(Mark(*counts, memory))


class Simulation:
    """One search from its first proposal to its end."""

    def __init__(
        self,
        world: World,
        proposer: Proposer,
        limits: Limits,
        promotion: Promotion,
        costs: tuple[CostName, ...],
        workers: int,
    ) -> None:
        self._world = world
        self._proposer = proposer
        self._decisions = Decisions(limits, promotion, costs)
        self._mark_every = max(1, (limits.trials or MARKS) // MARKS)
        self._ledger = Ledger()
        self._log = Log()
        self._spent = 0.0
        self._now = 0.0
        self._order = 0
        self._heap: list[tuple[float, int, Event]] = []
        self._here: deque[Event] = deque(Joined(f"worker-{number}") for number in range(workers))

    def run(self) -> Log:
        while self._decisions.finished is None and (self._here or self._heap):
            if self._here:
                self._handle(self._here.popleft())
                continue
            self._now, _, event = heapq.heappop(self._heap)
            self._handle(event)
        return self._log

    def _handle(self, event: Event) -> None:
        if isinstance(event, Said) and isinstance(event.message, Metrics):
            self._spend(event.number, event.message)
        began = time.perf_counter()
        commands = self._decisions.handle(event, self._now)
        self._log.decision_seconds.append(time.perf_counter() - began)
        for command in commands:
            self._execute(command)

    def _spend(self, number: int, metrics: Metrics) -> None:
        """Counts the seconds of the epochs that this launch added."""
        known = self._decisions.trials[number].epochs
        self._spent += sum(report.seconds for report in metrics.curve if report.epoch > known)

    def _execute(self, command: Command) -> None:
        match command:
            case Propose(count):
                self._here.append(self._propose(count))
            case Launch(number, attempt, _, stop_epoch):
                self._launch(self._decisions.trials[number], attempt, stop_epoch)
            case Keep(number):
                self._ledger.changed(self._decisions.trials[number])
            case Tell(number):
                self._end(self._decisions.trials[number])

    def _propose(self, count: int) -> Recorded:
        observed, pending = self._ledger.take()
        began = time.perf_counter()
        proposed = self._proposer.propose(count, observed, pending)
        seconds = (time.perf_counter() - began) / max(1, len(proposed))
        first = len(self._decisions.trials)
        trials = tuple(
            Trial(number=first + index, candidate=self._candidate(one)) for index, one in enumerate(proposed)
        )
        for trial in trials:
            self._log.proposal_seconds.append(seconds)
            self._ledger.changed(trial)
        return Recorded(trials, exhausted=len(trials) < count)

    def _candidate(self, architecture: Architecture) -> Candidate:
        macs, params = self._world.costs(architecture)
        return Candidate(
            name="",
            source="search",
            family=architecture.family,
            architecture=architecture,
            plan_key="",
            cost=Cost(macs_conv=macs, params_conv=params),
        )

    def _launch(self, trial: Trial, attempt: int, stop_epoch: int) -> None:
        """The whole stay on the worker is one message at its end."""
        self._log.launched += 1
        metrics = self._metrics(trial, stop_epoch)
        seconds = sum(report.seconds for report in metrics.curve[trial.epochs :])
        self._order += 1
        heapq.heappush(self._heap, (self._now + seconds, self._order, Said(trial.number, attempt, metrics)))

    def _metrics(self, trial: Trial, stop_epoch: int) -> Metrics:
        assert trial.candidate.architecture is not None
        course = self._world.course(trial.candidate.architecture)
        key = str(trial.number)
        curve = tuple(
            EpochReport(key=key, epoch=epoch, accuracy=accuracy, train_loss=0.0, learning_rate=0.0, seconds=seconds)
            for epoch, (accuracy, seconds) in enumerate(zip(course.curve, course.epoch_seconds, strict=True), 1)
            if epoch <= stop_epoch
        )
        return Metrics(
            key=key,
            accuracy=curve[-1].accuracy,
            epochs=stop_epoch,
            seconds=sum(report.seconds for report in curve),
            images_per_second=0.0,
            peak_memory_mib=0.0,
            device="simulated",
            threads=1,
            curve=curve,
        )

    def _end(self, trial: Trial) -> None:
        self._ledger.changed(trial)
        if trial.phase == "complete":
            assert trial.candidate.architecture is not None
            self._log.architectures.append(trial.candidate.architecture)
            self._log.seconds.append(self._now)
            self._log.spent.append(self._spent)
            if len(self._log.architectures) % self._mark_every == 0:
                self._log.mark()
