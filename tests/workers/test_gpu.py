"""What only a machine with a GPU can show: forms, bf16, resident images, parts of batches, memory, captured steps.

    python -m pytest tests/workers/test_gpu.py -rA

Measured numbers are printed, so -rA shows them.
"""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.families.table import FAMILIES
from search_spaces.plan import Plan
from tests.workers.making import request, run_through, small_plan
from workers import trainer
from workers.augment import batches
from workers.benchmarks.network import members, peer_plan
from workers.builder import build
from workers.memory import MIB, training_memory
from workers.records import Recipe
from workers.trainer import make_optimiser, training_step
from workers.units import COMPOSED, GROUPED, NATIVE, chosen_forms, units

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is visible here")

ENOUGH_FOR_HALF = """
import sys
import torch
from tests.workers.making import request
from workers import guard
from workers.benchmarks.network import peer_plan
from workers.device import claim_share
from workers.memory import training_memory

recipe = {"epochs": 1, "batch_size": 512, "precision": "fp32"}
data = {"name": "npz", "path": sys.argv[1], "max_train": None, "max_validation": 10}
wanted = request(plan=peer_plan(), recipe=recipe, data=data, device="cuda")
memory = training_memory(peer_plan(), wanted.recipe, gpu=True)
whole = torch.cuda.get_device_properties(0).total_memory
torch.cuda.set_per_process_memory_fraction(0.75 * (memory.total() - memory.context) / whole)
*_, last = guard.run(wanted)
print(type(last).__name__, getattr(last, "micro_batch", None), getattr(last, "message", ""))
"""

BEYOND_ITS_SHARE = """
import torch
from workers.device import claim_share

share = claim_share(0.25)
try:
    torch.empty(share, dtype=torch.uint8, device="cuda")
except torch.OutOfMemoryError:
    print("kept to its share")
"""


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """fp32 means fp32: no TF32 in convolutions."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def in_a_process(code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def scores_and_gradients(network: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """In double precision on the CPU, whatever the network's own is."""
    scores = network(x)
    torch.autograd.backward(functional.cross_entropy(scores, labels))
    gradients = [parameter.grad for parameter in network.parameters()]
    return [tensor.detach().double().cpu() for tensor in [scores, *(g for g in gradients if g is not None)]]


def every_form(plan: Plan) -> list[tuple[str, ...]]:
    composed = tuple(COMPOSED if COMPOSED in unit.forms else GROUPED for unit in units(plan))
    return [tuple(GROUPED for _ in units(plan)), composed, chosen_forms(plan, native=False)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_form_equals_a_float64_reference(family: str) -> None:
    plan = members(family)["narrow"]
    x, labels = torch.randn(8, *plan.input_shape), torch.arange(8) % plan.output_shape[0]
    wanted = scores_and_gradients(build(plan).double(), x.double(), labels)
    for forms in every_form(plan):
        found = scores_and_gradients(build(plan, forms=forms).to(DEVICE), x.to(DEVICE), labels.to(DEVICE))
        for one, other in zip(found, wanted, strict=True):
            assert (one - other).norm() <= 2e-3 * other.norm() + 1e-4


def test_auto_precision_is_bf16_where_it_is_multiplied_and_learns_the_digits() -> None:
    recipe = {"epochs": 6, "learning_rate": 0.2, "precision": "auto"}
    data = {"max_train": 1000, "max_validation": 200}
    reports, metrics = run_through(request(recipe=recipe, data=data, device=DEVICE))
    assert metrics.device.startswith(DEVICE)
    assert NATIVE not in metrics.forms
    assert metrics.accuracy > 0.6
    assert reports[-1].train_loss < reports[0].train_loss / 2


def test_a_checkpoint_of_a_cpu_goes_on_here(tmp_path: Path) -> None:
    path = str(tmp_path / "c.pt")
    run_through(request(checkpoint=path, stop_epoch=1, device="cpu"))
    reports, metrics = run_through(request(checkpoint=path, device=DEVICE))
    assert [report.epoch for report in reports] == [2, 3]
    assert metrics.device.startswith(DEVICE)


def test_the_images_stay_on_the_gpu_and_are_augmented_there(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, str]] = set()

    def watched(part: Any, *rest: Any, **named: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in batches(part, *rest, **named):
            seen.add((part.images_NCHW.device.type, images.device.type))
            yield images, labels

    monkeypatch.setattr(trainer, "batches", watched)
    run_through(request(device=DEVICE))
    assert seen == {(DEVICE, DEVICE)}


def test_parts_of_a_batch_add_up_to_the_batch() -> None:
    plan, recipe = small_plan(), Recipe(learning_rate=0.5)
    x, labels = torch.randn(12, 1, 8, 8, device=DEVICE), torch.arange(12, device=DEVICE) % 10
    weights = []
    for micro_batch in (None, 5):
        network = build(plan).to(DEVICE).eval()  # batch statistics are what differs, so they are left out here
        optimiser = make_optimiser(network, recipe)
        training_step(network, optimiser, x, labels, recipe, 0.5, micro_batch, torch.float32)
        weights.append([parameter.detach().clone() for parameter in network.parameters()])
    for whole, parts in zip(*weights, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-5)


def test_where_half_a_batch_fits_a_real_out_of_memory_is_survived(tmp_path: Path) -> None:
    from workers.benchmarks.ours import write_images

    write_images(tmp_path, 5)
    assert in_a_process(ENOUGH_FOR_HALF, str(tmp_path / "images.npz")).startswith("Metrics 256")


def test_a_worker_keeps_to_its_share() -> None:
    assert in_a_process(BEYOND_ITS_SHARE) == "kept to its share"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_is_near_the_peak(family: str, precision: Any) -> None:
    plan, recipe = members(family)["wide"], Recipe(batch_size=128, precision=precision)
    network = build(plan, forms=chosen_forms(plan, native=False)).to(DEVICE)
    optimiser = make_optimiser(network, recipe)
    x, labels = torch.randn(128, *plan.input_shape, device=DEVICE), torch.arange(128, device=DEVICE) % 10
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        training_step(network, optimiser, x, labels, recipe, 0.1, None, dtype)
    estimate = training_memory(plan, recipe, gpu=True)
    expected, peak = estimate.total() - estimate.context, torch.cuda.max_memory_allocated()
    print(f"{family} {precision}: estimate {expected / MIB:.0f} MiB, peak {peak / MIB:.0f} MiB, {expected / peak:.2f}")
    assert 0.6 < expected / peak < 1.8


def eager_and_captured(network: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """A step's forward and backward pass run as it is, and as a CUDA graph: gradients, and seconds of a step each."""

    def step() -> None:
        torch.autograd.backward(functional.cross_entropy(network(x), labels))

    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            network.zero_grad(set_to_none=True)
            step()
    torch.cuda.current_stream().wait_stream(side)
    gradients = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    graph = torch.cuda.CUDAGraph()
    network.zero_grad(set_to_none=True)
    began = time.perf_counter()
    with torch.cuda.graph(graph):
        step()
    capture_seconds = time.perf_counter() - began
    graph.replay()
    captured = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    return {
        "gradients": (gradients, captured),
        "capture_seconds": capture_seconds,
        "eager_seconds": _seconds(step),
        "captured_seconds": _seconds(graph.replay),
    }


def _seconds(work: Any, rounds: int = 20) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(rounds):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / rounds


@pytest.mark.parametrize("form", [GROUPED, COMPOSED])
def test_a_step_can_be_captured_as_a_graph_with_the_same_gradients(form: str) -> None:
    plan = peer_plan()
    network = build(plan, forms=tuple(form if form in unit.forms else GROUPED for unit in units(plan))).to(DEVICE)
    x, labels = torch.randn(128, 3, 32, 32, device=DEVICE), torch.arange(128, device=DEVICE) % 10
    found = eager_and_captured(network, x, labels)
    eager, captured, once = (found[f"{name}_seconds"] for name in ("eager", "captured", "capture"))
    saved = eager - captured
    pays = f"pays after {once / saved:.0f} steps" if saved > 0 else "never pays"
    print(f"{form}: eager {1000 * eager:.2f} ms, captured {1000 * captured:.2f} ms, capturing {once:.2f} s: {pays}")
    for one, other in zip(*found["gradients"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_compiled_network_gives_the_same_scores() -> None:
    network = build(peer_plan(), forms=chosen_forms(peer_plan(), native=False)).to(DEVICE).eval()
    x = torch.randn(16, 3, 32, 32, device=DEVICE)
    with torch.no_grad():
        wanted = copy.deepcopy(network)(x)
        began = time.perf_counter()
        found = torch.compile(network)(x)
        print(f"compiling for scoring took {time.perf_counter() - began:.1f} s")
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-3)


def test_a_training_by_replays_learns_what_plain_steps_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs with a smaller last batch each: the same curve within rounding, and the decision in the checkpoint."""
    recipe = {"epochs": 2, "batch_size": 48, "precision": "fp32"}
    data = {"max_train": 1210}
    with monkeypatch.context() as plain:
        plain.setattr("workers.replay.CAPTURE_SECONDS", math.inf)
        _, metrics = run_through(request(recipe=recipe, data=data, device=DEVICE))
        assert metrics.replayed is None
    monkeypatch.setattr("workers.replay.CAPTURE_SECONDS", 0.0)
    monkeypatch.setattr("workers.replay.LEAST_GAIN", -math.inf)
    checkpoint = str(tmp_path / "c.pt")
    run_through(request(recipe=recipe, data=data, device=DEVICE, checkpoint=checkpoint, stop_epoch=1))
    _, told = run_through(request(recipe=recipe, data=data, device=DEVICE, checkpoint=checkpoint))
    print(f"plain {metrics.images_per_second:.0f}, replayed {told.images_per_second:.0f} images/s")
    assert told.replayed is True
    for one, other in zip(metrics.curve, told.curve, strict=True):
        assert abs(one.train_loss - other.train_loss) < 0.02 * one.train_loss
        assert abs(one.accuracy - other.accuracy) < 0.03
