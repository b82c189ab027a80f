"""IGCV3 networks: "Interleaved Low-Rank Group Convolutions" (BMVC 2018), its released code, and the authors' talk."""

from __future__ import annotations

from search_spaces.families.igcv3 import Shared, Stage
from search_spaces.networks import AnyNetwork, Network, Task
from search_spaces.published.records import (
    CIFAR10,
    IMAGENET,
    Accuracy,
    Figure,
    Reference,
    accuracy,
    exact,
    printed,
)

BMVC = "IGCV3 (BMVC 2018)"
TALK = "IGC talk (July 2018), slides 75-76"
RELEASED = "released network, counted (assertions of pytorchcv agree)"
COUNTED = "layer table of the released network, counted"
UNEXPLAINED = "convolutions and FC of the released network are fewer; what the paper adds is unknown"

# (expansion, width, blocks): the released symbol file
TABLE = ((1, 16, 1), (6, 24, 4), (6, 32, 6), (6, 64, 8), (6, 96, 6), (6, 160, 6), (6, 320, 1))
IMAGENET_STRIDES = (1, 2, 2, 2, 1, 2, 1)
CIFAR_STRIDES = (1, 1, 2, 2, 1, 1, 1)


def _network(multiplier: float, stem_stride: int, strides: tuple[int, ...]) -> AnyNetwork:
    return Network(
        family="igcv3",
        shared=Shared(stem_width=32, stem_stride=stem_stride, head_width=1280, width_multiplier=multiplier),
        stages=tuple(
            Stage(width=width, blocks=blocks, stride=stride, expansion=expansion)
            for (expansion, width, blocks), stride in zip(TABLE, strides, strict=True)
        ),
    )


# (multiplier, figures, accuracies, note)
SCALED: tuple[tuple[str, tuple[Figure, ...], tuple[Accuracy, ...], str], ...] = (
    (
        "1.0",
        (
            exact("params", "all", 3_491_688, RELEASED),
            exact("params", "conv+norm", 2_210_688, f'{COUNTED}; the "2.2M" of {BMVC} table 1'),
            exact("macs", "conv+fc", 312_970_176, COUNTED),
            printed("params", "all", "3.5e6", f"{BMVC} table 3"),
            printed("macs", "conv+fc", "318e6", f"{BMVC} table 3", UNEXPLAINED),
            printed("macs", "conv+fc", "320e6", TALK, UNEXPLAINED),
        ),
        (accuracy("imagenet", 72.2, f"{BMVC} table 3; 70.6 before a second training"),),
        "",
    ),
    (
        "0.75",
        (exact("params", "all", 2_638_084, RELEASED), printed("macs", "conv+fc", "189.9e6", COUNTED)),
        (accuracy("imagenet", 69.29, "trained by the authors of imgclsmob"),),
        "",
    ),
    (
        "0.5",
        (exact("params", "all", 1_985_528, RELEASED), printed("macs", "conv+fc", "96.9e6", COUNTED)),
        (accuracy("imagenet", 60.59, "trained by the authors of imgclsmob"),),
        "",
    ),
    (
        "0.25",
        (exact("params", "all", 1_534_020, RELEASED), printed("macs", "conv+fc", "34.0e6", COUNTED)),
        (accuracy("imagenet", 46.57, "trained by the authors of imgclsmob"),),
        "",
    ),
    (
        "0.7",
        (
            exact("params", "all", 2_490_294, COUNTED),
            printed("macs", "conv+fc", "166.8e6", COUNTED),
            printed("params", "all", "2.0e6", TALK, "fits where the last convolution is scaled to 896 channels too"),
            printed("macs", "conv+fc", "170e6", TALK, "fits where the last convolution is scaled to 896 channels too"),
            printed("params", "all", "2.8e6", f"{BMVC} table 3", "rather a width of 0.8 (2,794,158)"),
            printed("macs", "conv+fc", "210e6", f"{BMVC} table 3", "rather a width of 0.8 (214.5e6)"),
        ),
        (accuracy("imagenet", 68.46, TALK), accuracy("imagenet", 68.45, f"{BMVC} table 3")),
        "The papers print two different networks under this name; ours is the released code's rule at 0.7.",
    ),
    (
        "1.4",
        (
            exact("params", "all", 6_015_164, COUNTED),
            printed("macs", "conv+fc", "582.3e6", COUNTED),
            printed("params", "all", "7.2e6", f"{BMVC} table 3", "does not match the released code"),
            printed("macs", "conv+fc", "610e6", f"{BMVC} table 3", "does not match the released code"),
        ),
        (accuracy("imagenet", 74.55, f"{BMVC} table 3"),),
        "",
    ),
)


def _reference(
    name: str,
    network: AnyNetwork,
    task: Task,
    figures: tuple[Figure, ...],
    accuracies: tuple[Accuracy, ...],
    note: str,
) -> Reference:
    both = "Both permutations act, as the paper has it; the released weights were trained with the first only."
    return Reference(
        name=name,
        network=network,
        task=task,
        figures=figures,
        accuracies=accuracies,
        note=f"{note} {both}".strip(),
    )


IGCV3_REFERENCES: tuple[Reference, ...] = (
    *(
        _reference(
            f"igcv3-{multiplier}", _network(float(multiplier), 2, IMAGENET_STRIDES), IMAGENET, figures, accuracies, note
        )
        for multiplier, figures, accuracies, note in SCALED
    ),
    _reference(
        "igcv3-1.0-cifar",
        _network(1.0, 1, CIFAR_STRIDES),
        CIFAR10,
        (
            exact("params", "all", 2_223_498, COUNTED),
            printed("params", "conv+norm", "2.2e6", f"{BMVC} table 1"),
            printed("macs", "conv+fc", "166.06e6", "SeesawNet's reproduction with the authors' strides"),
        ),
        (
            accuracy("cifar10", 94.96, f"{BMVC} table 1", 0.07),
            accuracy("cifar100", 77.95, f"{BMVC} table 1", 0.39),
        ),
        "Strides 1 (stem), 1, 1, 2, 2, 1, 1, 1: the paper prints none; the authors gave these.",
    ),
)
