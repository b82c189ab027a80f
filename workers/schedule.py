"""The learning rate of a step, from nothing but the recipe and the step's place in the whole training."""

from __future__ import annotations

import math

from workers.records import Recipe


def learning_rate(recipe: Recipe, epochs_done: float) -> float:
    """The rate after `epochs_done` epochs (a fraction counts steps): linear warm-up, then cosine to zero or steps."""
    if epochs_done < recipe.warmup_epochs:
        return recipe.learning_rate * epochs_done / recipe.warmup_epochs
    if recipe.schedule == "step":
        passed = sum(epochs_done >= milestone * recipe.epochs for milestone in recipe.milestones)
        return recipe.learning_rate * recipe.decay**passed
    after_warmup = max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    share = min(1.0, (epochs_done - recipe.warmup_epochs) / after_warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
