"""A training step of published networks of each family: our worker's forms beside the plan node by node, as a ratio.

    python -m tests.benchmarks.bench_families [--json] [--rounds 3] [--batch 16]

Plain is what PyTorch does by itself: every node a layer of its own, NCHW, in the same environment. Both run in turn in
one thread; seconds are those of the processor, so that neighbours on the machine disturb little. The least of the rounds
counts. Start it in the workers' environment to measure what workers do (MALLOC_MMAP_THRESHOLD_ and so on).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_spaces.families.table import FAMILIES
from search_spaces.networks import Task, lower
from search_spaces.plan import Plan
from search_spaces.space import make_space
from workers.builder import build
from workers.native.library import library
from workers.units import chosen_forms


def members(family: str) -> dict[str, Plan]:
    """The narrowest and the widest member of a family's default space for 32 x 32 images, by its first choices."""
    task = Task()
    space = make_space(task, {family: {}}).families[0]
    shared = next(iter(space.shared_choices()))
    stages = [list(space.stage_choices(stage)) for stage in range(len(space.stages))]
    chosen = {"narrow": tuple(choices[0] for choices in stages), "wide": tuple(choices[-1] for choices in stages)}
    return {name: lower(FAMILIES[family], space.network(shared, picked), task) for name, picked in chosen.items()}


def step_seconds(network: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    started = time.process_time()
    functional.cross_entropy(network(x), labels).backward()
    return time.process_time() - started


def compared(plan: Plan, batch: int, rounds: int) -> dict[str, Any]:
    """The least seconds of a step of either, their ratio, and the forms."""
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
        "forms": dict(Counter(forms)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for family in FAMILIES:
        for name, plan in members(family).items():
            result[f"{family} {name}"] = compared(plan, arguments.batch, arguments.rounds)
            if not arguments.json:
                print(f"{family:<12} {name:<8} {result[f'{family} {name}']}", flush=True)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
