"""`igcv cost`, `catalog`, `space` and `draw`: what is known of networks before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.network_file import read_network
from search_spaces.block_costs import COLUMNS
from search_spaces.conditions import StageCondition, stage_conditions
from search_spaces.cost import Cost, stage_costs
from search_spaces.cost import cost as plan_cost
from search_spaces.networks import Task
from search_spaces.plan import Plan
from search_spaces.references import CatalogRow, reference, reference_plan
from search_spaces.summary import SpaceSummary, describe
from workers.memory import GIB, training_memory
from workers.records import Recipe

MEMORY_BATCH = 128  # for which `igcv cost` tells the memory of a training
AT_LEAST_ONE = click.IntRange(1)
SIZE = click.option("--image-size", type=AT_LEAST_ONE, help="Side of the images; default the reference's own, or 32.")
CLASSES = click.option("--classes", type=AT_LEAST_ONE, help="Classes; default the reference's own, or 10.")
CHANNELS = click.option("--channels", type=AT_LEAST_ONE, help="Channels of the images; default 3.")


@click.command()
@click.argument("name")
@SIZE
@CLASSES
@CHANNELS
@click.option("--layers", is_flag=True, help="List every layer.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on stdout.")
def cost(
    name: str, image_size: int | None, classes: int | None, channels: int | None, layers: bool, as_json: bool
) -> None:
    """Exact cost of NAME, a reference network (see `igcv catalog`) or a network FILE, and its paths by stage."""
    plan = load_plan(name, image_size, classes, channels)
    if as_json:
        click.echo(json.dumps(cost_facts(name, plan, layers)))
        return
    console = Console(width=None if Console().is_terminal else 140)
    console.print(_cost_table(name, plan))
    console.print(_memory_line(plan))
    console.print(_condition_table(stage_conditions(plan)))
    if layers:
        console.print(_layer_table(plan))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON on stdout.")
def catalog(as_json: bool) -> None:
    """Every reference network: our exact figures beside the published ones."""
    from search_spaces.references import catalog_rows

    rows = catalog_rows()
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    Console(width=None if Console().is_terminal else 220).print(_catalog_table(rows))


def _catalog_table(rows: Sequence[CatalogRow]) -> Table:
    """One line for each published figure; `*` marks networks of which parts are our reconstruction."""
    table = Table(box=None, header_style="bold", caption="* parts are a reconstruction; --json has notes and sources")
    for column in ("network", "params", "MACs", "published figure", "ours", "published", "", "accuracies"):
        table.add_column(column, justify="right" if column in ("params", "MACs", "ours", "published") else "left")
    for row in rows:
        accuracies = " ".join(f"{known.dataset} {known.value:.2%}" for known in row.accuracies)
        head = (row.name + ("*" if row.fit else ""), f"{row.params:,}", f"{row.macs:,}")
        for index, figure in enumerate(row.comparisons):
            verdict = "exact" if not figure.difference else "rounding" if figure.within else f"off: {figure.why}"
            numbers = (f"{figure.ours:,}", f"{figure.published:,}")
            first = index == 0
            table.add_row(
                *(head if first else ("", "", "")), figure.convention, *numbers, verdict, accuracies if first else ""
            )
    return table


@click.command()
@click.argument("file")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
@click.option("--samples", type=click.IntRange(0), default=5, show_default=True, help="Show so many members.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on stdout.")
def space(file: str, overrides: tuple[str, ...], samples: int, as_json: bool) -> None:
    """How large the space of an experiment FILE is, how much of it is within the budget, and what it costs."""
    from orchestrator.candidates import architecture_name
    from orchestrator.experiment import load_experiment
    from orchestrator.opening import prepare

    experiment = load_experiment(file, overrides)
    feasible = prepare(experiment).feasible
    summary = describe(feasible)
    drawn = feasible.sample(np.random.default_rng(experiment.seed), samples) if samples else []
    names = [architecture_name(architecture) for architecture in drawn]
    if as_json:
        click.echo(json.dumps({**asdict(summary), "samples": names}, default=str))
        return
    ends = (("cheapest", summary.cheapest), ("dearest", summary.dearest))
    lines = [*_space_lines(summary), *((label, architecture_name(end)) for label, end in ends)]
    for label, text in [*lines, *(("sample", name) for name in names)]:
        click.echo(f"{label:<18}{text}")


def _space_lines(summary: SpaceSummary) -> Iterator[tuple[str, str]]:
    """Sizes, how sure they are, and the range of every cost."""
    sure = "exact"
    if not summary.is_exact:
        sure = f"within {summary.size_error:.0%}, 95% sure; {summary.acceptance:.1%} of the draws are kept"
    yield "space size", f"{summary.space_size:,}"
    yield "feasible size", f"{summary.feasible_size:,} ({sure})"
    for name in COLUMNS:
        least, most = getattr(summary, name)
        yield name.replace("_", " "), f"{least:,} to {most:,}"


@click.command()
@click.argument("name")
@SIZE
@CLASSES
@CHANNELS
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The SVG file.")
def draw(name: str, image_size: int | None, classes: int | None, channels: int | None, output: Path) -> None:
    """Draw NAME, a reference network or a network FILE, as a block diagram."""
    from dashboards.diagram import draw_plan

    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(draw_plan(load_plan(name, image_size, classes, channels), title=name))
    click.echo(output)


def load_plan(name: str, image_size: int | None, classes: int | None, channels: int | None) -> Plan:
    """The plan of a reference or a network file. ValueError where it is neither."""
    given = {"image_size": image_size, "classes": classes, "channels": channels}
    changes = {key: value for key, value in given.items() if value is not None}
    if Path(name).is_file():
        return read_network(Path(name), Task(**changes))
    own = reference(name).task
    values = {"image_size": own.image_size, "classes": own.classes, "channels": own.channels, **changes}
    return reference_plan(name, Task(**values))


def cost_facts(name: str, plan: Plan, layers: bool) -> dict[str, Any]:
    """What `igcv cost --json` prints."""
    channels, height, _ = plan.input_shape
    facts = {
        "name": name,
        "image_size": height,
        "channels": channels,
        "classes": plan.output_shape[0],
        **_numbers(plan_cost(plan)),
        "stages": {stage: _numbers(part) for stage, part in stage_costs(plan).items() if stage != "input"},
        "training_memory": _training_memory(plan),
        "conditions": [asdict(condition) for condition in stage_conditions(plan)],
        "plan_key": plan.key,
    }
    if layers:
        facts["layers"] = [asdict(row) for row in _layers(plan)]
    return facts


def _training_memory(plan: Plan) -> dict[str, Any]:
    """Bytes of one training of 128 images at a time, without its data set: on a CPU in fp32, on a GPU in bf16."""
    found: dict[str, Any] = {"batch_size": MEMORY_BATCH}
    for device in ("cpu", "gpu"):
        memory = training_memory(plan, Recipe(batch_size=MEMORY_BATCH), gpu=device == "gpu")
        found[device] = {"total": memory.total(), "context": memory.context, "parameters": memory.parameters}
    return found


def _memory_line(plan: Plan) -> Text:
    found = _training_memory(plan)
    cpu, gpu = (found[device]["total"] / GIB for device in ("cpu", "gpu"))
    return Text(
        f"\ntraining memory (batch {found['batch_size']}): {cpu:.2f} GiB on a CPU in fp32, {gpu:.2f} GiB on a GPU in bf16 "
        "(estimated; without the data set)"
    )


def _numbers(exact: Cost) -> dict[str, int]:
    return {"params": exact.params, "macs": exact.macs, "flops": exact.flops, **asdict(exact)}


def _layers(plan: Plan) -> Sequence[Any]:
    from dashboards.diagram import layer_rows

    return layer_rows(plan)


def _cost_table(name: str, plan: Plan) -> Table:
    channels, height, width = plan.input_shape
    table = Table(
        title=Text(f"{name}: {channels} x {height} x {width} images, {plan.output_shape[0]} classes"),
        title_justify="left",
        box=None,
        header_style="bold",
    )
    columns = ("", "params", "conv", "norm", "linear", "MACs", "activations", "depth")
    for column in columns:
        table.add_column(column, justify="left" if not column else "right")
    parts = [(stage, part) for stage, part in stage_costs(plan).items() if stage != "input"]
    for stage, part in [*parts, ("whole", plan_cost(plan))]:
        numbers = (part.params, part.params_conv, part.params_norm, part.params_linear, part.macs)
        memory = f"{part.activation_bytes / 2**10:,.0f} KiB"
        table.add_row(stage, *(f"{number:,}" for number in numbers), memory, str(part.depth))
    return table


def _condition_table(conditions: Sequence[StageCondition]) -> Text:
    lines = [condition.text() for condition in conditions]
    return Text("\n".join(["", *lines]))


def _layer_table(plan: Plan) -> Table:
    rows = _layers(plan)
    table = Table(box=None, header_style="bold")
    names = [field.name for field in fields(rows[0])]
    for name in names:
        table.add_column(name, justify="right" if name in ("params", "macs") else "left")
    for row in rows:
        table.add_row(*(_cell(getattr(row, name)) for name in names))
    return table


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
