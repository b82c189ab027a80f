"""The papers' recipes: what is printed in them."""

from __future__ import annotations

import pytest

from workers.recipes import ABOUT, RECIPES, named_recipe
from workers.schedule import learning_rate


@pytest.mark.parametrize("name", ["igcv1-paper", "igcv2-paper", "igcv3-cifar"])
def test_cifar_is_trained_for_400_epochs_with_steps_at_200_300_350(name: str) -> None:
    recipe = named_recipe(name)
    assert (recipe.epochs, recipe.batch_size, recipe.weight_decay, recipe.momentum) == (400, 64, 1e-4, 0.9)
    assert (recipe.crop_padding, recipe.flip) == (4, True)
    rates = [learning_rate(recipe, epoch) for epoch in (0, 199.9, 200, 299.9, 300, 349.9, 350, 399.9)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])


def test_svhn_is_trained_for_40_epochs_without_augmentation() -> None:
    recipe = named_recipe("igcv1-svhn")
    assert (recipe.epochs, recipe.crop_padding, recipe.flip) == (40, 0, False)
    assert [milestone * recipe.epochs for milestone in recipe.milestones] == [20, 30, 35]


def test_tiny_imagenet_is_trained_for_200_epochs() -> None:
    recipe = named_recipe("igcv2-tiny-imagenet")
    assert [milestone * recipe.epochs for milestone in recipe.milestones] == [100, 150, 175]


def test_every_recipe_says_where_it_comes_from() -> None:
    assert list(ABOUT) == list(RECIPES)
    assert all(name == recipe.name for name, recipe in RECIPES.items())
