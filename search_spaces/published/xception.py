"""Xception-style networks: the baselines of tables 2, 3 and 4 of the IGCV2 paper."""

from __future__ import annotations

from search_spaces.families.xception import Shared, Stage
from search_spaces.networks import AnyNetwork, Network
from search_spaces.published.records import CIFAR10, CIFAR100, Figure, Reference, accuracy, exact, printed

V2 = "IGCV2 (CVPR 2018)"
STEM = 35

# (width, depth, conv weights where known to the unit, printed weights, printed MAdds, CIFAR-100, Tiny ImageNet, table)
RESIDUAL: tuple[tuple[int, int, int | None, str, str, float, float, int], ...] = (
    (35, 8, 55_860, ".056e6", ".0950e8", 67.00, 49.91, 4),
    (35, 20, 167_580, ".168e6", ".2681e8", 70.97, 55.29, 4),
    (35, 26, 223_440, ".223e6", ".3547e8", 72.48, 55.39, 4),
    (58, 20, None, ".44e6", ".67e8", 74.46, 57.34, 3),
    (71, 20, None, ".66e6", ".98e8", 75.66, 58.28, 3),
    (83, 20, None, ".89e6", "1.31e8", 76.22, 59.01, 3),
)

# (width, weights of a block, CIFAR-10, spread, CIFAR-100, spread): table 2
STUDY: tuple[tuple[int, int, float, float | None, float, float | None], ...] = (
    (64, 4_672, 88.82, 0.38, 62.81, 0.53),
    (96, 10_080, 90.21, None, 65.21, None),
    (128, 17_536, 91.03, None, 66.51, None),
)


def _network(width: int, depth: int) -> AnyNetwork:
    blocks = (depth - 2) // 3
    return Network(
        family="xception",
        shared=Shared(stem_width=STEM),
        stages=tuple(
            Stage(width=factor * width, blocks=blocks, stride=stride) for factor, stride in ((1, 1), (2, 2), (4, 2))
        ),
    )


def _residual(row: tuple[int, int, int | None, str, str, float, float, int]) -> Reference:
    width, depth, weights, text, madds, cifar, tiny, table = row
    source = f"{V2} table {table}"
    known: tuple[Figure, ...] = ()
    if weights is not None:
        known = (exact("params", "conv", weights, "recomputed; agrees with every printed digit"),)
    return Reference(
        name=f"xception-c{width}-d{depth}",
        network=_network(width, depth),
        task=CIFAR10,
        figures=(*known, printed("params", "conv", text, source), printed("macs", "conv", madds, source)),
        accuracies=(accuracy("cifar100", cifar, source), accuracy("tiny-imagenet", tiny, source)),
        fit=True,
        note="Dense 1x1 shortcuts where the map shrinks, a weightless one where stage 1 widens the stem's 35 channels: "
        "a fit to the printed weights and MAdds.",
    )


def _study(row: tuple[int, int, float, float | None, float, float | None]) -> Reference:
    width, weights, first, first_spread, second, second_spread = row
    return Reference(
        name=f"xception-study-c{width}",
        network=Network(
            family="xception",
            shared=Shared(stem_width=width, skip=False),
            stages=(Stage(width=width, blocks=6),),
        ),
        task=CIFAR100,
        figures=(exact("params", "block", weights, f"{V2} table 2: C (9 + C)"),),
        accuracies=(
            accuracy("cifar10", first, f"{V2} table 2", first_spread),
            accuracy("cifar100", second, f"{V2} table 2", second_spread),
        ),
        note="Eight layers without down-sampling: stem, six blocks, FC.",
    )


XCEPTION_REFERENCES: tuple[Reference, ...] = (
    *(_residual(row) for row in RESIDUAL),
    *(_study(row) for row in STUDY),
)
