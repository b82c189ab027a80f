"""`igcv search`: the main job."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.text import Text

from orchestrator.experiment import load_experiment
from orchestrator.progress import front_table
from orchestrator.running import Ended, run_search
from orchestrator.tracking.address import redact


@click.command()
@click.argument("file")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
@click.option("--json", "as_json", is_flag=True, help="Print the front as JSON on stdout.")
def search(file: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Run the search of an experiment FILE, or resume it where it stands.

    KEY=VALUE changes a key of the file for this run: trials=50, data.path=FOLDER, resources.workers=4.
    Trials, wall clock, workers, resources and tracking may change from run to run; what decides results may not.
    """
    experiment = load_experiment(file, overrides)
    ended = run_search(experiment)
    if as_json:
        from orchestrator.cli.show import front_json

        click.echo(front_json(ended.rows, ended.facts))
    else:
        _show(ended)
    if ended.reason == "interrupted":
        again = redact(f"igcv search {file} {' '.join(overrides)}".rstrip())
        click.echo(f"interrupted; the same command resumes: {again}", err=True)
        sys.exit(130)


def _show(ended: Ended) -> None:
    """The front, what it stands beside, and where everything is."""
    from dashboards.front import front_rows, references

    console = Console()
    members = front_rows(ended.rows, ended.facts.objectives)
    trained = sum(row.state == "complete" and row.source == "search" for row in ended.rows)
    console.print(
        Text(f"\n{ended.facts.study}: {_reason(ended)}; {trained} networks trained, {len(members)} on the front\n")
    )
    console.print(front_table(members))
    beside = [row for row, is_one in zip(ended.rows, references(ended.rows), strict=True) if is_one]
    if beside:
        console.print(Text("\nreference networks under the same recipe (never counted as found)"))
        console.print(front_table(beside))
    for label, text in _places(ended):
        console.print(Text(f"{label:<9}{text}"), soft_wrap=True)


def _reason(ended: Ended) -> str:
    return {
        "done": "done",
        "finished": "finished before; nothing was left to train",
        "exhausted": "every network within the budget is trained",
        "wall clock": "the wall clock ended it; the same command goes on",
    }.get(ended.reason, ended.reason)


def _places(ended: Ended) -> list[tuple[str, str]]:
    from orchestrator.tracking.address import open_command

    places = [("\nreport", str(ended.report)), ("study", ended.study)]
    if ended.tracking:
        places.append(("MLflow", open_command(ended.tracking)))
    return places
