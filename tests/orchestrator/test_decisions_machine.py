"""Random orders of reports, losses, duplicates, late and repeated messages, and restarts of the driver in between.

No trial may be lost, doubled, or in two states.
"""

from __future__ import annotations

from copy import deepcopy

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.decisions import (
    Command,
    Decisions,
    Event,
    Finish,
    Joined,
    Keep,
    Kill,
    Launch,
    Limits,
    Lost,
    Propose,
    Recorded,
    Said,
    Tell,
    Tick,
)
from orchestrator.extrapolation import Extrapolation
from orchestrator.promotion import Promotion
from orchestrator.trials import ENDED
from tests.orchestrator.making import failure, metrics, report, trial
from workers.records import EpochReport

LAST, RUNGS, ASKED = 4, (1, 2), 12


class Chaos(RuleBasedStateMachine):
    """Plays pool, study and fate against the decisions, and keeps its own account of what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = self.new_machine()
        self.now = 0.0
        self.alive: set[str] = set()
        self.hired = 0
        self.recorded = 0
        self.asked = 0
        self.told: set[int] = set()
        self.work: dict[str, Launch] = {}  # what each living worker trains
        self.old: list[Event] = []
        self.finishes = 0
        self.orphans: set[int] = set()  # trained when the driver died, and not launched again since

    def new_machine(self) -> Decisions:
        limits = Limits(trials=ASKED, time_limit=10.0, grace=5.0, max_losses=3)
        return Decisions(limits, self.new_promotion())

    def new_promotion(self) -> Promotion:
        return Promotion(RUNGS, 2.0, LAST)

    def play(self, event: Event) -> None:
        self.old.append(event)
        for command in self.machine.handle(event, self.now):
            self.check(command)

    def check(self, command: Command) -> None:
        match command:
            case Launch(number, _, worker, stop_epoch):
                assert worker in self.alive
                assert worker not in self.work
                assert number < self.recorded
                assert number not in self.told
                assert number not in {launch.number for launch in self.work.values()}
                assert stop_epoch > self.machine.trials[number].epochs or stop_epoch in (*RUNGS, LAST)
                self.work[worker] = command
                self.orphans.discard(number)
            case Tell(number):
                assert number not in self.told, "told twice"
                assert self.machine.trials[number].phase in ENDED
                self.told.add(number)
            case Kill(worker, _):
                assert worker in self.work
            case Propose(count):
                assert count > 0
                assert self.asked == 0, "a second proposal while one is in the making"
                self.asked = count
            case Finish():
                self.finishes += 1
                assert self.told == set(range(self.recorded)), "finished with trials that were not told"
            case Keep(number):
                assert number not in self.told

    @rule()
    def a_worker_joins(self) -> None:
        if len(self.alive) < 4:
            self.hired += 1
            self.alive.add(f"w{self.hired}")
            self.play(Joined(f"w{self.hired}"))

    @precondition(lambda self: self.asked)
    @rule(fewer=st.booleans())
    def proposals_come(self, fewer: bool) -> None:
        count = max(1, self.asked - fewer)
        trials = tuple(trial(self.recorded + i, macs=100 * (self.recorded + i + 1)) for i in range(count))
        self.recorded += count
        self.asked = 0
        self.play(Recorded(trials))

    @precondition(lambda self: self.work)
    @rule(pick=st.randoms(use_true_random=False), accuracy=st.floats(0, 1))
    def a_worker_finishes(self, pick: object, accuracy: float) -> None:
        worker = sorted(self.work)[0 if pick is None else hash(accuracy) % len(self.work)]
        launch = self.work.pop(worker)
        for epoch in range(self.machine.trials[launch.number].epochs + 1, launch.stop_epoch + 1):
            self.play(Said(launch.number, launch.attempt, report(epoch, accuracy)))
        self.play(Said(launch.number, launch.attempt, metrics(launch.stop_epoch, accuracy)))

    @precondition(lambda self: self.work)
    @rule(accuracy=st.floats(0, 1), times=st.integers(1, 2))
    def a_worker_reports_an_epoch(self, accuracy: float, times: int) -> None:
        launch = self.work[sorted(self.work)[0]]
        epoch = self.machine.trials[launch.number].epochs + 1
        if epoch < launch.stop_epoch:
            for _ in range(times):
                self.play(Said(launch.number, launch.attempt, report(epoch, accuracy)))

    @precondition(lambda self: self.work)
    @rule()
    def a_training_fails(self) -> None:
        launch = self.work.pop(sorted(self.work)[-1])
        self.play(Said(launch.number, launch.attempt, failure()))

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 3))
    def a_worker_dies(self, which: int) -> None:
        worker = sorted(self.alive)[which % len(self.alive)]
        self.alive.remove(worker)
        launch = self.work.pop(worker, None)
        if launch is not None:  # its last word may still be under way
            self.old.append(Said(launch.number, launch.attempt, metrics(launch.stop_epoch, 0.5)))
        self.play(Lost(worker))

    @precondition(lambda self: self.old)
    @rule(which=st.integers(0, 10_000))
    def an_old_message_comes_again(self, which: int) -> None:
        event = self.old[which % len(self.old)]
        if isinstance(event, Said):
            launch = next((w for w in self.work.values() if w.number == event.number), None)
            if launch is None or launch.attempt != event.attempt or isinstance(event.message, EpochReport):
                self.play(event)
        elif (isinstance(event, Lost) and event.worker not in self.alive) or (
            isinstance(event, Joined) and event.worker in self.alive
        ):
            self.play(event)

    @precondition(lambda self: self.recorded and self.machine.finished is None)
    @rule()
    def the_driver_dies_and_another_takes_over(self) -> None:
        """Workers and proposals in the making die with it; the study stays, and late messages may still come."""
        kept = [deepcopy(one) for _, one in sorted(self.machine.trials.items())]
        self.orphans = {one.number for one in kept if one.phase == "training"}
        self.machine = self.new_machine()
        self.machine.restore(kept)
        self.alive.clear()
        self.work.clear()
        self.asked = 0

    @precondition(lambda self: self.work and any(isinstance(event, Said) for event in self.old))
    @rule()
    def the_last_word_of_an_earlier_attempt_comes_late(self) -> None:
        for event in self.old:
            launch = next((w for w in self.work.values() if isinstance(event, Said) and w.number == event.number), None)
            if launch is not None and isinstance(event, Said) and event.attempt < launch.attempt:
                self.play(event)
                return

    @rule(seconds=st.floats(0, 8))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.play(Tick())

    @invariant()
    def every_trial_is_in_one_state(self) -> None:
        trials = self.machine.trials
        assert set(trials) == set(range(self.recorded))
        running = {launch.number for launch in self.work.values()}
        assert running == {number for number, one in trials.items() if one.phase == "training"} - self.orphans
        for one in trials.values():
            epochs = [report.epoch for report in one.curve]
            assert epochs == sorted(set(epochs)), "an epoch twice or out of order"
        assert self.told == {number for number, one in trials.items() if one.phase in ENDED}
        assert self.recorded <= ASKED
        assert self.finishes <= 1

    def teardown(self) -> None:
        """Left alone with a healthy worker, whatever happened before, the search comes to its end."""
        for _ in range(400):
            if self.machine.finished is not None:
                break
            if self.asked:
                self.proposals_come(fewer=False)
            elif self.work:
                self.a_worker_finishes(pick=None, accuracy=0.5)
            else:
                self.a_worker_joins() if len(self.alive) < 4 else self.time_passes(1.0)
        assert self.machine.finished == "done"
        assert len(self.told) == ASKED


class ChaosByPromise(Chaos):
    """The same where trials go on by what they may still add to the front."""

    def new_promotion(self) -> Promotion:
        return Promotion(RUNGS, 2.0, LAST, Extrapolation((1.0, 1e6), (*RUNGS, LAST)))


Chaos.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
ChaosByPromise.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestChaos = Chaos.TestCase
TestChaosByPromise = ChaosByPromise.TestCase
