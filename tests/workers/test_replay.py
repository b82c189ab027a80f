"""When steps are replayed, and that replays change nothing: with a machine that captures by keeping the step."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.workers.making import small_plan
from workers.builder import build
from workers.records import Recipe
from workers.replay import TIMED, UNTIMED, Replay, Stepper, is_quicker, worth_a_try
from workers.trainer import make_optimiser, training_step

BATCH = 6
DECIDED = UNTIMED + 2 * TIMED  # steps until it is known what is quicker


class Keeps:
    """Captures as a GPU does: the body is kept and run at each replay, not before."""

    def __init__(self, seconds: list[float], refuses: bool = False) -> None:
        self._clock = itertools.accumulate(itertools.chain([0.0], itertools.cycle(seconds)))
        self._refuses = refuses
        self.captures = 0

    def capture(self, body: Callable[[], None]) -> Replay:
        self.captures += 1
        if self._refuses:
            raise RuntimeError("operation not permitted when stream is capturing")
        return body

    def now(self) -> float:
        return next(self._clock)


class Counting(Keeps):
    """Its plain steps take `plain` seconds and its replays `quick`."""

    def __init__(self, plain: float, quick: float, refuses: bool = False) -> None:
        super().__init__([0.0], refuses)
        self._times = iter([*[0.0, plain] * TIMED, *[0.0, quick] * TIMED])
        self._at = 0.0

    def now(self) -> float:
        self._at += next(self._times)
        return self._at


def trained(
    machine: Keeps | None, steps: int, replayed: bool | None = None, left: int = 10**6
) -> tuple[Stepper, list[Tensor]]:
    """Some steps on batches of which each seventh is smaller, at a falling rate: losses, then all that was learned."""
    torch.manual_seed(0)
    recipe = Recipe(label_smoothing=0.1)
    network = build(small_plan(), seed=1)
    optimiser = make_optimiser(network, recipe)

    def step(x_NCHW: Tensor, labels_N: Tensor, rate: float | Tensor) -> Tensor:
        return training_step(network, optimiser, x_NCHW, labels_N, recipe, rate, None, torch.float32)

    stepper = Stepper(step, machine, BATCH, left, replayed)
    found = []
    for number in range(steps):
        size = BATCH - 2 if number % 7 == 6 else BATCH
        found.append(stepper.take(torch.randn(size, 1, 8, 8), torch.arange(size), 0.5 / (1 + number)))
    return stepper, [*found, *(value.clone() for value in network.state_dict().values())]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_replays_learn_what_plain_steps_learn() -> None:
    machine = Counting(plain=1.0, quick=0.2)
    stepper, replays = trained(machine, 40)
    assert (stepper.replayed, machine.captures) == (True, 1)
    assert same(replays, trained(None, 40)[1])


def test_replays_that_are_no_quicker_are_given_up() -> None:
    machine = Counting(plain=1.0, quick=0.95)
    stepper, found = trained(machine, 40)
    assert (stepper.replayed, machine.captures) == (False, 1)
    assert same(found, trained(None, 40)[1])


def test_what_cannot_be_captured_goes_on_plainly(caplog: pytest.LogCaptureFixture) -> None:
    machine = Counting(plain=1.0, quick=0.2, refuses=True)
    stepper, found = trained(machine, 40)
    assert (stepper.replayed, machine.captures) == (False, 1)
    assert "cannot be captured" in caplog.text
    assert same(found, trained(None, 40)[1])


def test_a_short_training_is_not_worth_a_capture_and_decides_nothing_for_a_longer_one() -> None:
    machine = Counting(plain=0.001, quick=0.0002)
    stepper, found = trained(machine, 40, left=200)
    assert (stepper.replayed, machine.captures) == (None, 0)
    assert same(found, trained(None, 40)[1])


@pytest.mark.parametrize("decided", [True, False])
def test_a_decision_is_kept_when_a_training_goes_on(decided: bool) -> None:
    machine = Counting(plain=1.0, quick=5.0)
    stepper, found = trained(machine, 40, replayed=decided)
    assert (stepper.replayed, machine.captures) == (decided, int(decided))
    assert same(found, trained(None, 40)[1])


def test_nothing_is_decided_where_too_few_steps_were_taken() -> None:
    assert trained(Counting(plain=1.0, quick=0.2), DECIDED - 1)[0].replayed is None


def test_the_rules() -> None:
    assert worth_a_try(plain=0.002, steps_left=501)
    assert not worth_a_try(plain=0.002, steps_left=499)
    assert is_quicker(plain=1.0, replayed=0.89)
    assert not is_quicker(plain=1.0, replayed=0.91)
