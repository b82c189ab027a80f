"""The catalogue against every figure that is known to the unit, and against torchvision layer by layer."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2

from search_spaces.cost import cost
from search_spaces.networks import Task
from search_spaces.plan import Conv, Linear, Norm, Plan
from search_spaces.references import REFERENCES, CatalogRow, catalog_rows, reference, reference_plan

EXACT = {  # name: (what is counted, figure)
    "igcv1-l4m8-d8": ("conv+fc", 77_674),
    "igcv1-l4m8-d20": ("conv+fc", 274_794),
    "igcv1-l4m8-d38": ("conv+fc", 570_474),
    "igcv1-l4m8-d62": ("conv+fc", 964_714),
    "igcv1-l4m8-d98": ("conv+fc", 1_556_074),
    "igcv1-l24m2-d8": ("conv+fc", 47_002),
    "igcv1-l24m2-d20": ("conv+fc", 151_834),
    "igcv1-l24m2-d38": ("conv+fc", 309_082),
    "igcv1-l24m2-d62": ("conv+fc", 518_746),
    "igcv1-l24m2-d98": ("conv+fc", 833_242),
    "igcv1-l16m32-d20": ("conv+fc", 17_667_684),
    "igcv1-l450m2-d20": ("conv+fc", 19_273_600),
    "igcv1-l32m26-d20": ("conv+fc", 24_057_380),
    "igcv1-c48-d8": ("conv", 46_032),
    "igcv1-c48-d20": ("conv", 150_864),
    "igcv1-c48-d26": ("conv", 203_280),
    "igcv1-c96-d20": ("conv", 398_496),
    "igcv1-c126-d20": ("conv", 602_406),
    "igcv1-c150-d20": ("conv", 792_750),
    "igcv2-c64-d8": ("conv", 46_720),
    "igcv2-c64-d20": ("conv", 148_864),
    "igcv2-c64-d26": ("conv", 199_936),
    "igcv2-c80-d8": ("conv", 45_600),
    "igcv2-c80-d20": ("conv", 143_840),
    "igcv2-c80-d26": ("conv", 192_960),
    "igcv2star-c216-d20": ("conv", 318_176),
    "igcv2star-c304-d20": ("conv", 475_840),
    "igcv2star-c416-d20": ("conv", 650_112),
    "xception-c35-d8": ("conv", 55_860),
    "xception-c35-d20": ("conv", 167_580),
    "xception-c35-d26": ("conv", 223_440),
    "igcv3-1.0": ("all", 3_491_688),
    "igcv3-0.75": ("all", 2_638_084),
    "igcv3-0.5": ("all", 1_985_528),
    "igcv3-0.25": ("all", 1_534_020),
    "igcv3-0.7": ("all", 2_490_294),
    "igcv3-1.4": ("all", 6_015_164),
    "igcv3-1.0-cifar": ("all", 2_223_498),
    "mobilenetv1-1.0": ("all", 4_231_976),
    "mobilenetv2-1.0": ("all", 3_504_872),
    "mobilenetv2-0.75": ("all", 2_636_424),
    "mobilenetv2-1.0-cifar": ("all", 2_236_682),
}
OTHERS = {
    *("xception-c58-d20", "xception-c71-d20", "xception-c83-d20"),
    *("mobilenetv1-0.5", "mobilenetv1-0.25", "mobilenetv2-0.5", "mobilenetv2-1.4"),
    *("igcv2-1.0", "igcv2-0.5", "igcv2-0.25"),
    *("igcv2-study-c144k12", "igcv2-study-c256k16", "igcv2-study-c361k19", "igcv2-study-c272k4"),
    *("xception-study-c64", "igcv1-study-l40m2"),
}
MACS = {
    "igcv3-1.0": 312_970_176,
    "igcv3-1.0-cifar": 166_064_640,
    "igcv1-l24m2-d20": 28_753_920,
    "mobilenetv1-1.0": 568_740_352,
    "mobilenetv2-1.0": 300_774_272,
}
ROWS = {row.name: row for row in catalog_rows()}


def counted(plan: Plan, what: str) -> int:
    total = cost(plan)
    return {
        "conv": total.params_conv,
        "conv+fc": total.params_conv + total.params_linear,
        "all": total.params,
    }[what]


def test_every_name_of_the_field_is_there() -> None:
    assert set(REFERENCES) >= set(EXACT) | OTHERS
    assert all(name == REFERENCES[name].name for name in REFERENCES)


@pytest.mark.parametrize("name", EXACT)
def test_weights_equal_the_known_figure_to_the_unit(name: str) -> None:
    what, figure = EXACT[name]
    assert counted(reference_plan(name), what) == figure
    row = ROWS[name]
    assert (row.ours, row.published, row.difference, row.within) == (figure, figure, 0, True)


@pytest.mark.parametrize("name", MACS)
def test_macs_equal_the_known_figure_to_the_unit(name: str) -> None:
    total = cost(reference_plan(name))
    assert (total.macs_conv if name.startswith("igcv1") else total.macs) == MACS[name]


def test_other_heads_and_parts() -> None:
    hundred = Task(image_size=32, classes=100)
    assert cost(reference_plan("igcv3-1.0-cifar", hundred)).params == 2_338_788
    parts = cost(reference_plan("igcv3-1.0"))
    assert (parts.params_conv, parts.params_norm, parts.params_linear) == (2_146_144, 64_544, 1_281_000)
    plain = reference_plan("igcv1-l24m2-d20")
    assert cost(plain).params == 155_962
    assert cost(reference_plan("igcv1-l24m2-d20", hundred)).params == 173_332


@pytest.mark.parametrize(("k", "width", "weights"), [(12, 144, 4_752), (16, 256, 10_496), (19, 361, 16_967)])
def test_study_blocks(k: int, width: int, weights: int) -> None:
    assert ROWS[f"igcv2-study-c{width}k{k}"].ours == weights


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_figure_beyond_its_rounding_says_why(row: CatalogRow) -> None:
    for comparison in row.comparisons:
        assert comparison.difference == comparison.ours - comparison.published
        assert comparison.within or comparison.why, comparison
        if comparison.step == 1:
            assert comparison.within, comparison


def test_fits_say_what_was_fitted() -> None:
    assert all(row.note for row in ROWS.values() if row.fit)


def test_the_imagenet_reconstruction_of_igcv2_is_within_three_percent() -> None:
    for name in ("igcv2-1.0", "igcv2-0.5"):
        for comparison in ROWS[name].comparisons:
            assert abs(comparison.difference) < 0.03 * comparison.published
    assert all(comparison.within for comparison in ROWS["igcv2-0.25"].comparisons)


def test_rows_are_plain_data() -> None:
    text = json.dumps([asdict(row) for row in ROWS.values()])
    assert len(json.loads(text)) == len(REFERENCES)


def layers_of_plan(plan: Plan) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for node in plan.nodes:
        given = plan.nodes[node.inputs[0]].shape if node.inputs else node.shape
        match node.operation:
            case Conv(out_channels=out, kernel=kernel, stride=stride, groups=groups, bias=bias):
                found.append(("conv", given, node.shape, out, kernel, stride, groups, bias))
            case Norm():
                found.append(("norm", node.shape))
            case Linear(out_features=features, bias=bias):
                found.append(("linear", given[0], features, bias))
    return found


def layers_of_module(module: nn.Module, images: torch.Tensor) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []

    def record(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        given, made = tuple(inputs[0].shape[1:]), tuple(output.shape[1:])
        match layer:
            case nn.Conv2d():
                sizes = (layer.kernel_size[0], layer.stride[0], layer.groups, layer.bias is not None)
                found.append(("conv", given, made, layer.out_channels, *sizes))
            case nn.BatchNorm2d():
                found.append(("norm", made))
            case nn.Linear():
                found.append(("linear", layer.in_features, layer.out_features, layer.bias is not None))

    for layer in module.modules():
        layer.register_forward_hook(record)
    module(images)
    return found


@pytest.mark.parametrize("multiplier", ["1.0", "0.75", "0.5", "1.4"])
def test_mobilenetv2_is_torchvisions_layer_by_layer(multiplier: str) -> None:
    with torch.device("meta"):
        module = mobilenet_v2(width_mult=float(multiplier)).eval()
        images = torch.empty(1, 3, 224, 224)
    plan = reference_plan(f"mobilenetv2-{multiplier}")
    assert layers_of_plan(plan) == layers_of_module(module, images)
    assert cost(plan).params == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_takes_small_images(name: str) -> None:
    plan = reference_plan(name, Task(image_size=8, channels=1, classes=10))
    assert plan.input_shape == (1, 8, 8)
    assert plan.output_shape == (10, 1, 1)


def test_an_unknown_name_lists_what_comes_close() -> None:
    with pytest.raises(ValueError, match=r"igcv2-c65-d8.*did you mean igcv2-c64-d8"):
        reference("igcv2-c65-d8")
    with pytest.raises(ValueError, match="igcv catalog"):
        reference("§")


def test_accuracies_belong_to_a_data_set() -> None:
    found = reference("igcv2star-c416-d20")
    assert found.accuracy_on("cifar100") == 0.7702
    assert found.accuracy_on("digits") is None
    assert found.printed("params") == 650_112
