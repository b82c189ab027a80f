"""`igcv simulate` and `igcv table`: the real decisions against recorded or made-up trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from orchestrator.experiment import Count, load_experiment
from orchestrator.promotion import StoppedBy

if TYPE_CHECKING:
    from orchestrator.simulator.simulate import Settings
    from orchestrator.simulator.world import World


class Amount(click.ParamType[int]):
    """A count such as 60000000, 60M or 1.5G."""

    name = "amount"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return TypeAdapter[int](Count).validate_python(value)
        except ValidationError:
            self.fail(f"{value!r} is not a count above 0, such as 60000000, 60M or 1.5G", param, ctx)


class Seeds(click.ParamType[tuple[int, ...]]):
    """A number of seeds, from 0 on, or a range FIRST:END."""

    name = "seeds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        first, colon, end = str(value).rpartition(":")
        try:
            found = tuple(range(int(first) if colon else 0, int(end)))
        except ValueError:
            found = ()
        if not found or found[0] < 0:
            self.fail(
                f"{value!r}: give a number of seeds, such as 20, or a range FIRST:END, such as 100:120", param, ctx
            )
        return found


class Rungs(click.ParamType[tuple[int, ...]]):
    """Epochs separated by commas."""

    name = "epochs"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: give epochs separated by commas, such as 1,3", param, ctx)


@click.command()
@click.argument("source", metavar="TABLE.parquet|FILE")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
@click.option("--synthetic", type=click.IntRange(0), help="Make trainings up from this seed, over an experiment FILE.")
@click.option("--max-macs", type=Amount(), help="The budget in MACs.")
@click.option("--max-params", type=Amount(), help="The budget in parameters.")
@click.option(
    "--cost", "costs", type=click.Choice(["macs", "params"]), multiple=True, help="An objective; default macs."
)
@click.option("--reference-error", type=click.FloatRange(0, 1, min_open=True), default=0.15, show_default=True)
@click.option("--reference-macs", type=Amount(), help="The most MACs that count; default the budget.")
@click.option("--trials", type=click.IntRange(1), default=100, show_default=True, help="Trainings of one search.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option("--seeds", type=Seeds(), default="20", show_default=True, help="Searches: a number, or FIRST:END.")
@click.option("--sampler", "samplers", multiple=True, help="A name or an import path; may be given several times.")
@click.option("--raw", is_flag=True, help="Optuna's samplers also without the guard: all that they propose is trained.")
@click.option("--rungs", type=Rungs(), default=(), help="Stop early at these epochs: 1,3.")
@click.option("--eta", type=click.FloatRange(1, min_open=True), default=2.0, show_default=True)
@click.option(
    "--stop-by",
    type=click.Choice(["promise", "rank"]),
    default="promise",
    show_default=True,
    help="Who goes on at a rung.",
)
@click.option(
    "--seen", type=click.IntRange(0), default=0, show_default=True, help="Which recorded seed the search sees."
)
@click.option("--even-seconds", is_flag=True, help="Count each recorded epoch as one second, however long it took.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A page of figures (HTML).")
@click.option("--json", "as_json", is_flag=True, help="Print all as JSON on stdout.")
def simulate(
    source: str,
    overrides: tuple[str, ...],
    synthetic: int | None,
    max_macs: int | None,
    max_params: int | None,
    costs: tuple[str, ...],
    reference_error: float,
    reference_macs: int | None,
    trials: int,
    workers: int,
    seeds: tuple[int, ...],
    samplers: tuple[str, ...],
    raw: bool,
    rungs: tuple[int, ...],
    eta: float,
    stop_by: StoppedBy,
    seen: int,
    even_seconds: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Search a TABLE of recorded trainings with a virtual clock, and compare samplers.

    With --synthetic the trainings are made up, over the space, the budget and the epochs of an experiment FILE.
    """
    from orchestrator.sampler.named import check_sampler
    from orchestrator.simulator.simulate import Settings, simulate_world
    from orchestrator.simulator.summary import facts, result_table, write_page

    if even_seconds and synthetic is not None:
        raise click.UsageError(
            "--even-seconds is for recorded trainings; made-up ones last as long as they are made to"
        )
    for name in samplers:
        check_sampler(name)
    settings = Settings(
        max_macs=max_macs,
        max_params=max_params,
        reference_error=reference_error,
        reference_macs=reference_macs,
        costs=tuple("params" if name == "params" else "macs" for name in dict.fromkeys(costs)) or ("macs",),
        trials=trials,
        workers=workers,
        seeds=seeds,
        samplers=tuple(dict.fromkeys(samplers)) or ("igcv",),
        raw=raw,
        rungs=rungs,
        eta=eta,
        stopped_by=stop_by,
        seen=seen,
        even_seconds=even_seconds,
    )
    world = (
        _recorded(source, overrides, settings)
        if synthetic is None
        else _made_up(source, overrides, settings, synthetic)
    )
    result = simulate_world(world, settings, lambda line: click.echo(line, err=True))
    if output is not None:
        write_page(result, output)
        click.echo(output, err=True)
    if as_json:
        click.echo(json.dumps(facts(result)))
    else:
        Console(width=None if Console().is_terminal else 200).print(result_table(result))


@click.command()
@click.argument("study")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The Parquet file."
)
def table(study: str, output: Path) -> None:
    """Record the finished trainings of STUDY as a table that `igcv simulate` can search.

    What `igcv evaluate STUDY --on validation` trained under the search's own recipe becomes further seeds.
    """
    from dashboards.evaluation import read_evaluation
    from orchestrator.locate import locate, read_rows
    from orchestrator.simulator.recording import write_recorded

    rows, _ = read_rows(study)
    folder = None if Path(study).is_file() else locate(study).folder
    count = write_recorded(rows, output, read_evaluation(folder) if folder else ())
    click.echo(f"{count} networks recorded", err=True)
    click.echo(output)


def _recorded(source: str, overrides: tuple[str, ...], settings: Settings) -> World:
    from orchestrator.simulator.tables import read_table
    from orchestrator.simulator.world import RecordedWorld

    if overrides:
        raise ValueError(f"{' '.join(overrides)}: KEY=VALUE belongs to an experiment file, with --synthetic SEED")
    return RecordedWorld(
        read_table(source), settings.max_macs, settings.max_params, settings.seen, settings.even_seconds
    )


def _made_up(source: str, overrides: tuple[str, ...], settings: Settings, seed: int) -> World:
    """The flags' budget goes before the file's."""
    from orchestrator.opening import prepare
    from orchestrator.simulator.synthetic import SyntheticWorld

    given = {"max_macs": settings.max_macs, "max_params": settings.max_params}
    changes = tuple(f"budget.{name}={value}" for name, value in given.items() if value is not None)
    experiment = load_experiment(source, (*overrides, *changes))
    return SyntheticWorld(prepare(experiment).feasible, seed, experiment.recipe().epochs)
