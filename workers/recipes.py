"""Recipes by name: how the papers trained, and how a search trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workers.records import Recipe

_PAPER = Recipe(
    name="igcv1-paper",
    epochs=400,
    batch_size=64,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    milestones=(0.5, 0.75, 0.875),
    decay=0.1,
    precision="fp32",
)

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="search"),
        Recipe(name="short", epochs=3, warmup_epochs=0.5),
        Recipe(name="modern", epochs=60, learning_rate=0.2, weight_decay=5e-4, warmup_epochs=3, label_smoothing=0.1),
        _PAPER,  # IGCV1 (ICCV 2017) section 5.2; momentum as in the released code
        replace(_PAPER, name="igcv2-paper"),  # IGCV2 (CVPR 2018) section 4.1
        replace(_PAPER, name="igcv3-cifar"),  # as the authors' configuration was reproduced, without its dropout
    )
}


def named_recipe(name: str) -> Recipe:
    """The recipe of a name. ValueError lists the known ones."""
    if name not in RECIPES:
        raise ValueError(f"training.recipe: unknown recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
