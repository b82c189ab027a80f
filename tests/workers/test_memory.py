"""The memory of a training, known before it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from math import prod

import pytest

from search_spaces.plan import Activation, Conv, Linear, Norm, Plan, PlanBuilder, Pool
from tests.benchmarks.bench_memory import in_a_process
from tests.workers.making import small_plan
from workers.memory import (
    CPU_CONTEXT,
    GIB,
    GPU_CONTEXT,
    LEAST_MICRO_BATCH,
    MARGIN,
    SCORING_BATCH,
    TrainingMemory,
    halved,
    scoring_batch,
    training_memory,
)
from workers.records import Recipe
from workers.units import COMPOSED, GROUPED, units

FP32 = Recipe(batch_size=64, precision="fp32")


def line(width: int = 4) -> Plan:
    """Convolution, normalisation, ReLU, average, linear: small enough to count by hand."""
    builder = PlanBuilder((3, 8, 8))
    for operation in (Conv(out_channels=width, kernel=3), Norm(), Activation(), Pool(), Linear(out_features=2)):
        builder.add(operation)
    return builder.build()


def grouped(plan: Plan) -> tuple[str, ...]:
    return tuple(GROUPED for _ in units(plan))


def test_a_network_counted_by_hand() -> None:
    plan = line()
    found = training_memory(plan, FP32, gpu=False, forms=grouped(plan))
    convolution, norm, linear, statistics = 3 * 4 * 9, 8, 4 * 2 + 2, 8
    assert found.parameters == 4 * (3 * (convolution + norm + linear) + statistics)
    assert found.input == 4 * 3 * 8 * 8
    feature_map = 4 * 8 * 8
    # backward through the activation: what the normalisation read, what the activation wrote, and both gradients
    assert found.training == 4 * 4 * feature_map
    assert found.scoring == 4 * 2 * feature_map
    assert found.context == CPU_CONTEXT


def test_images_that_stay_are_counted_and_loading_them_takes_more() -> None:
    plan = line()
    few, many = (training_memory(plan, FP32, gpu=False, images=count) for count in (1, 1_000_001))
    assert many.data - few.data == 1_000_000 * (3 * 8 * 8 + 8)
    assert many.total() == many.context + 3 * many.data  # so many that reading them is the peak
    assert training_memory(plan, FP32, gpu=True, images=1_000_001).loading == 0


def test_half_precision_halves_the_activations_but_not_the_parameters() -> None:
    plan = small_plan()
    full = training_memory(plan, FP32, gpu=True)
    half = training_memory(plan, replace(FP32, precision="bf16"), gpu=True)
    assert half.training == full.training // 2
    assert half.parameters > full.parameters  # the copies that autocast makes
    assert half == training_memory(plan, replace(FP32, precision="auto"), gpu=True)
    assert full.context == GPU_CONTEXT


def test_composing_saves_the_tensors_within_a_product_and_costs_a_dense_kernel() -> None:
    plan = small_plan()
    composed = tuple(COMPOSED if COMPOSED in unit.forms else GROUPED for unit in units(plan))
    one = training_memory(plan, FP32, gpu=False, forms=grouped(plan))
    other = training_memory(plan, FP32, gpu=False, forms=composed)
    assert other.training < one.training
    assert other.parameters == one.parameters + 4 * 2 * ((16 + 16) * 16 + (16 + 32) * 16)


def memory(**changes: int) -> TrainingMemory:
    return TrainingMemory(
        **{"batch_size": 128, "parameters": 0, "input": 0, "training": 80, "scoring": 1, "context": 0, **changes}
    )


@pytest.mark.parametrize(
    ("share", "micro_batch"), [(12_800, 128), (12_799, 64), (6_400, 64), (1_600, 16), (800, 8), (799, None)]
)
def test_the_most_images_at_a_time_that_fit(share: int, micro_batch: int | None) -> None:
    assert memory().fitting(share) == micro_batch
    assert MARGIN * 80 * 128 == 12_800


def test_what_does_not_shrink_is_not_made_to_fit() -> None:
    assert memory(context=1000).fitting(999) is None
    assert memory(input=100).fitting(12_800) is None


def test_a_recipe_in_parts_starts_from_its_parts() -> None:
    assert memory(micro_batch=32).total() == memory().total(32)
    assert memory(micro_batch=32).fitting(10**9) == 32


def test_halves_end_where_batches_say_nothing() -> None:
    sizes = [128]
    while (size := halved(sizes[-1])) is not None:
        sizes.append(size)
    assert sizes == [128, 64, 32, 16, LEAST_MICRO_BATCH]
    assert halved(1) is None
    assert halved(17) == 9


def test_scoring_goes_in_parts_too_where_memory_is_short() -> None:
    assert scoring_batch(128, None) == scoring_batch(128, 128) == SCORING_BATCH
    assert scoring_batch(128, 16) == 32
    dear = memory(training=0, scoring=100)
    assert dear.total(16) == MARGIN * 100 * 32 < dear.total()


@pytest.mark.parametrize("name", ["igcv1 wide", "igcv2 wide", "mobilenetv2 wide"])
def test_the_estimate_is_near_the_peak_of_a_real_training(name: str) -> None:
    found = in_a_process(name, batch=32, plain=False)
    assert 0.6 < found["growth_ratio"] < 1.6


def test_it_needs_no_torch() -> None:
    code = "import sys; import workers.memory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_a_wide_network_on_a_whole_batch_needs_gibibytes() -> None:
    builder = PlanBuilder((3, 224, 224))
    for _ in range(20):
        builder.add(Conv(out_channels=64, kernel=3))
        builder.add(Norm())
        builder.add(Activation())
    builder.add(Pool())
    builder.add(Linear(out_features=1000))
    plan = builder.build()
    kept = 4 * 64 * prod((224, 224)) * 2 * 20  # what each normalisation and each convolution reads
    assert training_memory(plan, FP32, gpu=False).total() > 64 * kept > 16 * GIB
