"""Recipes by name: how the papers trained, and how a search trains.

What all of them share and no recipe names: SGD with Nesterov momentum, weight decay on every parameter (as the released
IGCV1 code has it), each channel's mean and deviation taken out, crops padded with black (that code pads with the mean),
and accuracy after the last epoch (IGCV2 says so; IGCV1 does not say which).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workers.records import Recipe

# IGCV1 (ICCV 2017) section 5.2, CIFAR: rate 0.1, divided by ten after epochs 200, 300 and 350 of 400, batch 64, weight
# decay 1e-4, images padded by 4, cropped and mirrored. The paper prints momentum 0.95; its code, and IGCV2 where it
# tells the same settings again, have 0.9.
_IGCV1 = Recipe(
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
        _IGCV1,
        # SVHN in the same section: 40 epochs, the rate divided after 20, 30 and 35, images as they are.
        replace(_IGCV1, name="igcv1-svhn", epochs=40, crop_padding=0, flip=False),
        # IGCV2 (CVPR 2018) section 4.1, CIFAR: as IGCV1, accuracy at the final iteration.
        replace(_IGCV1, name="igcv2-paper"),
        # IGCV2, Tiny ImageNet: divided after 100, 150 and 175 of 200. Its crops of images scaled to 64..80 pixels are
        # not to be had here; they are padded by 8 instead.
        replace(_IGCV1, name="igcv2-tiny-imagenet", epochs=200, crop_padding=8),
        # IGCV3 (BMVC 2018), CIFAR: the paper's own page was not found; rate, steps, batch and augmentation as its
        # authors told them for reproductions (issue 3 of xxradon/IGCV3-pytorch, issue 2 of cvtower/SeesawNet_pytorch).
        # The reproduction that reached the paper's accuracy had dropout 0.5 before the classifier; there is none here.
        replace(_IGCV1, name="igcv3-cifar"),
    )
}

ABOUT: Mapping[str, str] = {
    "search": "the default of a search",
    "short": "three epochs, to see whether anything works",
    "modern": "cosine, warm-up and label smoothing in 60 epochs",
    "igcv1-paper": "IGCV1 (ICCV 2017) 5.2, CIFAR; momentum as in its code",
    "igcv1-svhn": "IGCV1 (ICCV 2017) 5.2, SVHN",
    "igcv2-paper": "IGCV2 (CVPR 2018) 4.1, CIFAR",
    "igcv2-tiny-imagenet": "IGCV2 (CVPR 2018) 4.1, Tiny ImageNet; padded crops in place of scaled ones",
    "igcv3-cifar": "IGCV3 (BMVC 2018), CIFAR, as its authors told it; without dropout",
}


def named_recipe(name: str) -> Recipe:
    """The recipe of a name. ValueError lists the known ones."""
    if name not in RECIPES:
        raise ValueError(f"training.recipe: unknown recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
