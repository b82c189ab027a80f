"""IGCV1 networks: tables 1 to 7 of "Interleaved Group Convolutions" (ICCV 2017) and those that the IGCV2 paper adds."""

from __future__ import annotations

from search_spaces.families.igcv1 import Shared, Stage
from search_spaces.networks import AnyNetwork, Network
from search_spaces.published.records import (
    CIFAR10,
    CIFAR100,
    Accuracy,
    Figure,
    Reference,
    accuracy,
    exact,
    printed,
)

V1 = "IGCV1 (ICCV 2017)"
V2 = "IGCV2 (CVPR 2018)"
BY_RULE = "recomputed from the published layer table; agrees with every printed digit"

# (L, M, depth, conv + FC(10) weights, printed weights, printed MAdds): V1 table 3
PLAIN: tuple[tuple[int, int, int, int, str, str], ...] = (
    (4, 8, 8, 77_674, ".078e6", ".131e8"),
    (4, 8, 20, 274_794, ".27e6", ".424e8"),
    (4, 8, 38, 570_474, ".57e6", ".862e8"),
    (4, 8, 62, 964_714, ".96e6", "1.45e8"),
    (4, 8, 98, 1_556_074, "1.56e6", "2.32e8"),
    (24, 2, 8, 47_002, ".047e6", ".099e8"),
    (24, 2, 20, 151_834, ".15e6", ".288e8"),
    (24, 2, 38, 309_082, ".31e6", ".571e8"),
    (24, 2, 62, 518_746, ".52e6", ".948e8"),
    (24, 2, 98, 833_242, ".83e6", "1.51e8"),
)

# (L, depth) -> (CIFAR-10, CIFAR-100, spread, spread): V1 table 4; depth 98 from table 5, with skip connections
PLAIN_ACCURACIES: dict[tuple[int, int], tuple[float, float, float | None, float | None]] = {
    (4, 8): (89.89, 64.18, None, None),
    (4, 20): (92.54, 69.45, None, None),
    (4, 38): (92.05, 67.33, None, None),
    (4, 62): (89.23, 63.06, None, None),
    (4, 98): (94.81, 75.58, None, None),
    (24, 8): (90.31, 65.60, 0.39, 0.59),
    (24, 20): (92.84, 70.54, 0.26, 0.61),
    (24, 38): (92.24, 69.56, 0.62, 0.76),
    (24, 62): (90.03, 65.84, 0.85, 0.75),
    (24, 98): (95.15, 76.15, None, None),
}

# (L, M, conv + FC(100) weights, printed weights, CIFAR-10 error, CIFAR-100 error): V1 table 7
LARGE: tuple[tuple[int, int, int, str, float, float], ...] = (
    (16, 32, 17_667_684, "17.7e6", 3.37, 19.31),
    (450, 2, 19_273_600, "19.3e6", 3.25, 19.25),
    (32, 26, 24_057_380, "24.1e6", 3.31, 18.75),
)

# (width, depth, conv weights, printed weights, printed MAdds, CIFAR-100, Tiny ImageNet, table): V2 tables 3 and 6
RESIDUAL: tuple[tuple[int, int, int, str, str, float, float, int], ...] = (
    (48, 8, 46_032, ".046e6", "1.00e7", 66.52, 48.57, 6),
    (48, 20, 150_864, ".151e6", "2.89e7", 70.87, 54.83, 6),
    (48, 26, 203_280, ".203e6", "3.83e7", 71.82, 56.64, 6),
    (96, 20, 398_496, ".40e6", ".82e8", 75.10, 58.37, 3),
    (126, 20, 602_406, ".60e6", "1.28e8", 76.18, 59.67, 3),
    (150, 20, 792_750, ".79e6", "1.72e8", 76.69, 60.73, 3),
)

# (L, M, weights of a block, CIFAR-100): V1 table 1 and figure 3
STUDY: tuple[tuple[int, int, int, float], ...] = (
    (1, 23, 4_784, 51.11),
    (2, 16, 4_672, 53.28),
    (3, 13, 4_680, 55.09),
    (5, 10, 4_750, 56.28),
    (6, 9, 4_698, 57.22),
    (12, 6, 4_752, 60.31),
    (28, 3, 4_620, 63.21),
    (40, 2, 4_640, 63.89),
    (64, 1, 4_672, 63.07),
    (1, 44, 17_468, 61.10),
    (2, 31, 17_422, 61.70),
    (4, 22, 17_776, 63.05),
    (12, 12, 17_280, 65.05),
    (14, 11, 17_402, 65.36),
    (23, 8, 17_480, 66.59),
    (28, 7, 17_836, 67.04),
    (41, 5, 17_630, 67.93),
    (64, 3, 17_472, 68.08),
    (85, 2, 17_510, 68.13),
    (128, 1, 17_536, 67.13),
)

# (L, printed weights of a block, CIFAR-10, CIFAR-100), M = 2: V2 table 5
STUDY_PAIRS: tuple[tuple[int, str, float, float], ...] = (
    (32, "3e3", 87.93, 60.89),
    (48, "6e3", 89.29, 64.58),
    (64, "10e3", 90.16, 66.59),
)


def _network(width: int, partitions: int, depth: int, skip: bool) -> AnyNetwork:
    """Three stages of (depth - 2) / 3 blocks, widths x, 2x, 4x: a block counts as one layer (V1 table 2)."""
    blocks = (depth - 2) // 3
    return Network(
        family="igcv1",
        shared=Shared(stem_width=width, skip=skip),
        stages=tuple(
            Stage(width=factor * width, blocks=blocks, stride=stride, partitions=partitions)
            for factor, stride in ((1, 1), (2, 2), (4, 2))
        ),
    )


def _study_network(partitions: int, members: int) -> AnyNetwork:
    width = partitions * members
    return Network(
        family="igcv1",
        shared=Shared(stem_width=width, skip=False),
        stages=(Stage(width=width, blocks=6, partitions=partitions),),
    )


def _plain(row: tuple[int, int, int, int, str, str]) -> Reference:
    partitions, members, depth, weights, text, madds = row
    first, second, first_spread, second_spread = PLAIN_ACCURACIES[partitions, depth]
    table = f"{V1} table {5 if depth == 98 else 4}"
    with_skips = "The accuracies are those of the network with skip connections; the figures count the plain one."
    return Reference(
        name=f"igcv1-l{partitions}m{members}-d{depth}",
        network=_network(partitions * members, partitions, depth, skip=False),
        task=CIFAR10,
        figures=(
            exact("params", "conv+fc", weights, BY_RULE),
            printed("params", "conv+fc", text, f"{V1} table 3"),
            printed("macs", "conv", madds, f"{V1} table 3"),
        ),
        accuracies=(
            accuracy("cifar10", first, table, first_spread),
            accuracy("cifar100", second, table, second_spread),
        ),
        note=with_skips if depth == 98 else "",
    )


def _large(row: tuple[int, int, int, str, float, float]) -> Reference:
    partitions, members, weights, text, first_error, second_error = row
    return Reference(
        name=f"igcv1-l{partitions}m{members}-d20",
        network=_network(partitions * members, partitions, 20, skip=False),
        task=CIFAR100,
        figures=(
            exact("params", "conv+fc", weights, BY_RULE),
            printed("params", "conv+fc", text, f"{V1} table 7"),
        ),
        accuracies=(
            accuracy("cifar10", 100 - first_error, f"{V1} table 7"),
            accuracy("cifar100", 100 - second_error, f"{V1} table 7"),
        ),
    )


def _residual(row: tuple[int, int, int, str, str, float, float, int]) -> Reference:
    width, depth, weights, text, madds, cifar, tiny, table = row
    source = f"{V2} table {table}"
    why = "printed cut off, not rounded" if width == 126 else ""
    return Reference(
        name=f"igcv1-c{width}-d{depth}",
        network=_network(width, width // 2, depth, skip=True),
        task=CIFAR10,
        figures=(
            exact("params", "conv", weights, BY_RULE),
            printed("params", "conv", text, source),
            printed("macs", "conv", madds, source, why),
        ),
        accuracies=(accuracy("cifar100", cifar, source), accuracy("tiny-imagenet", tiny, source)),
        fit=True,
        note="L = width / 2 of the first stage everywhere and shortcuts of L groups: a fit to the printed weights.",
    )


def _study(name: str, network: AnyNetwork, figures: tuple[Figure, ...], accuracies: tuple[Accuracy, ...]) -> Reference:
    return Reference(
        name=name,
        network=network,
        task=CIFAR100,
        figures=figures,
        accuracies=accuracies,
        note="Eight layers without down-sampling: stem, six blocks, FC.",
    )


IGCV1_REFERENCES: tuple[Reference, ...] = (
    *(_plain(row) for row in PLAIN),
    *(_large(row) for row in LARGE),
    *(_residual(row) for row in RESIDUAL),
    *(
        _study(
            f"igcv1-study-l{partitions}m{members}",
            _study_network(partitions, members),
            (exact("params", "block", weights, f"{V1} table 1"),),
            (accuracy("cifar100", percent, f"{V1} figure 3"),),
        )
        for partitions, members, weights, percent in STUDY
    ),
    *(
        _study(
            f"igcv1-study-l{partitions}m2",
            _study_network(partitions, 2),
            (printed("params", "block", text, f"{V2} table 5"),),
            (accuracy("cifar10", first, f"{V2} table 5"), accuracy("cifar100", second, f"{V2} table 5")),
        )
        for partitions, text, first, second in STUDY_PAIRS
    ),
)
