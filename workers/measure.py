"""Measures a network in use: latency, throughput and memory of its inference form, with warm-up, repeats and spread."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from search_spaces.plan import Plan
from workers.builder import build
from workers.device import MIB, pick_device, set_threads
from workers.guard import failure_kind
from workers.inference import inference_network
from workers.measured import MeasuredCost, MeasureSpec, Spread, spread


def measure(plan: Plan, spec: MeasureSpec, *, device: str = "auto", threads: int | None = None) -> MeasuredCost:
    """The measured cost of a plan; its weights do not matter. ValueError: no such device, or the batch does not fit."""
    chosen = pick_device(device)
    used = set_threads(threads)
    network = inference_network(build(plan)).to(chosen).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        try:
            one_NCHW, batch_NCHW = (_images(plan, count, chosen) for count in (1, spec.batch_size))
            single = _timed(lambda: network(one_NCHW), spec, chosen)
            batch = _timed(lambda: network(batch_NCHW), spec, chosen)
            memory = _peak_memory(network, batch_NCHW)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if failure_kind(error) != "out_of_memory":
                raise
            raise ValueError(
                f"a batch of {spec.batch_size} images does not fit into the memory of {chosen}; take a smaller one"
            ) from error
    return MeasuredCost(
        latency_ms=single,
        batch_latency_ms=batch,
        images_per_second=_throughput(batch, spec.batch_size),
        inference_memory_mib=memory / MIB,
        batch_size=spec.batch_size,
        warm_up=spec.warm_up,
        device=str(chosen),
        hardware=hardware(chosen),
        threads=used,
        torch=torch.__version__,
    )


def hardware(device: torch.device) -> str:
    """The processor's or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _images(plan: Plan, count: int, device: torch.device) -> Tensor:
    drawn = torch.randn(count, *plan.input_shape, generator=torch.Generator().manual_seed(0))
    return drawn.to(device).contiguous(memory_format=torch.channels_last)


def _timed(call: Callable[[], Tensor], spec: MeasureSpec, device: torch.device) -> Spread:
    """Milliseconds of single calls, each waited for."""
    milliseconds = []
    for number in range(spec.warm_up + spec.repeats):
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        if number >= spec.warm_up:
            milliseconds.append(1e3 * (time.perf_counter() - began))
    return spread(milliseconds)


def _throughput(batch_ms: Spread, batch_size: int) -> Spread:
    rate = 1e3 * batch_size
    return Spread(median=rate / batch_ms.median, lower=rate / batch_ms.upper, upper=rate / batch_ms.lower, n=batch_ms.n)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(network: nn.Module, x_NCHW: Tensor) -> float:
    """Bytes of tensors at their highest during one call, weights and images included."""
    if x_NCHW.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(x_NCHW.device)
        before = torch.cuda.memory_allocated(x_NCHW.device)
        network(x_NCHW)
        torch.cuda.synchronize(x_NCHW.device)
        return _held(network, x_NCHW) + torch.cuda.max_memory_allocated(x_NCHW.device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler writes on stderr otherwise
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        network(x_NCHW)
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    current = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        current += event.nbytes()
        highest = max(highest, current)
    return _held(network, x_NCHW) + highest


def _held(network: nn.Module, x_NCHW: Tensor) -> int:
    """Bytes of weights and images."""
    return sum(tensor.nbytes for tensor in (x_NCHW, *network.parameters(), *network.buffers()))
