"""MobileNetV1 and MobileNetV2: the baselines that IGCV2 and IGCV3 are measured against."""

from __future__ import annotations

from search_spaces.families import mobilenetv1, mobilenetv2
from search_spaces.networks import AnyNetwork, Network
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

TALK = "IGC talk (July 2018), slides 70 and 75"
BMVC = "IGCV3 (BMVC 2018)"
COUNTED = "layer table of the paper, counted"
TORCHVISION = "torchvision's mobilenet_v2, counted"
WITHOUT = "printed without the normalisation (3.47e6) and cut off"

# (width, blocks, stride): MobileNetV1 table 1
V1_TABLE = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
# (expansion, width, blocks): MobileNetV2 table 2
V2_TABLE = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
IMAGENET_STRIDES = (1, 2, 2, 2, 1, 2, 1)
CIFAR_STRIDES = (1, 1, 2, 2, 1, 1, 1)


def _v1(multiplier: float) -> AnyNetwork:
    return Network(
        family="mobilenetv1",
        shared=mobilenetv1.Shared(stem_stride=2, width_multiplier=multiplier),
        stages=tuple(
            mobilenetv1.Stage(width=width, blocks=blocks, stride=stride) for width, blocks, stride in V1_TABLE
        ),
    )


def _v2(multiplier: float, stem_stride: int, strides: tuple[int, ...]) -> AnyNetwork:
    return Network(
        family="mobilenetv2",
        shared=mobilenetv2.Shared(stem_width=32, stem_stride=stem_stride, head_width=1280, width_multiplier=multiplier),
        stages=tuple(
            mobilenetv2.Stage(width=width, blocks=blocks, stride=stride, expansion=expansion)
            for (expansion, width, blocks), stride in zip(V2_TABLE, strides, strict=True)
        ),
    )


V1_SCALED: tuple[tuple[str, tuple[Figure, ...], tuple[Accuracy, ...]], ...] = (
    (
        "1.0",
        (
            exact("params", "all", 4_231_976, COUNTED),
            printed("params", "all", "4.2e6", TALK),
            printed("macs", "conv+fc", "569e6", TALK),
        ),
        (accuracy("imagenet", 70.6, TALK),),
    ),
    (
        "0.5",
        (printed("params", "all", "1.3e6", TALK), printed("macs", "conv+fc", "149e6", TALK)),
        (accuracy("imagenet", 63.7, TALK),),
    ),
    (
        "0.25",
        (printed("params", "all", ".5e6", TALK), printed("macs", "conv+fc", "41e6", TALK)),
        (accuracy("imagenet", 50.6, TALK),),
    ),
)

V2_SCALED: tuple[tuple[str, tuple[Figure, ...], tuple[Accuracy, ...]], ...] = (
    (
        "1.0",
        (
            exact("params", "all", 3_504_872, TORCHVISION),
            printed("macs", "conv+fc", "300.8e6", TORCHVISION),
            printed("params", "all", "3.4e6", f"{BMVC} table 3", WITHOUT),
            printed("macs", "conv+fc", "300e6", f"{BMVC} table 3", "300.8e6 printed cut off"),
        ),
        (
            accuracy("imagenet", 72.0, f"{BMVC} table 3, from the MobileNetV2 paper"),
            accuracy("imagenet", 71.3, f"{BMVC} table 3, the authors' training"),
        ),
    ),
    (
        "0.75",
        (exact("params", "all", 2_636_424, TORCHVISION), printed("macs", "conv+fc", "209.1e6", TORCHVISION)),
        (),
    ),
    ("0.5", (exact("params", "all", 1_968_680, TORCHVISION),), ()),
    (
        "1.4",
        (
            exact("params", "all", 6_108_776, TORCHVISION),
            printed("params", "all", "6.9e6", f"{BMVC} table 3", "the MobileNetV2 paper's own count"),
            printed("macs", "conv+fc", "585e6", f"{BMVC} table 3", "the MobileNetV2 paper's own count"),
        ),
        (
            accuracy("imagenet", 74.7, f"{BMVC} table 3, from the MobileNetV2 paper"),
            accuracy("imagenet", 73.76, f"{BMVC} table 3, the authors' training"),
        ),
    ),
)

MOBILENET_REFERENCES: tuple[Reference, ...] = (
    *(
        Reference(
            name=f"mobilenetv1-{multiplier}",
            network=_v1(float(multiplier)),
            task=IMAGENET,
            figures=figures,
            accuracies=accuracies,
        )
        for multiplier, figures, accuracies in V1_SCALED
    ),
    *(
        Reference(
            name=f"mobilenetv2-{multiplier}",
            network=_v2(float(multiplier), 2, IMAGENET_STRIDES),
            task=IMAGENET,
            figures=figures,
            accuracies=accuracies,
        )
        for multiplier, figures, accuracies in V2_SCALED
    ),
    Reference(
        name="mobilenetv2-1.0-cifar",
        network=_v2(1.0, 1, CIFAR_STRIDES),
        task=CIFAR10,
        figures=(
            exact("params", "all", 2_236_682, "torchvision's mobilenet_v2 with ten classes, counted"),
            printed(
                "params",
                "conv+norm",
                "2.1e6",
                f"{BMVC} table 2",
                "printed without the normalisation (2.19e6) and cut off",
            ),
        ),
        accuracies=(
            accuracy("cifar10", 94.56, f"{BMVC} table 2", 0.16),
            accuracy("cifar100", 77.09, f"{BMVC} table 2", 0.17),
        ),
        note="Strides 1 (stem), 1, 1, 2, 2, 1, 1, 1, those of IGCV3's CIFAR form: the paper prints none.",
    ),
)
