"""Measures networks in a process of its own, started as a worker is: its threads, its allocator, and nothing beside."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module

from search_spaces.plan import Plan, plan_from_json, plan_to_json
from workers.allocator import worker_environment
from workers.measured import MeasuredCost, MeasureSpec


def measure_all(
    plans: Sequence[Plan], spec: MeasureSpec, *, device: str = "auto", threads: int | None = None
) -> Iterator[MeasuredCost]:
    """The measured cost of each plan, one after another. ValueError: no such device, or a batch does not fit there."""
    count = threads if threads is not None else len(os.sched_getaffinity(0))
    if count < 1:
        raise ValueError(f"threads is {count}, expected at least 1")
    before = dict(os.environ)
    os.environ.update(worker_environment(count))
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            for plan in plans:
                yield _result(process, plan, spec, device, count)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _result(process: ProcessPoolExecutor, plan: Plan, spec: MeasureSpec, device: str, threads: int) -> MeasuredCost:
    try:
        return process.submit(_measure, plan_to_json(plan), spec, device, threads).result()
    except ValueError as error:
        raise ValueError(str(error)) from None
    except BrokenProcessPool:
        raise ValueError(
            f"the measuring process ended at once, as when memory runs out; try a batch below {spec.batch_size}"
        ) from None


def _measure(plan: str, spec: MeasureSpec, device: str, threads: int) -> MeasuredCost:
    found: MeasuredCost = import_module("workers.measure").measure(
        plan_from_json(plan), spec, device=device, threads=threads
    )
    return found
