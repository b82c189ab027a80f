"""Exact costs of a million random candidates, as a ratio to counting modules one by one in the same run.

    python -m tests.benchmarks.candidate_costs [--json]

The candidates are uniform draws from the default spaces of all six families on 32 x 32 images. Ours: parameters, MACs,
activation memory and depth of all of them by gathers, from codes. The peers take plans that are ready, so that only
their own work is timed: `build` makes the module on the meta device (no memory, no initialisation) and counts its
parameters; `flop_counter` makes it too and runs PyTorch's FlopCounterMode over one image, on the processor. Each
runs in one thread. Answers are compared where both have one. Last, what `igcv space` asks of a space of more than
10^12 networks under one limit and under two, the reading of its tables included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.block_costs import MACS, PARAMS
from search_spaces.budget import Budget
from search_spaces.candidates import CostTables
from search_spaces.families.table import FAMILIES
from search_spaces.feasible import FeasibleSet
from search_spaces.networks import Task
from search_spaces.plan import Plan
from search_spaces.space import make_space
from search_spaces.summary import describe
from workers.builder import PlanNetwork, count_parameters

CANDIDATES, ROUNDS = 1_000_000, 7
ONE_BY_ONE, GROUP = 210, 30  # networks that each peer counts, and how many of them make one round


def main() -> None:
    """Runs everything once and prints rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")
    facts = measure()
    print(json.dumps(facts) if parser.parse_args().json else as_text(facts))


def measure() -> dict[str, Any]:
    """Rates are candidates a second, as (median, least, most) of the rounds."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    everything = FeasibleSet(make_space(Task(), {family: {} for family in FAMILIES}), Budget())
    tables_seconds = time.perf_counter() - started
    started = time.perf_counter()
    codes = everything.sample_codes(np.random.default_rng(0), CANDIDATES)
    draw_seconds = time.perf_counter() - started
    ours = [CANDIDATES / seconds(lambda: everything.tables.costs(codes)) for _ in range(ROUNDS)]
    peers = {"build": _build, "flop_counter": _count_flops}
    rates = {name: _one_by_one(everything.tables, codes[:ONE_BY_ONE], peer) for name, peer in peers.items()}
    return {
        "candidates": CANDIDATES,
        "rounds": ROUNDS,
        "one_by_one": ONE_BY_ONE,
        "space_size": everything.space_size,
        "tables_seconds": round(tables_seconds, 2),
        "draw_seconds": round(draw_seconds, 2),
        "ours_per_second": _spread(ours),
        **{f"{name}_per_second": _spread(rate) for name, rate in rates.items()},
        **{f"times_{name}": round(median(ours) / median(rate)) for name, rate in rates.items()},
        **_large_space(),
        "machine": _machine(),
    }


def _large_space() -> dict[str, Any]:
    """Seconds to the whole summary of a space, of one limit and of two."""
    stages = {
        "width": [[16, 24, 32, 40]] * 4 + [[48, 64, 80, 96]] * 4,
        "stride": [[1], [1], [2], [1], [2], [1], [1], [1]],
    }
    fixed = {"permutations": "both", "activations": "middle", "skip": True}
    space = make_space(Task(), {"igcv3": {"g1": 2, "g2": [2, 4], **fixed, **stages}})
    one, two = Budget(max_macs=20_000_000), Budget(max_macs=20_000_000, max_params=150_000)
    started = time.perf_counter()
    exact = describe(FeasibleSet(space, one))
    one_seconds = time.perf_counter() - started
    started = time.perf_counter()
    estimated = describe(FeasibleSet(space, two))
    return {
        "large_space_size": exact.space_size,
        "one_limit_size": exact.feasible_size,
        "one_limit_is_exact": exact.is_exact,
        "one_limit_seconds": round(one_seconds, 2),
        "two_limits_size": estimated.feasible_size,
        "two_limits_is_exact": estimated.is_exact,
        "two_limits_seconds": round(time.perf_counter() - started, 2),
    }


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _one_by_one(tables: CostTables, codes: np.ndarray, peer: Callable[[Plan], tuple[int, int | None]]) -> list[float]:
    """The rates of groups of networks. An answer that differs from ours ends the run."""
    plans = [tables.space.plan(architecture) for architecture in tables.decode(codes)]
    peer(plans[0])  # what PyTorch imports on first use is not timed
    found: list[tuple[int, int | None]] = []
    rates: list[float] = []
    for first in range(0, len(plans), GROUP):
        group = plans[first : first + GROUP]
        started = time.perf_counter()
        found.extend(map(peer, group))
        rates.append(len(group) / (time.perf_counter() - started))
    for row, (params, macs) in zip(tables.costs(codes), found, strict=True):
        assert (row[PARAMS], row[MACS]) == (params, row[MACS] if macs is None else macs)
    return rates


def _build(plan: Plan) -> tuple[int, None]:
    with torch.device("meta"):
        return count_parameters(PlanNetwork(plan)), None


def _count_flops(plan: Plan) -> tuple[int, int]:
    module, counter = PlanNetwork(plan).eval(), FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        module(torch.zeros(1, *plan.input_shape))
    return count_parameters(module), counter.get_total_flops() // 2


def _spread(rates: Sequence[float]) -> tuple[float, float, float]:
    middle, least, most = (float(f"{rate:.3g}") for rate in (median(rates), min(rates), max(rates)))
    return middle, least, most


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def as_text(facts: dict[str, Any]) -> str:
    """The facts as lines for the terminal."""
    lines = []
    for name, value in facts.items():
        match value:
            case (middle, least, most):
                lines.append(f"{name.replace('_', ' '):<26}{middle:,.0f} ({least:,.0f} to {most:,.0f})")
            case dict():
                lines.append(f"{name:<26}{', '.join(f'{key} {found}' for key, found in value.items())}")
            case bool():
                lines.append(f"{name.replace('_', ' '):<26}{'yes' if value else 'no'}")
            case _:
                lines.append(f"{name.replace('_', ' '):<26}{value:,}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
