"""Options that change single keys of a recipe, for the commands that train."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

ABOVE_ZERO = click.FloatRange(0, min_open=True)
SHARE = click.FloatRange(0, 1, max_open=True)
OPTIONS: dict[str, tuple[click.ParamType[Any], str]] = {
    "epochs": (click.IntRange(1), "Epochs; the schedule is stretched with them."),
    "batch_size": (click.IntRange(1), "Images in one step."),
    "learning_rate": (ABOVE_ZERO, "The highest learning rate."),
    "momentum": (SHARE, "Nesterov momentum."),
    "weight_decay": (click.FloatRange(0), "Weight decay."),
    "schedule": (click.Choice(["cosine", "step"]), "How the learning rate falls."),
    "warmup_epochs": (click.FloatRange(0), "Epochs of linear warm-up."),
    "label_smoothing": (SHARE, "Label smoothing."),
    "crop_padding": (click.IntRange(0), "Pixels of random shift; 0: none."),
    "precision": (click.Choice(["auto", "fp32", "bf16"]), "Number format of the products."),
}
FLIP = "flip"


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options; the command takes those that were given as one dictionary, `changes`."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        given = {name: values.pop(name) for name in (*OPTIONS, FLIP)}
        command(**values, changes={name: value for name, value in given.items() if value is not None})

    decorated: Callable[..., None] = click.option(
        "--flip/--no-flip", default=None, help="Mirror images at random, or never."
    )(wrapped)
    for name, (kind, text) in reversed(OPTIONS.items()):
        decorated = click.option(f"--{name.replace('_', '-')}", type=kind, help=f"Recipe: {text}")(decorated)
    return decorated
