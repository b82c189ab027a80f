"""Learning rates at the places where they turn."""

from __future__ import annotations

import pytest

from workers.recipes import RECIPES, named_recipe
from workers.records import Recipe
from workers.schedule import learning_rate


def test_the_cosine_falls_from_the_rate_to_zero() -> None:
    recipe = Recipe(epochs=10, learning_rate=0.2)
    assert learning_rate(recipe, 0) == 0.2
    assert learning_rate(recipe, 5) == pytest.approx(0.1)
    assert learning_rate(recipe, 10) == pytest.approx(0, abs=1e-12)


def test_warm_up_rises_in_a_line() -> None:
    recipe = Recipe(epochs=10, learning_rate=0.2, warmup_epochs=2)
    assert [learning_rate(recipe, epochs) for epochs in (0, 0.5, 1, 2)] == pytest.approx([0, 0.05, 0.1, 0.2])
    assert learning_rate(recipe, 6) == pytest.approx(0.1)


def test_the_papers_steps_fall_at_their_milestones() -> None:
    recipe = named_recipe("igcv2-paper")
    rates = [learning_rate(recipe, epochs) for epochs in (0, 199.9, 200, 299.9, 300, 349.9, 350, 399)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])


def test_recipes_are_found_by_their_own_names() -> None:
    assert all(name == recipe.name for name, recipe in RECIPES.items())
    with pytest.raises(ValueError, match="unknown recipe 'fast'; known: search, short"):
        named_recipe("fast")
