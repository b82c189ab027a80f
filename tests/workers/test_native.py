"""The native kernels against float64, bit for bit from run to run, and their absence."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.workers.making import numbers, request, run_through, small_plan
from workers.builder import build
from workers.forms import shuffle
from workers.native.library import library
from workers.native.unit import UnitShape, unit_in_training
from workers.units import COMPOSED, GROUPED, NATIVE, chosen_forms

needs_kernels = pytest.mark.skipif(library() is None, reason="no C compiler here")


def reference(
    shape: UnitShape, x: Tensor, gamma: Tensor, beta: Tensor, taps: Tensor | None, *factors: Tensor
) -> Tensor:
    """The unit by PyTorch's own operations, one after another."""
    if taps is not None:
        kernel = taps.t().reshape(-1, 1, 3, 3)
        x = functional.conv2d(x, kernel, None, shape.stride, 1, groups=x.shape[1])
    for weight, groups in zip(factors, shape.shuffles, strict=True):
        count, outputs, inputs = weight.shape
        x = shuffle(functional.conv2d(x, weight.reshape(count * outputs, inputs, 1, 1), groups=count), groups)
    x = functional.batch_norm(x, None, None, gamma, beta, training=True, eps=shape.epsilon)
    x = x.clamp(0, shape.bound) if shape.bound else x
    return shuffle(x, shape.shuffle)


@needs_kernels
@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_unit_and_its_gradients_equal_float64(data: st.DataObject) -> None:
    k, groups = data.draw(st.sampled_from([8, 16, 24]), "k"), data.draw(st.integers(1, 5), "groups")
    count, growth = data.draw(st.integers(0, 3), "factors"), data.draw(st.integers(1, 3), "growth")
    spatial, stride = data.draw(st.booleans(), "spatial"), data.draw(st.sampled_from([1, 2]), "stride")
    batch, size = data.draw(st.integers(2, 5), "batch"), data.draw(st.sampled_from([1, 2, 3, 4, 7, 8, 17]), "size")
    threads = data.draw(st.sampled_from([1, 2, 3]), "threads")
    width = k * groups
    out = width * growth if count else width
    shape = UnitShape(
        stride=stride if spatial else 1,
        shuffles=tuple(data.draw(st.sampled_from([1, groups, k])) for _ in range(count)),
        bound=data.draw(st.sampled_from([0.0, math.inf, 6.0]), "bound"),
        shuffle=data.draw(st.sampled_from([1, groups, 8]), "shuffle"),
        epsilon=1e-5 if batch * size * size > 100 else 0.1,  # the variance of few numbers can be near zero
    )
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 99), "seed"))
    leaves = [torch.randn(batch, width, size, size, generator=random), torch.rand(out, generator=random) + 0.5]
    leaves.append(torch.randn(out, generator=random))
    leaves += [torch.randn(9, width, generator=random) / 3] if spatial else []
    for number in range(count):
        outputs = (out if number == count - 1 else width) // groups
        leaves.append(torch.randn(groups, outputs, k, generator=random) / math.sqrt(k))
    exact = [leaf.double().requires_grad_() for leaf in leaves]
    for leaf in leaves:
        leaf.requires_grad_()

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, gamma, beta, *rest = leaves
        taps, factors = (rest[0], rest[1:]) if spatial else (None, rest)
        y, _, _, _ = unit_in_training(shape, x, gamma, beta, torch.zeros(out), taps, factors)
        expected = reference(shape, *exact[:3], *(exact[3:] if spatial else [None, *exact[3:]]))
        # Where the activation bends, rounding decides on which side a number lies: its gradient is left out.
        linear = reference(replace(shape, bound=0.0), *exact[:3], *(exact[3:] if spatial else [None, *exact[3:]]))
        bends = (linear.abs() < 1e-3) | ((linear - shape.bound).abs() < 1e-3)
        slope = torch.randn(y.shape, generator=random) * ~bends
        found = torch.autograd.grad(y, leaves, slope)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    for gradient, wanted in zip(found, torch.autograd.grad(expected, exact, slope.double()), strict=True):
        spread = float(wanted.square().mean().sqrt()) + 1e-3
        torch.testing.assert_close(gradient.double(), wanted, rtol=2e-3, atol=2e-3 * spread)


@needs_kernels
def test_a_number_that_is_none_stays_so() -> None:
    x = torch.ones(2, 8, 2, 2)
    x[0, 3, 0, 0] = math.nan
    shape = UnitShape(bound=math.inf)
    y, mean, _, _ = unit_in_training(shape, x, torch.ones(8), torch.zeros(8), torch.zeros(8), None, [])
    assert torch.isnan(y[0, 3]).all()
    assert torch.isnan(mean).tolist() == [channel == 3 for channel in range(8)]


@needs_kernels
@pytest.mark.parametrize("threads", [1, 2])
def test_units_give_the_same_bits_again(threads: int) -> None:
    def once() -> list[Tensor]:
        network = build(small_plan(), forms=chosen_forms(small_plan(), native=True))
        generator = torch.Generator().manual_seed(0)
        y = network(torch.randn(33, 1, 8, 8, generator=generator))
        y.square().sum().backward()
        return [y.detach(), *(parameter.grad for parameter in network.parameters() if parameter.grad is not None)]

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert all(torch.equal(one, two) for one, two in zip(once(), once(), strict=True))
    finally:
        torch.set_num_threads(before)


@needs_kernels
def test_the_trainer_takes_the_kernels_and_says_so() -> None:
    _, metrics = run_through(request(recipe={"epochs": 1}))
    assert set(metrics.forms) == {NATIVE, COMPOSED}


def test_the_kernels_are_kept_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if library() is None:
        pytest.skip("no C compiler here")
    monkeypatch.setenv("IGCV_CACHE", str(tmp_path / "cache"))
    library.cache_clear()
    try:
        assert library() is not None
        (kept,) = (tmp_path / "cache").iterdir()
        written = kept.stat().st_mtime_ns
        library.cache_clear()
        assert library() is not None
        assert kept.stat().st_mtime_ns == written
    finally:
        library.cache_clear()


@pytest.mark.parametrize(
    "environment",
    [{"CC": "no-such-compiler"}, {"CC": "false", "IGCV_CACHE": "off"}, {"IGCV_NATIVE": "off"}],
)
def test_without_the_kernels_training_goes_on_in_other_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "c.pt")
    begun, _ = run_through(request(checkpoint=path, stop_epoch=1))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    library.cache_clear()
    try:
        assert library() is None
        fresh, metrics = run_through(request())
        assert NATIVE not in metrics.forms
        resumed, again = run_through(request(checkpoint=path))
        assert again.forms == metrics.forms
        assert [report.epoch for report in resumed] == [2, 3]
        assert fresh[0].train_loss == pytest.approx(begun[0].train_loss, rel=1e-3)
        assert numbers(fresh) == numbers(run_through(request())[0])
    finally:
        library.cache_clear()


def test_a_given_form_is_kept() -> None:
    forms = (GROUPED,) * len(chosen_forms(small_plan(), native=False))
    _, metrics = run_through(request(recipe={"epochs": 1}, forms=forms))
    assert metrics.forms == forms
