"""Decisions where an objective has to be measured: it comes with a worker's result, ranks at rungs, and is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.decisions import Decisions, Joined, Keep, Launch, Limits, Propose, Recorded, Said, Tell
from orchestrator.promotion import Promotion
from tests.orchestrator.making import metrics, report, trial
from workers.measured import MeasuredCost, Spread
from workers.records import Metrics


def measured(latency_ms: float) -> MeasuredCost:
    one = Spread(median=latency_ms, lower=latency_ms, upper=latency_ms, n=9)
    return MeasuredCost(
        latency_ms=one,
        batch_latency_ms=one,
        images_per_second=one,
        inference_memory_mib=3.0,
        batch_size=8,
        warm_up=1,
        device="cpu",
        hardware="a machine",
        threads=1,
        torch="2",
    )


def result(number: int, epochs: int, accuracy: float, latency_ms: float | None) -> Metrics:
    found = replace(metrics(epochs, accuracy, number), curve=tuple(report(e + 1, accuracy) for e in range(epochs)))
    return found if latency_ms is None else replace(found, measured=measured(latency_ms))


def decisions(rungs: tuple[int, ...] = (), last: int = 2, trials: int = 4) -> Decisions:
    made = Decisions(Limits(trials=trials, ahead=0), Promotion(rungs, 2.0, last), ("latency_ms",))
    assert Propose(1) in made.handle(Joined("w"), 0.0)
    return made


def run(made: Decisions, number: int, accuracy: float, latency_ms: float | None, epochs: int) -> list[object]:
    """The trial is recorded, launched, and ends its first attempt; what follows."""
    (_, launch, *_) = made.handle(Recorded((trial(number),)), 0.0)
    assert isinstance(launch, Launch)
    return list(made.handle(Said(number, launch.attempt, result(number, epochs, accuracy, latency_ms)), 1.0))


def test_a_result_carries_what_was_measured_into_the_trial() -> None:
    made = decisions(trials=1)
    assert Tell(0) in run(made, 0, 0.5, 1.5, epochs=2)
    assert made.trials[0].phase == "complete"
    assert made.trials[0].cost("latency_ms") == 1.5
    assert made.trials[0].cost("inference_memory_mib") == 3.0


def test_a_trial_whose_objective_was_not_measured_fails_and_is_never_told_a_number() -> None:
    made = decisions(trials=1)
    run(made, 0, 0.5, None, epochs=2)
    assert made.trials[0].phase == "failed"
    assert made.trials[0].failure is not None
    assert "measured no latency_ms" in made.trials[0].failure.message


def test_at_a_rung_the_slow_one_of_two_equals_waits() -> None:
    made = decisions(rungs=(1,), trials=2)
    run(made, 0, 0.5, 9.0, epochs=1)
    commands = run(made, 1, 0.5, 1.0, epochs=1)
    launched = [command.number for command in commands if isinstance(command, Launch)]
    assert launched == [1]
    assert made.trials[0].phase == "paused"


def test_a_later_attempt_without_a_measurement_keeps_the_first() -> None:
    made = decisions(rungs=(1,), trials=1)
    (*_, launch) = [one for one in run(made, 0, 0.5, 2.0, epochs=1) if isinstance(one, Launch)]
    made.handle(Said(0, launch.attempt, result(0, 2, 0.6, None)), 2.0)
    assert made.trials[0].phase == "complete"
    assert made.trials[0].cost("latency_ms") == 2.0


@pytest.mark.parametrize("known", [True, False])
def test_after_a_restart_a_trial_stands_at_its_rung_only_if_it_was_measured(known: bool) -> None:
    lost = trial(0)
    lost.phase, lost.curve = "lost", [report(1)]
    lost.measured = measured(2.0) if known else None
    made = Decisions(Limits(trials=1, ahead=0), Promotion((1,), 2.0, 2), ("latency_ms",))
    made.restore([lost])
    assert list(made.promotion.rungs[0].points) == ([0] if known else [])
    commands = made.handle(Joined("w"), 0.0)
    assert [type(one) for one in commands] == [Keep, Launch]
