"""What bounds a training step: its arithmetic and its traffic with memory, beside what the machine can do at most.

    python -m workers.benchmarks.bounds THREADS

prints as JSON the multiplications of large matrices in GFLOP/s, and the speed of copies in GB/s.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from math import prod
from typing import Any

import torch

from search_spaces.cost import cost
from search_spaces.plan import Plan
from workers.units import NATIVE, units

SIDE = 1536  # of the matrices
COPIED = 64 << 20  # numbers, far more than caches hold
ROUNDS = 5
BACKWARD = 2  # twice the multiplications of the forward pass: for the input's gradient and for the weights'


def machine(threads: int) -> dict[str, float]:
    """The best of a few rounds each, with so many threads."""
    torch.set_num_threads(threads)
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    source, target = torch.randn(COPIED), torch.empty(COPIED)
    return {
        "matmul_gflops": round(2 * SIDE**3 / _least_seconds(lambda: torch.mm(left, right)) / 1e9, 1),
        "copy_gb_per_second": round(2 * 4 * COPIED / _least_seconds(lambda: target.copy_(source)) / 1e9, 1),
    }


def bounds(plan: Plan, forms: tuple[str, ...], images_per_second: float, limits: dict[str, float]) -> dict[str, Any]:
    """How near a training comes to the machine's limits; the nearer one is what bounds it."""
    gflops = step_flops(plan) * images_per_second / 1e9
    traffic = step_bytes(plan, forms) * images_per_second / 1e9
    arithmetic, memory = gflops / limits["matmul_gflops"], traffic / limits["copy_gb_per_second"]
    return {
        **limits,
        "gflops": round(gflops, 1),
        "gb_per_second": round(traffic, 1),
        "arithmetic_share": round(arithmetic, 2),
        "memory_share": round(memory, 2),
        "bound": "memory traffic" if memory > arithmetic else "arithmetic",
    }


def step_flops(plan: Plan) -> int:
    """Floating-point operations of one image's forward and backward pass, by the plan's factors."""
    return (1 + BACKWARD) * 2 * cost(plan).macs


def step_bytes(plan: Plan, forms: tuple[str, ...]) -> int:
    """Bytes that one image's forward and backward pass reads and writes in fp32, each tensor once for each pass over it.

    A native unit passes over its input 3 times and over its output 7 times (docs/adr/0007); any other node reads and
    writes once forward, and backward reads the gradient and what was kept, and writes a gradient.
    """
    total = 0
    covered: set[int] = set()
    for unit, form in zip(units(plan), forms, strict=True):
        if form == NATIVE:
            given = plan.nodes[plan.nodes[unit.nodes[0]].inputs[0]].shape
            total += 3 * prod(given) + 7 * prod(plan.nodes[unit.nodes[-1]].shape)
            covered.update(unit.nodes)
    for index, node in enumerate(plan.nodes):
        if node.inputs and index not in covered:
            read = sum(prod(plan.nodes[source].shape) for source in node.inputs)
            total += 3 * read + 2 * prod(node.shape)
    return 4 * total


def _least_seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


if __name__ == "__main__":
    print(json.dumps(machine(int(sys.argv[1]))))
