"""A training step of two networks of each family: our worker's forms beside the plan node by node, as a ratio.

    python -m workers.benchmarks.families ROUNDS BATCH

Plain is what PyTorch does by itself: every node a layer of its own, NCHW, in the same environment. Both run in turn in
one thread; seconds are those of the processor, so that neighbours on the machine disturb little. The least of the rounds
counts. Prints one JSON line for each network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.families.table import FAMILIES
from search_spaces.plan import Plan
from workers.allocator import worker_environment
from workers.benchmarks.network import members
from workers.benchmarks.training import Say, clean_environment
from workers.builder import build
from workers.native.library import library
from workers.units import chosen_forms, units


def measure(rounds: int, batch: int, say: Say) -> dict[str, Any]:
    """The whole table, measured in the workers' environment; the worst ratio is `least`."""
    command = [sys.executable, "-m", "workers.benchmarks.families", str(rounds), str(batch)]
    found: dict[str, Any] = {}
    with subprocess.Popen(
        command, env=clean_environment() | worker_environment(1), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            row = json.loads(line)
            found[row.pop("network")] = row
            say(f"{list(found)[-1]:<20} {row['ratio']:>6.2f} times plain PyTorch")
    if process.returncode:
        raise ValueError(f"{' '.join(command)} ended with {process.returncode}; its message stands above")
    return {"least": min(row["ratio"] for row in found.values()), "networks": found}


def step_seconds(network: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    started = time.process_time()
    torch.autograd.backward(functional.cross_entropy(network(x), labels))
    return time.process_time() - started


def compared(plan: Plan, batch: int, rounds: int) -> dict[str, Any]:
    """The least seconds of a step of either, their ratio, and the form of each layer."""
    forms = chosen_forms(plan, native=library() is not None)
    x, labels = torch.randn(batch, *plan.input_shape), torch.arange(batch) % plan.output_shape[0]
    plain, ours = build(plan), build(plan, forms=forms)
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(rounds + 1):  # the first warms up
        seconds["plain"].append(step_seconds(plain, x, labels))
        seconds["ours"].append(step_seconds(ours, x, labels))
    best = {name: min(values[1:]) for name, values in seconds.items()}
    return {
        "ratio": round(best["plain"] / best["ours"], 2),
        "ms_an_image": {name: round(1000 * value / batch, 2) for name, value in best.items()},
        "layers": layers(plan, forms),
    }


def layers(plan: Plan, forms: tuple[str, ...]) -> list[str]:
    """`place: kind+kind form` for each unit, in the plan's order."""
    return [
        f"{plan.nodes[unit.nodes[0]].place}: {'+'.join(plan.nodes[node].operation.kind for node in unit.nodes)} {form}"
        for unit, form in zip(units(plan), forms, strict=True)
    ]


def each(rounds: int, batch: int, show: Callable[[str], None]) -> None:
    torch.set_num_threads(1)
    for family in FAMILIES:
        for name, plan in members(family).items():
            show(json.dumps({"network": f"{family} {name}", **compared(plan, batch, rounds)}))


if __name__ == "__main__":
    each(int(sys.argv[1]), int(sys.argv[2]), lambda line: print(line, flush=True))
