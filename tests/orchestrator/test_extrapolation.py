"""Early stopping by promise: what is guessed, who goes on, and that a resume goes on where the search stood."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from orchestrator.decisions import Decisions, Joined, Launch, Limits, Recorded, Said
from orchestrator.extrapolation import LEAST_FINALS, Extrapolation, Floats, Partial
from orchestrator.promotion import Promotion, make_promotion
from orchestrator.simulator.simulate import Settings, simulate
from orchestrator.simulator.tables import read_table
from search_spaces.space import Architecture
from tests.orchestrator.making import metrics, report, trial

REFERENCE = (1.0, 1000.0)
EPOCHS = (1, 2, 4)
TABLE = Path(__file__).parents[2] / "docs/results/cifar10-16px.parquet"


def partial(macs: float, final: float, epochs: int = 4, seconds: float = 1.0, condition: str = "strict") -> Partial:
    """A curve that climbs to its final accuracy in four epochs."""
    curve = tuple(final * share for share in (0.5, 0.75, 0.9, 1.0))[:epochs]
    architecture = Architecture(family="igcv2", values=(("width", int(macs)), ("condition", condition)))
    return Partial(costs=(macs,), size=(macs, macs), architecture=architecture, accuracies=curve, seconds=seconds)


def learned(count: int = 12) -> Extrapolation:
    """Networks of which the larger are better."""
    extrapolation = Extrapolation(REFERENCE, EPOCHS)
    for number in range(count):
        macs = 100.0 + 50 * number
        extrapolation.enter(number, partial(macs, 0.4 + 0.0004 * macs + 0.01 * (number % 2)))
    return extrapolation


def order(extrapolation: Extrapolation, epoch: int, waiting: dict[int, Partial]) -> list[int] | None:
    for number, each in waiting.items():
        extrapolation.enter(number, each)
    return extrapolation.order(epoch, waiting)


def test_nothing_is_guessed_from_too_few() -> None:
    assert order(learned(LEAST_FINALS - 1), 1, {99: partial(300, 0.6, 1)}) is None
    assert order(learned(LEAST_FINALS), 1, {99: partial(300, 0.9, 1)}) == [99]


def test_who_may_add_most_is_first_and_who_can_add_least_is_not_before_others() -> None:
    waiting = {50: partial(300, 0.55, 2), 51: partial(300, 0.70, 2), 52: partial(310, 0.05, 2)}
    ordered = order(learned(), 2, waiting)
    assert ordered is not None
    assert ordered[0] == 51
    assert 52 not in ordered[:2]


def test_of_two_alike_the_quicker_is_first() -> None:
    slow, quick = partial(300, 0.7, 2, seconds=9.0), partial(300, 0.7, 2, seconds=1.0)
    assert order(learned(), 2, {50: slow, 51: quick}) == [51, 50]


def test_what_tells_architectures_apart_counts_where_costs_and_curves_do_not() -> None:
    def traits(architecture: Architecture) -> Floats:
        return np.array([float(dict(architecture.values)["condition"] == "strict")])

    extrapolation = Extrapolation(REFERENCE, EPOCHS, traits)
    for number in range(40):
        condition = ("strict", "loose")[number % 2]
        last = 0.6 if condition == "strict" else 0.3
        curve = (0.2, 0.25, 0.3, last)
        each = partial(300 + number, 1.0, condition=condition)
        extrapolation.enter(number, replace(each, accuracies=curve))
    loose = replace(partial(200, 1.0, condition="loose"), accuracies=(0.2,))
    strict = replace(partial(200, 1.0, condition="strict"), accuracies=(0.2,))
    ordered = order(extrapolation, 1, {50: loose, 51: strict})
    assert ordered is not None
    assert ordered[0] == 51


def test_the_few_that_were_let_on_do_not_speak_for_those_that_were_not() -> None:
    """Luck at the first rung does not last; all went on to the second, only those best there to the end."""
    rng = np.random.default_rng(5)
    skill = rng.normal(0.5, 0.05, 60)
    curves = np.column_stack([skill + rng.normal(0, 0.05, 60), skill + rng.normal(0, 0.01, 60), skill, skill])
    extrapolation, without = Extrapolation(REFERENCE, EPOCHS), Extrapolation(REFERENCE, (1, 4))
    best = set(np.argsort(-curves[:, 1])[:12].tolist())
    for number, curve in enumerate(curves):
        accuracies = tuple(curve) if number in best else tuple(curve[:2])
        extrapolation.enter(number, replace(partial(500, 1.0), accuracies=accuracies))
        without.enter(number, replace(partial(500, 1.0), accuracies=accuracies))
    for number in range(100, 160):
        extrapolation.enter(number, replace(partial(500, 1.0), accuracies=(float(curves[number - 100, 0]),)))
        without.enter(number, replace(partial(500, 1.0), accuracies=(float(curves[number - 100, 0]),)))
    mean, deviation = extrapolation._final_log_errors(1, list(range(100, 160)))
    off = mean - np.log(1 - skill)
    hopeful = without._final_log_errors(1, list(range(100, 160)))[0] - np.log(1 - skill)
    assert hopeful.mean() < -0.05, "a regression over those let on alone"
    assert abs(off.mean()) < 0.03
    assert np.log(1 - skill[sorted(best)]).mean() < np.log(1 - skill).mean() - 0.1
    assert 0.5 < off.std() / deviation.mean() < 2, "the uncertainty is of the size of the errors"


def test_a_failed_trial_teaches_nothing() -> None:
    extrapolation = learned(LEAST_FINALS)
    extrapolation.leave(0)
    assert order(extrapolation, 1, {99: partial(300, 0.9, 1)}) is None


def test_one_in_eta_goes_on_and_at_the_end_whoever_may_still_add() -> None:
    promotion = make_promotion((1,), 3.0, 4, "promise", REFERENCE)
    for number in range(12):
        macs = 100.0 + 50 * number
        promotion.finish(100 + number, partial(macs, 0.4 + 0.0004 * macs))
    paused = {}
    for number in range(9):
        macs, final = (200.0 + number, 0.9) if number < 6 else (2000.0, 0.01)
        promotion.enter(number, 0, (1 - final / 2, macs), partial(macs, final, 1))
        paused[number] = 0
    past = []
    while (chosen := promotion.next(paused)) is not None:
        past.append(chosen)
        promotion.mark_promoted(chosen, paused.pop(chosen))
    assert len(past) == 3
    assert set(past) < set(range(6))
    ended = []
    while (chosen := promotion.next(paused, finishing=True)) is not None:
        ended.append(chosen)
        promotion.mark_promoted(chosen, paused.pop(chosen))
    assert set((past + ended)[:6]) == set(range(6))
    assert paused, "those that would add nothing stay"


def test_three_costs_are_ranked() -> None:
    promotion = make_promotion((1,), 2.0, 4, "promise", (1.0, 9.0, 9.0, 9.0))
    promotion.enter(0, 0, (0.5, 1.0, 1.0, 1.0), partial(1, 0.5, 1))
    promotion.enter(1, 0, (0.4, 1.0, 1.0, 1.0), partial(1, 0.6, 1))
    assert promotion.next({0: 0, 1: 0}) == 1


def decisions() -> Decisions:
    return Decisions(Limits(trials=40, ahead=0), Promotion((1, 2), 2.0, 4, Extrapolation((1.0, 5000.0), EPOCHS)))


def test_a_resumed_search_lets_the_same_trials_go_on() -> None:
    draws = np.random.default_rng(3).permutation(40)
    machine, launched = decisions(), []
    finals = {number: 0.3 + 0.4 * float(draws[number]) / 40 for number in range(40)}
    commands = machine.handle(Joined("w"), 0.0)
    commands += machine.handle(Recorded(tuple(trial(number, 100 + 90 * number) for number in range(40))), 0.0)
    for _ in range(45):
        for command in [command for command in commands if isinstance(command, Launch)]:
            launched.append(command.number)
            number, begun = command.number, machine.trials[command.number].epochs
            commands = []
            for epoch in range(begun + 1, command.stop_epoch + 1):
                told = report(epoch, finals[number] * (0.4 + 0.15 * epoch), number)
                commands += machine.handle(Said(number, command.attempt, told), 1.0)
            last = metrics(command.stop_epoch, finals[number] * (0.4 + 0.15 * command.stop_epoch), number)
            commands += machine.handle(Said(number, command.attempt, last), 1.0)
    assert len(set(launched)) < len(launched), "some went on past a rung"
    again = decisions()
    kept = [each for each in machine.trials.values() if each.phase != "training"]
    again.restore(kept)
    paused = {each.number: each.rung for each in kept if each.phase == "paused"}
    assert paused
    assert again.promotion.next(dict(paused)) == machine.promotion.next(dict(paused))
    assert again.promotion.next(dict(paused), finishing=True) == machine.promotion.next(dict(paused), finishing=True)


def test_on_real_curves_it_takes_less_than_half_of_the_training_time() -> None:
    """In virtual time: the seconds of training until 95 % of the true front's hypervolume, twelve searches each."""
    table = read_table(TABLE)

    def spent(rungs: tuple[int, ...]) -> float:
        settings = Settings(
            max_macs=3_000_000, reference_error=0.6, trials=448, seeds=tuple(range(100, 112)), samplers=("uniform",),
            rungs=rungs, eta=2.0,
        )  # fmt: skip
        (row,) = simulate(table, settings).rows
        times = [seconds for seconds in row.spent_until(0.95) if seconds is not None]
        assert len(times) == 12
        return sum(times)

    assert spent((1, 2, 4)) < 0.5 * spent(())
