"""`igcv evaluate`: what the found networks are worth on images that the search never read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dashboards.evaluation import Spread, spreads
from orchestrator.cli.recipe_options import recipe_options
from orchestrator.progress import count

if TYPE_CHECKING:
    from orchestrator.evaluation.evaluate import Evaluated


@click.command()
@click.argument("study")
@click.option(
    "--on",
    "split",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="test: train on train and validation, score the test split once at the end. "
    "validation: train and score as the search did.",
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Trainings of each network.")
@click.option("--recipe", help="Another recipe than the search's (`igcv train --list-recipes`).")
@click.option(
    "--within", type=click.FloatRange(0, 1), help="Also networks whose accuracy is so near the front's: 0.01."
)
@click.option("--no-references", is_flag=True, help="Without the study's reference networks.")
@click.option("--workers", type=click.IntRange(1), help="Workers; default as in the search.")
@click.option("--pool", type=click.Choice(["ray", "inline"]), help="Where trainings run; default as in the search.")
@click.option("--retry", is_flag=True, help="Train what failed once more.")
@click.option("--path", help="Where the images lie, if not where the search found them.")
@click.option("--tracking", help="local, off or the URI of an MLflow store; default the search's.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
@recipe_options
def evaluate(
    study: str,
    split: str,
    seeds: int,
    recipe: str | None,
    within: float | None,
    no_references: bool,
    workers: int | None,
    pool: str | None,
    retry: bool,
    path: str | None,
    tracking: str | None,
    as_json: bool,
    changes: Mapping[str, Any],
) -> None:
    """Train the front of STUDY and its reference networks again with several seeds, and score them.

    Each training is recorded in the study NAME/evaluation and never repeated; the same command goes on after a kill.
    """
    from orchestrator.evaluation.evaluate import Wish, run_evaluation
    from orchestrator.evaluation.tracking import check_tracking, track_evaluation

    wish = Wish(
        study=study,
        split="validation" if split == "validation" else "test",
        seeds=seeds,
        recipe=recipe,
        changes=changes,
        within=within,
        references=not no_references,
        path=path,
        workers=workers,
        pool=pool,
        retry=retry,
    )
    check_tracking(tracking)
    ended = run_evaluation(wish, _say)
    track_evaluation(ended.folder, ended.all_rows, tracking or ended.tracking, _say)
    found = spreads(ended.rows)
    if as_json:
        click.echo(json.dumps(result_facts(ended, found)))
    else:
        console = Console(width=None if Console().is_terminal else 200)
        console.print(result_table(ended, found))
        console.print(Text(f"table    {ended.table}"), soft_wrap=True)
    if ended.reason == "interrupted":
        click.echo("interrupted; the same command goes on", err=True)
        sys.exit(130)
    if failed := sum(spread.failed for spread in found):
        click.echo(f"{failed} trainings failed; with --retry the same command trains them once more", err=True)
        sys.exit(1)


def result_facts(ended: Evaluated, found: Sequence[Spread]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "study": ended.study,
        "split": ended.split,
        "recipe": asdict(ended.recipe),
        "seeds": list(ended.seeds),
        "networks": [asdict(spread) | {"n": spread.n} for spread in found],
        "environment": dict(ended.environment),
        "table": str(ended.table),
    }


def result_table(ended: Evaluated, found: Sequence[Spread]) -> Table:
    """A line for each network: what the search saw, and the mean with its spread."""
    part = "test images" if ended.split == "test" else "the validation part"
    title = f"{ended.study}: accuracy on {part}, recipe {ended.recipe.name}, {ended.recipe.epochs} epochs"
    table = Table(title=Text(title), title_justify="left", box=None, header_style="bold")
    for column in ("trial", "searched", "mean", "± std", "n", "published", "MACs", "params"):
        table.add_column(column, justify="right")
    table.add_column("network", overflow="fold")
    for spread in found:
        table.add_row(
            str(spread.trial),
            _percent(spread.searched_accuracy),
            _percent(spread.mean),
            "" if spread.std is None else f"{100 * spread.std:.2f}",
            str(spread.n) + (f" ({spread.failed} failed)" if spread.failed else ""),
            _percent(spread.published_accuracy),
            count(spread.macs),
            count(spread.params),
            Text(spread.name + (" (reference)" if spread.source == "reference" else "")),
        )
    return table


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _say(message: str) -> None:
    click.echo(message, err=True)
