"""IGCV2 and IGCV2* networks: "Interleaved Structured Sparse Convolutional Neural Networks" (CVPR 2018) and its talk.

The paper prints no weight table; the reconstruction (a fit) that reproduces all nine weight counts is: stem counted, no
FC, no normalisation; the first block of a stage keeps the input width up to its last 1x1 layer; the number of 1x1
layers follows from the width a block is given; a shortcut that changes the width has two weights for each output.
"""

from __future__ import annotations

from search_spaces.families.igcv2 import Shared, Spatial, Stage
from search_spaces.networks import AnyNetwork, Network
from search_spaces.published.records import (
    CIFAR10,
    CIFAR100,
    IMAGENET,
    Accuracy,
    Figure,
    Reference,
    accuracy,
    exact,
    printed,
)

V2 = "IGCV2 (CVPR 2018)"
TALK = "IGC talk (July 2018), slide 70"
RECONSTRUCTED = "reconstruction that reproduces every printed weight count"
FIT = "Which channels the first block of a stage works on and the weights of its shortcut are a fit."
STUDY_NOTE = "Eight layers without down-sampling: stem, six blocks, FC."

# (width, K of each stage, depth, conv weights, printed weights, printed MAdds, CIFAR-100, spread, Tiny ImageNet,
#  table, why MAdds differ): tables 4 and 6
PRODUCTS: tuple[tuple[int, tuple[int, int, int], int, int, str, str, float, float, float, int, str], ...] = (
    (64, (8, 16, 32), 8, 46_720, ".047e6", ".095e8", 67.83, 0.35, 51.40, 4, ""),
    (64, (8, 16, 32), 20, 148_864, ".149e6", ".262e8", 71.69, 0.09, 55.72, 4, ""),
    (64, (8, 16, 32), 26, 199_936, ".200e6", ".346e8", 72.94, 0.26, 56.32, 4, "FC(100) counted it is .346e8"),
    (80, (10, 16, 20), 8, 45_600, ".046e6", "1.18e7", 67.65, 0.29, 51.49, 6, "about 1e5 more printed, unexplained"),
    (80, (10, 16, 20), 20, 143_840, ".144e6", "3.20e7", 72.63, 0.07, 56.40, 6, "about 1e5 more printed, unexplained"),
    (80, (10, 16, 20), 26, 192_960, ".193e6", "4.21e7", 73.49, 0.34, 57.12, 6, "about 1e5 more printed, unexplained"),
)

# (width, conv weights, printed weights, printed MAdds, CIFAR-100, spread, Tiny ImageNet, spread): table 3
STARS: tuple[tuple[int, int, str, str, float, float, float, float], ...] = (
    (216, 318_176, ".32e6", ".76e8", 75.35, 0.56, 59.40, 0.22),
    (304, 475_840, ".48e6", "1.12e8", 76.30, 0.19, 60.50, 0.29),
    (416, 650_112, ".65e6", "1.52e8", 77.02, 0.20, 60.98, 0.23),
)

# (number of 1x1 layers, width, K, CIFAR-100 as read from the bars): figure 2, about 4.7e3 weights a block
FIGURE_2: tuple[tuple[int, int, int, float], ...] = (
    (2, 272, 4, 63.83),
    (2, 222, 6, 64.83),
    (2, 184, 8, 65.10),
    (2, 112, 16, 63.93),
    (3, 258, 3, 64.40),
    (3, 220, 4, 64.83),
    (3, 174, 6, 65.33),
    (3, 136, 8, 64.83),
    (3, 108, 12, 64.70),
    (4, 222, 3, 64.40),
    (4, 184, 4, 65.08),
    (4, 144, 6, 65.20),
    (4, 112, 8, 64.51),
    (4, 84, 12, 64.11),
)

# (width, K, weights of a block, printed, its MAdds printed, CIFAR-10, spread, CIFAR-100, spread): table 2
TABLE_2: tuple[tuple[int, int, int, str, str, float, float, float, float], ...] = (
    (144, 12, 4_752, "4.7e3", "4.8e6", 89.12, 0.15, 65.05, 0.18),
    (256, 16, 10_496, "10e3", "1e7", 90.63, 0.11, 67.68, 0.28),
    (361, 19, 16_967, "17e3", "1.7e7", 91.35, 0.12, 68.86, 0.57),
)

# (width, K, spatial layer, printed weights and MAdds of a block, CIFAR-10, CIFAR-100): table 5
TABLE_5: tuple[tuple[int, int, Spatial, str, str, float, float], ...] = (
    (98, 7, "grouped", "3e3", "3.2e6", 87.41, 61.35),
    (162, 9, "grouped", "6e3", "6.1e6", 89.06, 65.39),
    (242, 11, "grouped", "10e3", "1.1e7", 89.85, 67.21),
    (100, 10, "channelwise", "3e3", "3.2e6", 88.01, 62.32),
    (169, 13, "channelwise", "6e3", "6.1e6", 89.66, 66.00),
)

# (multiplier, stage widths, stem, printed weights, printed MAdds, ImageNet)
MOBILE: tuple[tuple[str, tuple[int, ...], int, str, str, float], ...] = (
    ("1.0", (72, 144, 288, 576, 1024), 36, "4.1e6", "564e6", 70.7),
    ("0.5", (36, 72, 144, 288, 512), 18, "1.3e6", "156e6", 65.5),
    ("0.25", (24, 40, 72, 144, 256), 8, ".5e6", "46e6", 54.9),
)
MOBILE_BLOCKS = (1, 2, 2, 6, 2)
MOBILE_BRANCHES = 4
MOBILE_NOTE = (
    "The layer table was never published. Ours: MobileNetV1's stages with every dense 1x1 replaced by three group 1x1 "
    "layers of four branches, stem and stages one eighth wider but for the last (multiples of 8 at 0.25), the branches "
    "of a stage's first block at least as wide as its others'."
)
MOBILE_WHY = "the published layer table is unknown; this is our reconstruction"


def _network(width: int, stem: int, sizes: tuple[int, int, int], depth: int) -> AnyNetwork:
    """Three stages of (depth - 2) / 3 blocks, widths x, 2x, 4x, a skip around every two blocks (table 1)."""
    blocks = (depth - 2) // 3
    return Network(
        family="igcv2",
        shared=Shared(stem_width=stem),
        stages=tuple(
            Stage(width=factor * width, blocks=blocks, stride=stride, k=k)
            for factor, stride, k in zip((1, 2, 4), (1, 2, 2), sizes, strict=True)
        ),
    )


def _product(
    row: tuple[int, tuple[int, int, int], int, int, str, str, float, float, float, int, str],
) -> Reference:
    width, sizes, depth, weights, text, madds, cifar, spread, tiny, table, why = row
    source = f"{V2} table {table}"
    return Reference(
        name=f"igcv2-c{width}-d{depth}",
        network=_network(width, width, sizes, depth),
        task=CIFAR10,
        figures=(
            exact("params", "conv", weights, RECONSTRUCTED),
            printed("params", "conv", text, source),
            printed("macs", "conv", madds, source, why),
        ),
        accuracies=(accuracy("cifar100", cifar, source, spread), accuracy("tiny-imagenet", tiny, source)),
        fit=True,
        note=FIT,
    )


def _star(row: tuple[int, int, str, str, float, float, float, float]) -> Reference:
    width, weights, text, madds, cifar, spread, tiny, tiny_spread = row
    source = f"{V2} table 3"
    why = "equal where the shortcuts of stages 2 and 3 are counted at the resolution before the stride"
    return Reference(
        name=f"igcv2star-c{width}-d20",
        network=_network(width, 64, (8, 8, 8), 20),
        task=CIFAR10,
        figures=(
            exact("params", "conv", weights, RECONSTRUCTED),
            printed("params", "conv", text, source),
            printed("macs", "conv", madds, source, why),
        ),
        accuracies=(
            accuracy("cifar100", cifar, source, spread),
            accuracy("tiny-imagenet", tiny, source, tiny_spread),
        ),
        fit=True,
        note=f"Stem of 64 channels, K = 8 everywhere. {FIT}",
    )


def _study(
    name: str,
    stage: Stage,
    spatial: Spatial,
    figures: tuple[Figure, ...],
    accuracies: tuple[Accuracy, ...],
) -> Reference:
    return Reference(
        name=name,
        network=Network(
            family="igcv2",
            shared=Shared(stem_width=stage.width, skip=False, condition="any", spatial=spatial),
            stages=(stage,),
        ),
        task=CIFAR100,
        figures=figures,
        accuracies=accuracies,
        note=STUDY_NOTE,
    )


def _figure_2(row: tuple[int, int, int, float]) -> Reference:
    layers, width, k, percent = row
    source = f"{V2} figure 2, {layers} group 1x1 layers"
    return _study(
        f"igcv2-study-c{width}k{k}",
        Stage(width=width, blocks=6, k=k, factors=layers),
        "channelwise",
        (printed("params", "block", "4.7e3", source, "the widths are chosen for about 4.7e3 weights a block"),),
        (accuracy("cifar100", percent, f"{source}, read from the bars"),),
    )


def _table_2(row: tuple[int, int, int, str, str, float, float, float, float]) -> Reference:
    width, k, weights, text, madds, first, first_spread, second, second_spread = row
    source = f"{V2} table 2"
    return _study(
        f"igcv2-study-c{width}k{k}",
        Stage(width=width, blocks=6, k=k, factors=2),
        "channelwise",
        (
            exact("params", "block", weights, "C (9 + 2 K)"),
            printed("params", "block", text, source, "printed as about this for the whole row of the table"),
            printed("macs", "block", madds, source, "printed as about this for the whole row of the table"),
        ),
        (accuracy("cifar10", first, source, first_spread), accuracy("cifar100", second, source, second_spread)),
    )


def _table_5(row: tuple[int, int, Spatial, str, str, float, float]) -> Reference:
    width, k, spatial, text, madds, first, second = row
    source = f"{V2} table 5"
    suffix = "-grouped" if spatial == "grouped" else ""
    why = "printed as about this for the whole row of the table"
    return _study(
        f"igcv2-study-c{width}k{k}{suffix}",
        Stage(width=width, blocks=6, k=k, factors=2),
        spatial,
        (printed("params", "block", text, source, why), printed("macs", "block", madds, source, why)),
        (accuracy("cifar10", first, source), accuracy("cifar100", second, source)),
    )


def _mobile(row: tuple[str, tuple[int, ...], int, str, str, float]) -> Reference:
    multiplier, widths, stem, text, madds, percent = row
    return Reference(
        name=f"igcv2-{multiplier}",
        network=Network(
            family="igcv2",
            shared=Shared(stem_width=stem, stem_stride=2, skip=False, inner="relu"),
            stages=tuple(
                Stage(width=width, blocks=blocks, stride=stride, k=width // MOBILE_BRANCHES, factors=3)
                for width, blocks, stride in zip(widths, MOBILE_BLOCKS, (1, 2, 2, 2, 2), strict=True)
            ),
        ),
        task=IMAGENET,
        figures=(
            printed("params", "all", text, TALK, MOBILE_WHY),
            printed("macs", "conv+fc", madds, TALK, MOBILE_WHY),
        ),
        accuracies=(accuracy("imagenet", percent, TALK),),
        fit=True,
        note=MOBILE_NOTE,
    )


IGCV2_REFERENCES: tuple[Reference, ...] = (
    *(_product(row) for row in PRODUCTS),
    *(_star(row) for row in STARS),
    *(_figure_2(row) for row in FIGURE_2),
    *(_table_2(row) for row in TABLE_2),
    *(_table_5(row) for row in TABLE_5),
    *(_mobile(row) for row in MOBILE),
)
