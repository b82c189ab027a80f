"""`igcv status`, `front`, `report` and `track`: what a study holds. Facts go to stdout, messages to stderr."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console

from dashboards.front import front_rows, hypervolume_shares
from dashboards.table import StudyFacts, TrialRow
from dashboards.words import count as counted
from orchestrator.locate import RUNS, locate, read_rows
from orchestrator.progress import ENDED, duration, front_table, rate

COSTS = ("macs", "params", "latency_ms")
LATEST = 50  # ended trials, of which the pace is told
STILL = 20  # trials' time without an end: then nothing seems to run


@click.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on stdout.")
def status(study: str, as_json: bool) -> None:
    """How far STUDY is: trials by state, the front, failures."""
    rows, facts = read_rows(study)
    state = status_of(rows, facts)
    if as_json:
        click.echo(json.dumps(state))
        return
    asked = f" of {facts.trials_asked}" if facts.trials_asked else ""
    click.echo(f"study        {facts.study} ({facts.data}, {', '.join(facts.families)})")
    click.echo(
        f"trials       {state['trials']}{asked}: " + ", ".join(f"{n} {name}" for name, n in state["states"].items())
    )
    click.echo(f"front        {counted(state['front'], 'network')}, hypervolume {state['hypervolume']:.4f}")
    best = state["best_accuracy"]
    click.echo(f"best         {'none yet' if best is None else f'{best:.2%}'}")
    if state["last_ended_at"] is not None:
        ago = max(0.0, time.time() - state["last_ended_at"])
        if pace := _pace(state, ago):
            click.echo(f"pace         {pace}")
        click.echo(f"latest       ended {duration(ago)} ago")
    if state["references"]:
        click.echo(f"references   {state['references']}, never counted as found")
    for kind, number in state["failures"].items():
        click.echo(f"failed       {number} by {kind}")


@click.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print the members as JSON on stdout.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the members as comma-separated values on stdout.")
@click.option(
    "--figure",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw it into this file, .svg or .pdf, fit for a paper, instead.",
)
@click.option(
    "--against", type=click.Choice(COSTS), default="macs", show_default=True, help="The figure's horizontal axis."
)
def front(study: str, as_json: bool, as_csv: bool, figure: Path | None, against: str) -> None:
    """The Pareto front of STUDY, the cheapest network first."""
    rows, facts = read_rows(study)
    members = front_rows(rows, facts.objectives)
    if figure is not None:
        from dashboards.paper import write_front

        write_front(figure, rows, facts, against)
        click.echo(figure)
    elif as_json:
        click.echo(front_json(rows, facts))
    elif as_csv:
        click.echo(_front_csv(members), nl=False)
    elif members:
        _print_table(members)
    else:
        click.echo("nothing is trained to the end yet", err=True)


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; default report.html in the study's folder.",
)
def report(study: str, output: Path | None) -> None:
    """Write the report of STUDY again, from its trial table."""
    from dashboards.report import write_report

    rows, facts = read_rows(study)
    folder = None if output else locate(study).folder
    path = output or (folder or Path()) / "report.html"
    write_report(path, rows, facts)
    click.echo(path)


@click.command()
@click.argument("study")
@click.option("--tracking-uri", help="The MLflow store; default the study's own.")
@click.option("--register", is_flag=True, help="Make the front's members versions of a registered model, with aliases.")
def track(study: str, tracking_uri: str | None, register: bool) -> None:
    """Bring STUDY's runs in MLflow up to date, or rebuild them, its evaluation's too; a second call changes nothing."""
    from dashboards.evaluation import read_evaluation
    from orchestrator.evaluation.tracking import track_evaluation
    from orchestrator.tracking.address import is_server, open_command
    from orchestrator.tracking.address import tracking_uri as resolve
    from orchestrator.tracking.sync import sync_study

    rows, facts = read_rows(study)
    found = locate(study)
    folder = found.folder or RUNS / found.name
    uri = resolve(tracking_uri or _own_store(facts), folder)
    if uri is None:
        raise ValueError("--tracking-uri off: there is nothing to bring up to date")
    with ExitStack() as stack:
        if found.folder is None and is_server(uri):  # a server takes copies of the files
            folder = Path(stack.enter_context(TemporaryDirectory()))
            _write_files(folder, rows, facts)
        sync_study(uri, folder, rows, facts, register=register)
    track_evaluation(folder, read_evaluation(folder), uri, lambda message: click.echo(message, err=True))
    click.echo(open_command(uri))


def _own_store(facts: StudyFacts) -> str:
    """The server that the search tracked to; a store in a file is where the study's folder is."""
    from orchestrator.tracking.address import LOCAL, is_server

    uri = facts.mlflow_url
    if uri is None or not is_server(uri):
        return LOCAL
    if ":***@" in uri:
        raise ValueError(f"study {facts.study} is tracked at {uri}, whose password is not kept; give --tracking-uri")
    return uri


def _write_files(folder: Path, rows: list[TrialRow], facts: StudyFacts) -> None:
    from dashboards.parts import TABLE_NAME
    from dashboards.report import write_report
    from dashboards.table import write_table

    write_table(folder / TABLE_NAME, rows, facts)
    write_report(folder / "report.html", rows, facts)


def status_of(rows: list[TrialRow], facts: StudyFacts) -> dict[str, Any]:
    """The facts that `igcv status --json` prints. seconds_a_trial: of the latest; seconds_left: at that pace."""
    searched = [row for row in rows if row.source == "search"]
    _, shares = hypervolume_shares(rows, facts)
    accuracies = [row.accuracy for row in searched if row.accuracy is not None]
    ended = sorted(row.ended_at for row in searched if row.state in ENDED and row.ended_at is not None)
    latest = ended[-LATEST:]
    seconds = (latest[-1] - latest[0]) / (len(latest) - 1) if len(latest) > 1 else None
    left = max(facts.trials_asked - len(ended), 0) if facts.trials_asked else None
    return {
        "study": facts.study,
        "trials": len(searched),
        "trials_asked": facts.trials_asked,
        "states": dict(Counter(row.state for row in searched)),
        "references": sum(row.source == "reference" for row in rows),
        "front": len(front_rows(rows, facts.objectives)),
        "hypervolume": float(shares[-1]) if len(shares) else 0.0,
        "best_accuracy": max(accuracies, default=None),
        "seconds_a_trial": seconds,
        "seconds_left": None if seconds is None or left is None else seconds * left,
        "last_ended_at": ended[-1] if ended else None,
        "failures": dict(Counter(row.failure_kind for row in rows if row.state == "failed")),
    }


def _pace(state: dict[str, Any], ago: float) -> str:
    """`12.3 trials a minute, about 4 min left`; without a time left where all have ended, or none has for `ago` seconds."""
    seconds, left = state["seconds_a_trial"], state["seconds_left"]
    if not seconds:
        return ""
    goes_on = left and ago < STILL * seconds + 60
    return rate(seconds) + (f", about {duration(left)} left" if goes_on else "")


def front_json(rows: list[TrialRow], facts: StudyFacts) -> str:
    """The front as one JSON array."""
    return json.dumps([_member(row) for row in front_rows(rows, facts.objectives)])


def _print_table(members: list[TrialRow]) -> None:
    """As wide as the terminal; elsewhere a line for each network, however long its name."""
    console = Console()
    if console.is_terminal:
        console.print(front_table(members))
        return
    wide = Console(width=1000, color_system=None)
    with wide.capture() as text:
        wide.print(front_table(members))
    click.echo("\n".join(line.rstrip() for line in text.get().splitlines()))


def _member(row: TrialRow) -> dict[str, Any]:
    names = (
        "number",
        "name",
        "family",
        "accuracy",
        "accuracy_std",
        "macs",
        "flops",
        "params",
        "activation_bytes",
        "depth",
        "latency_ms",
        "seconds",
        "plan_key",
    )
    return {name: getattr(row, name) for name in names} | {"parameters": dict(row.parameters)}


def _front_csv(members: list[TrialRow]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["number", "name", "accuracy", "macs", "params"])
    writer.writerows([row.number, row.name, row.accuracy, row.macs, row.params] for row in members)
    return text.getvalue()
