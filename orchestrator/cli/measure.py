"""`igcv measure`: latency, throughput and memory of networks in use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.networks import CHANNELS, CLASSES, SIZE, load_plan
from orchestrator.locate import locate
from orchestrator.measuring import measure_all
from orchestrator.targets import Target, trained_networks
from search_spaces.cost import cost
from search_spaces.references import REFERENCES, reference
from workers.measured import MeasuredCost, MeasureSpec, Spread

Measured = tuple[Target, MeasuredCost]
Keep = Callable[[Mapping[int, MeasuredCost]], None]
DEFAULT = MeasureSpec()


@click.command()
@click.argument("network", metavar="NAME|FILE|STUDY:NUMBER|STUDY")
@SIZE
@CLASSES
@CHANNELS
@click.option("--batch", type=int, default=DEFAULT.batch_size, show_default=True, help="Images at a time.")
@click.option("--repeats", type=int, default=100, show_default=True, help="Runs that are counted.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=int, help="CPU threads; default all cores that this process may use.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON on stdout.")
def measure(
    network: str,
    image_size: int | None,
    classes: int | None,
    channels: int | None,
    batch: int,
    repeats: int,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure a reference network, a network file, one trial, or every member of a study's front, in use.

    What is measured of a front is kept in the study NAME/evaluation and shown in the trial table and the dashboard.
    In use: products composed, normalisation folded in, fp32. Medians with quartiles, in a process of its own.
    """
    spec = MeasureSpec(batch_size=batch, repeats=repeats)
    targets = _targets(network, image_size, classes, channels)
    whole_study = targets[0].number is not None and ":" not in network
    with _keeper(network) if whole_study else nullcontext() as keep:
        records = measure_all([target.plan for target in targets], spec, device=device, threads=threads)
        measured = list(zip(targets, records, strict=True))
        if keep is not None:
            keep({target.number: record for target, record in measured if target.number is not None})
    if as_json:
        click.echo(json.dumps([facts_of(*one) for one in measured]))
        return
    console = Console(width=None if Console().is_terminal else 200)
    console.print(_table(measured))
    console.print(Text(_conditions(measured[0][1])))


@contextmanager
def _keeper(study: str) -> Iterator[Keep]:
    """A writer of what is measured; while it is open no search can run the study, which would disturb the clock."""
    from orchestrator.evaluation.measurements import keep_measurements
    from orchestrator.evaluation.repeats import evaluation_name
    from orchestrator.study import claim, open_storage

    found = locate(study)
    lease = claim(found.storage, evaluation_name(found.name))
    try:
        storage = open_storage(found.storage, lambda line: click.echo(line, err=True))
        yield lambda measured: keep_measurements(found, storage, lease, measured)
    finally:
        lease.release()


def facts_of(target: Target, measured: MeasuredCost) -> dict[str, Any]:
    """What `--json` prints of one network."""
    exact = cost(target.plan)
    return {
        "name": target.name,
        "number": target.number,
        "plan_key": target.plan.key,
        "macs": exact.macs,
        "params": exact.params,
        **asdict(measured),
    }


def _targets(name: str, image_size: int | None, classes: int | None, channels: int | None) -> list[Target]:
    if name in REFERENCES or Path(name).is_file():
        return [Target(name=name, plan=load_plan(name, image_size, classes, channels))]
    if image_size or classes or channels:
        raise ValueError(f"{name} was trained on its own images: --image-size, --classes and --channels do not apply")
    try:
        return trained_networks(name)
    except ValueError as error:
        if ":" in name or "/" in name:
            raise
        try:
            reference(name)
        except ValueError as unknown:
            raise ValueError(f"{error}; and {unknown}") from None
        raise


def _table(measured: list[Measured]) -> Table:
    batch = measured[0][1].batch_size
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network", overflow="fold")
    for column in ("params", "MACs", "latency (ms)", f"{batch} images (ms)", "images/s", "memory (MiB)"):
        table.add_column(column, justify="right")
    for target, found in measured:
        exact = cost(target.plan)
        name = target.name if target.number is None else f"{target.number}  {target.name}"
        table.add_row(
            Text(name),
            f"{exact.params:,}",
            f"{exact.macs:,}",
            _shown(found.latency_ms),
            _shown(found.batch_latency_ms),
            f"{found.images_per_second.median:,.0f}",
            f"{found.inference_memory_mib:.1f}",
        )
    return table


def _shown(value: Spread) -> str:
    """`1.23 (1.20–1.31)`: the median and the quartiles."""
    return f"{value.median:.3g} ({value.lower:.3g}–{value.upper:.3g})"


def _conditions(found: MeasuredCost) -> str:
    return (
        f"\nmedian (quartiles) of {found.latency_ms.n} runs after {found.warm_up}; {found.device} ({found.hardware}), "
        f"{found.threads} threads, torch {found.torch}, fp32; memory: tensors at their highest with "
        f"{found.batch_size} images"
    )
