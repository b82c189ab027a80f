"""The decisions as lists of events and the commands that must follow."""

from __future__ import annotations

import pytest

from orchestrator.decisions import (
    MOST_UNBEGUN,
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
    Stop,
    Tell,
    Tick,
)
from orchestrator.promotion import Promotion
from tests.orchestrator.making import failure, metrics, report, trial


def decisions(trials: int | None = 2, epochs: int = 3, rungs: tuple[int, ...] = (), **limits: float) -> Decisions:
    return Decisions(Limits(trials=trials, **limits), Promotion(rungs, 2.0, epochs))  # type: ignore[arg-type]


def play(machine: Decisions, *events: Event, now: float = 0.0) -> list[Command]:
    return [command for event in events for command in machine.handle(event, now)]


def train(number: int, attempt: int = 1, epochs: int = 3, accuracy: float = 0.5) -> list[Event]:
    said: list[Event] = [Said(number, attempt, report(epoch, accuracy)) for epoch in range(1, epochs + 1)]
    return [*said, Said(number, attempt, metrics(epochs, accuracy))]


def test_a_worker_that_joins_is_given_a_proposal_before_a_launch() -> None:
    machine = decisions()
    assert play(machine, Joined("w1")) == [Propose(2)]
    assert play(machine, Recorded((trial(0), trial(1)))) == [Keep(0), Launch(0, 1, "w1", 3)]


def test_where_workers_waited_for_proposals_twice_as_many_are_made_ahead_and_then_fewer_again() -> None:
    machine = decisions(trials=None)
    assert play(machine, Joined("w1"), Joined("w2"))[0] == Propose(2)
    assert play(machine, Recorded((trial(0), trial(1))))[-1] == Propose(1), "the first wait is not to be helped"
    play(machine, *train(0))
    assert play(machine, Recorded((trial(2),)))[-1] == Propose(2), "one was launched, and is wanted ahead twice now"
    play(machine, Recorded((trial(3), trial(4))))
    assert play(machine, *train(1))[-1] == Propose(1), "two ahead: one is left"


def test_of_many_ahead_several_are_asked_for_at_once() -> None:
    machine = decisions(trials=None, ahead=4)
    play(machine, Joined("w1"), Recorded(tuple(trial(number) for number in range(5))))
    asked = [[c for c in play(machine, *train(number)) if isinstance(c, Propose)] for number in range(3)]
    assert asked == [[], [Propose(2)], []], "the queue was four, three, two"


def test_nothing_is_launched_that_was_not_recorded() -> None:
    machine = decisions()
    assert not [c for c in play(machine, Joined("w1"), Tick(), Tick()) if isinstance(c, Launch)]


def test_a_trained_trial_is_told_and_the_next_launched_and_the_search_ends() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))))
    assert play(machine, *train(0))[3:] == [Tell(0), Keep(1), Launch(1, 1, "w1", 3)]
    assert play(machine, *train(1))[3:] == [Tell(1), Finish("done")]
    assert [machine.trials[n].phase for n in (0, 1)] == ["complete", "complete"]


def test_a_lost_worker_sends_its_trial_first_to_the_next_and_counts_the_loss() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))), Said(0, 1, report(1)))
    assert play(machine, Lost("w1")) == [Keep(0)]
    assert play(machine, Joined("w2")) == [Keep(0), Launch(0, 2, "w2", 3)]
    assert machine.trials[0].losses == 1
    assert machine.trials[0].epochs == 1


def test_messages_of_an_earlier_attempt_and_repeated_ones_are_dropped() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))), Lost("w1"), Joined("w2"))
    assert play(machine, Said(0, 1, metrics(3)), Said(0, 1, report(1))) == []
    assert play(machine, Said(0, 2, report(1)), Said(0, 2, report(1))) == [Keep(0, report(1))]
    assert machine.trials[0].epochs == 1


def test_a_trial_that_kills_every_worker_is_given_up_and_named() -> None:
    machine = decisions(trials=1, max_losses=2)
    play(machine, Joined("w1"), Recorded((trial(0),)), Lost("w1"), Joined("w2"))
    assert play(machine, Lost("w2", "segmentation fault")) == [Tell(0), Finish("done")]
    told = machine.trials[0].failure
    assert told is not None
    assert told.kind == "lost"
    assert "2 times" in told.message
    assert "segmentation fault" in told.message


def test_machines_that_come_and_go_cost_a_trial_that_gets_on_nothing() -> None:
    machine = decisions(trials=1, max_losses=2, epochs=9)
    play(machine, Joined("w0"), Recorded((trial(0),)))
    for epoch in range(1, 5):
        play(machine, Said(0, epoch, report(epoch)), Lost(f"w{epoch - 1}"), Joined(f"w{epoch}"))
    assert (machine.trials[0].phase, machine.trials[0].losses, machine.trials[0].stuck) == ("training", 4, 1)
    assert play(machine, Lost("w4")) == [Tell(0), Finish("done")]
    told = machine.trials[0].failure
    assert told is not None
    assert "gave up on net0: epoch 5 has lost its worker 2 times" in told.message


def test_a_worker_that_was_dead_before_it_took_its_trial_up_is_not_counted() -> None:
    machine = decisions(trials=1, max_losses=1)
    play(machine, Joined("w1"), Recorded((trial(0),)))
    assert play(machine, Lost("w1", began=False)) == [Keep(0)]
    assert play(machine, Joined("w2")) == [Keep(0), Launch(0, 2, "w2", 3)]
    assert machine.trials[0].losses == 0


def test_a_trial_that_kills_its_workers_before_they_can_say_so_does_not_go_on_for_ever() -> None:
    machine = decisions(trials=1)
    play(machine, Joined("w0"), Recorded((trial(0),)))
    for number in range(MOST_UNBEGUN - 1):
        play(machine, Lost(f"w{number}", began=False), Joined(f"w{number + 1}"))
    assert machine.trials[0].phase == "training"
    assert play(machine, Lost(f"w{MOST_UNBEGUN - 1}", began=False)) == [Tell(0), Finish("done")]


def test_a_hung_worker_is_killed_after_the_grace_and_its_trial_ends_as_over_time() -> None:
    machine = decisions(trials=1, time_limit=10.0, grace=5.0)
    play(machine, Joined("w1"), Recorded((trial(0),)))
    assert play(machine, Tick(), now=14.9) == []
    assert [type(c) for c in play(machine, Tick(), now=15.0)] == [Kill]
    assert play(machine, Lost("w1"), now=15.1) == [Tell(0), Finish("done")]
    told = machine.trials[0].failure
    assert told is not None
    assert told.kind == "time_limit"


def test_a_failure_frees_the_worker_and_counts_as_a_trial() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))))
    assert play(machine, Said(0, 1, failure())) == [Tell(0), Keep(1), Launch(1, 1, "w1", 3)]
    assert machine.trials[0].phase == "failed"


def test_references_go_first_are_not_counted_and_never_pause() -> None:
    machine = decisions(trials=1, rungs=(1,))
    play(machine, Recorded((trial(0, source="reference"),)))
    assert play(machine, Joined("w1"))[:2] == [Keep(0), Launch(0, 1, "w1", 3)]
    play(machine, Recorded((trial(1),)))
    after = play(machine, *train(0))
    assert Launch(1, 1, "w1", 1) in after


def test_a_stopped_search_leaves_its_trials_for_a_resume() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))))
    assert play(machine, Stop("interrupted")) == [Finish("interrupted")]
    assert [machine.trials[n].phase for n in (0, 1)] == ["training", "queued"]
    assert play(machine, *train(0)) == []


def test_past_the_wall_clock_nothing_is_launched_and_the_rest_waits() -> None:
    machine = decisions(trials=None, deadline=100.0)
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))), now=0.0)
    after = [command for event in train(0) for command in machine.handle(event, 101.0)]
    assert after[-2:] == [Tell(0), Finish("wall clock")]
    assert machine.trials[1].phase == "queued"


def test_an_exhausted_space_ends_the_search() -> None:
    machine = decisions(trials=10)
    play(machine, Joined("w1"), Recorded((trial(0),), exhausted=True))
    assert play(machine, *train(0))[-2:] == [Tell(0), Finish("exhausted")]


def test_restored_trials_go_on_where_they_stood() -> None:
    ended, running, queued = trial(0), trial(1), trial(2)
    ended.phase, ended.metrics = "complete", metrics(3)
    running.phase, running.attempts, running.curve = "training", 1, [report(1)]
    machine = decisions(trials=3)
    machine.restore([ended, running, queued])
    assert play(machine, Joined("w1")) == [Keep(1), Launch(1, 2, "w1", 3)]


def test_trials_pause_at_a_rung_and_the_best_half_go_on() -> None:
    machine = decisions(trials=2, rungs=(1,))
    play(machine, Joined("w1"), Recorded((trial(0), trial(1))))
    first = play(machine, *train(0, epochs=1, accuracy=0.9))
    assert first[-1] == Launch(1, 1, "w1", 1)
    assert machine.trials[0].phase == "paused"
    second = play(machine, *train(1, epochs=1, accuracy=0.2))
    assert second[-1] == Launch(0, 2, "w1", 3)
    last = play(machine, *train(0, attempt=2, epochs=3, accuracy=0.95))
    assert last[-3:] == [Tell(0), Tell(1), Finish("done")]
    assert machine.trials[1].phase == "pruned"
    assert machine.trials[1].accuracy is None


def test_a_cheaper_network_is_not_stopped_for_being_less_accurate() -> None:
    machine = decisions(trials=2, rungs=(1,))
    play(machine, Joined("w1"), Recorded((trial(0, macs=10), trial(1, macs=1000))))
    play(machine, *train(0, epochs=1, accuracy=0.3))
    after = play(machine, *train(1, epochs=1, accuracy=0.3))
    assert after[-1] == Launch(0, 2, "w1", 3), "equal accuracy at a hundredth of the cost dominates"


def test_paused_trials_of_an_earlier_run_are_promoted_or_ended() -> None:
    paused = trial(0)
    paused.phase, paused.attempts, paused.curve = "paused", 1, [report(1, 0.9)]
    machine = decisions(trials=1, rungs=(1,))
    machine.restore([paused])
    assert play(machine, Tick()) == []
    assert play(machine, Joined("w1")) == [Keep(0), Launch(0, 2, "w1", 3)]


def test_rungs_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="ascending epochs between 0 and 3"):
        Promotion((3, 1), 2.0, 3)
