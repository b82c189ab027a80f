"""What is measured of a network in use: spread and n, units that agree with each other, and clear refusals."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch

from search_spaces.cost import cost
from tests.workers.making import request, small_plan
from workers.guard import run
from workers.measure import measure
from workers.measured import MEASURED, MeasureSpec, measured_from, spread
from workers.records import EpochReport, Failure, Metrics

SPEC = MeasureSpec(batch_size=16, repeats=9, warm_up=2)


def test_a_record_has_spread_n_units_and_the_machine() -> None:
    found = measure(small_plan(), SPEC, device="cpu", threads=1)
    for value in (found.latency_ms, found.batch_latency_ms, found.images_per_second):
        assert value.n == 9
        assert 0 < value.lower <= value.median <= value.upper
    assert found.images_per_second.median == pytest.approx(16_000 / found.batch_latency_ms.median)
    assert (found.device, found.threads, found.torch) == ("cpu", 1, torch.__version__)
    assert found.hardware
    assert measured_from(asdict(found)) == found
    assert all(found.value(name) > 0 for name in MEASURED)


def test_memory_is_that_of_weights_and_of_the_batch() -> None:
    plan = small_plan()
    bytes_of = {
        batch: measure(plan, replace(SPEC, batch_size=batch), device="cpu", threads=1).inference_memory_mib * 2**20
        for batch in (16, 32, 64)
    }
    exact = cost(plan)
    assert bytes_of[32] >= 4 * exact.params_conv + 32 * exact.activation_bytes
    assert bytes_of[64] - bytes_of[32] == pytest.approx(2 * (bytes_of[32] - bytes_of[16]), rel=0.05)
    assert bytes_of[64] - bytes_of[32] <= 3 * 32 * exact.activation_bytes


def test_the_spread_is_the_median_and_the_quartiles() -> None:
    found = spread([4.0, 1.0, 3.0, 2.0, 100.0])
    assert (found.lower, found.median, found.upper, found.n) == (2.0, 3.0, 4.0, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"batch_size": 0}, "0 images"), ({"repeats": 2}, "at least 3"), ({"warm_up": 0}, "at least 1")],
)
def test_a_measurement_that_makes_no_sense_is_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasureSpec(**wrong)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown; known: auto, cpu, cuda"):
        measure(small_plan(), SPEC, device="tpu9")


def test_a_batch_that_does_not_fit_says_so() -> None:
    with pytest.raises(ValueError, match="does not fit into the memory of cpu; take a smaller one"):
        measure(small_plan(), replace(SPEC, batch_size=10**13), device="cpu", threads=1)


def test_a_training_that_asks_for_it_carries_what_was_measured_and_is_the_same_training() -> None:
    wanted = request(recipe={"epochs": 1})
    *_, plain = run(wanted)
    *reports, found = run(replace(wanted, measure=SPEC))
    assert isinstance(found, Metrics)
    assert isinstance(plain, Metrics)
    assert [type(report) for report in reports] == [EpochReport]
    assert plain.measured is None
    assert found.measured is not None
    assert found.measured.batch_size == 16
    assert found.accuracy == plain.accuracy


def test_a_measurement_that_fails_is_a_failure_of_the_trial() -> None:
    *_, found = run(request(recipe={"epochs": 1}, measure=replace(SPEC, batch_size=10**13)))
    assert isinstance(found, Failure)
    assert "does not fit" in found.message
    assert found.epochs == 1
