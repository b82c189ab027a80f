"""`igcv train`: one network, to the end of a recipe."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from orchestrator.cli.recipe_options import recipe_options

DATA = ("digits", "parquet", "npz", "cifar10", "cifar100")
DATA_KEYS = ("image_size", "max_train", "max_validation", "validation_fraction", "split_seed")


def _list_recipes(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        Console(width=None if Console().is_terminal else 160).print(recipe_table())
        ctx.exit()


@click.command()
@click.argument("name")
@click.option("--recipe", help="How it is trained; default `search`, or the study's own.")
@click.option(
    "--list-recipes", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes, help="Show all recipes."
)
@click.option("--data", type=click.Choice(DATA), help="The images; default digits, or the study's own.")
@click.option("--path", help="Where the images lie.")
@click.option("--image-size", type=click.IntRange(1), help="Average the images down to this size.")
@click.option("--max-train", type=click.IntRange(1), help="Train on so many images.")
@click.option("--max-validation", type=click.IntRange(1), help="Validate on so many images.")
@click.option("--validation-fraction", type=click.FloatRange(0, 1, min_open=True, max_open=True))
@click.option("--split-seed", type=click.IntRange(0), help="Of the split into training and validation.")
@click.option("--download", is_flag=True, help="Download cifar10 or cifar100 into --path.")
@click.option(
    "--seed", type=click.IntRange(0), help="Of weights, order and augmentation; default 0, or the study's own."
)
@click.option(
    "--test", "on_test", is_flag=True, help="Train on train and validation, and score the test split at the end."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; default all.")
@click.option("--tracking", default="local", show_default=True, help="local, off or the URI of an MLflow store.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder; default runs/trainings/…"
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON on stdout.")
@recipe_options
def train(
    name: str,
    recipe: str | None,
    seed: int | None,
    on_test: bool,
    device: str,
    threads: int | None,
    tracking: str,
    output: Path | None,
    as_json: bool,
    changes: Mapping[str, Any],
    **data: Any,
) -> None:
    """Train NAME: a published network (`igcv catalog`), a network FILE, or any trial as STUDY:NUMBER.

    A trial brings its study's images and recipe. After a kill the same command goes on from the last epoch. The test
    split is read with --test alone.
    """
    from orchestrator.tracking.address import tracking_uri
    from orchestrator.training.run import Machine, train_one
    from orchestrator.training.wanted import Asked, complete
    from workers.records import Failure

    wanted = complete(
        Asked(
            name=name,
            recipe=recipe,
            changes=changes,
            data=_given(data),
            seed=seed,
            split="test" if on_test else "validation",
        )
    )
    folder = output or wanted.folder
    uri = tracking_uri(tracking, output or wanted.folder.parent)
    try:
        outcome, facts = train_one(wanted, folder, uri, Machine(device=device, threads=threads), _say)
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command goes on: {shlex.join(['igcv', *sys.argv[1:]])}", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps(facts))
    if isinstance(outcome, Failure):
        click.echo(f"igcv: the training failed ({outcome.kind}): {outcome.message}", err=True)
        sys.exit(1)
    if not as_json:
        click.echo(f"{wanted.name}: {wanted.split} accuracy {outcome.accuracy:.2%} after {outcome.epochs} epochs")
        click.echo(f"folder   {folder}")


def recipe_table() -> Table:
    """Every recipe, its source and its numbers."""
    from workers.recipes import ABOUT, RECIPES

    table = Table(box=None, header_style="bold")
    for column in ("recipe", "epochs", "batch", "rate", "decay", "schedule", "crop", "flip", "where from"):
        table.add_column(column, justify="left" if column in ("recipe", "schedule", "flip", "where from") else "right")
    for recipe in RECIPES.values():
        steps = "/".join(f"{milestone * recipe.epochs:g}" for milestone in recipe.milestones)
        falls = f"x{recipe.decay:g} at {steps}" if recipe.schedule == "step" else "cosine"
        table.add_row(
            recipe.name,
            str(recipe.epochs),
            str(recipe.batch_size),
            f"{recipe.learning_rate:g}",
            f"{recipe.weight_decay:g}",
            falls,
            str(recipe.crop_padding),
            "yes" if recipe.flip else "no",
            ABOUT[recipe.name],
        )
    return table


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `data` as an experiment file has them."""
    named = {"name": data["data"], "path": data["path"], "download": data["download"] or None}
    named |= {key: data[key] for key in DATA_KEYS}
    return {key: value for key, value in named.items() if value is not None}


def _say(message: str) -> None:
    click.echo(message, err=True)
