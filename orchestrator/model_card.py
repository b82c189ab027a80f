"""The README of an exported network: what it is, what it costs and reaches, and how a stranger runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from dashboards.evaluation import Spread
from dashboards.table import TrialRow
from dashboards.words import plain
from search_spaces.cost import Cost
from workers.records import DataSpec, Recipe

USE = """```python
import json

import numpy as np
import onnxruntime

about = json.load(open("preprocessing.json"))
images = np.load("images.npy")  # uint8, (N, channels, height, width) as in preprocessing.json
mean, std = (np.array(about[name], np.float32)[:, None, None] for name in ("mean", "std"))
scores = onnxruntime.InferenceSession("model.onnx").run(["scores"], {"images": (images - mean) / std})[0]
print([about["classes"][index] for index in scores.argmax(1)])
```"""
ESCAPED = "\\`*_[]<>|~&"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """What a file's check found (see workers.export.Check)."""

    file: str
    images: int
    max_difference: float
    tolerance: float
    same_top1: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that the README tells."""

    study: str
    row: TrialRow
    cost: Cost
    data: DataSpec
    recipe: Recipe
    seed: int
    image_shape: tuple[int, int, int]
    classes: int
    validation_accuracy: float
    validation_images: int
    checks: Sequence[CheckLine]
    evaluated: Sequence[Spread]
    environment: Mapping[str, str]


def model_card(card: Card) -> str:
    """Markdown. Whatever a name holds stays text."""
    parts = (
        f"# {text(card.row.name)}",
        f"An image classifier of the family {text(card.row.family)}: trial {card.row.number} of the search "
        f"{text(card.study)}, exported by igcv-search.",
        "## Files",
        _table(
            ("file", "what it is"),
            [
                ("`model.onnx`", "inference form, any batch: `images` (float32) in, `scores` out"),
                ("`model.pt2`", "the same as a `torch.export` program: `torch.export.load(…).module()`"),
                ("`model.safetensors`", "the weights as they were trained, factor by factor, norms unfolded"),
                ("`plan.json`", "the network as data: every layer with its shape"),
                ("`preprocessing.json`", "mean and deviation of each channel, and the classes in order"),
            ],
        ),
        "In the inference form the normalisation is folded in and interleaved products are composed where that pays.",
        "## Costs",
        _table(("", "one image"), list(_costs(card.cost))),
        "## Accuracy",
        _table(("split", "accuracy", "n", "what was trained"), list(_accuracies(card))),
        "## Checks",
        f"Scores of the files beside those of the network layer by layer, on images of {text(card.data.name)}:",
        _table(("file", "images", "largest difference", "tolerated", "sorted alike"), list(_checks(card.checks))),
        "## Data",
        _data(card),
        "## Recipe",
        _table(("", ""), [(name, text(str(value))) for name, value in asdict(card.recipe).items()]),
        "## Environment of the export",
        _table(("", ""), [(text(name), text(value)) for name, value in card.environment.items()]),
        "## Use",
        USE,
    )
    return "\n\n".join(parts) + "\n"


def text(raw: str) -> str:
    """The text in one line, without meaning to Markdown or HTML."""
    return "".join(f"\\{letter}" if letter in ESCAPED else letter for letter in plain(raw))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _costs(cost: Cost) -> Iterator[tuple[str, str]]:
    yield "MACs (convolutions and linear layers)", f"{cost.macs:,}"
    yield "FLOPs (2 x MACs)", f"{cost.flops:,}"
    yield "parameters", f"{cost.params:,}"
    yield "activation memory, fp32", f"{cost.activation_bytes:,} bytes"
    yield "depth", f"{cost.depth} layers"


def _accuracies(card: Card) -> Iterator[tuple[str, str, str, str]]:
    row = card.row
    share = "" if row.accuracy is None else f"{row.accuracy:.2%}"
    yield "validation", share, "1", f"these weights, seed {card.seed}, as the search saw it"
    images = f"{card.validation_images:,} images"
    yield "validation", f"{card.validation_accuracy:.2%}", "1", f"these weights, computed anew, fp32, {images}"
    for found in card.evaluated:
        if found.mean is not None:
            deviation = "" if found.std is None else f" ± {100 * found.std:.2f}"
            value = f"{found.mean:.2%}{deviation}"
            seeds = ", ".join(map(str, found.seeds))
            yield found.split, value, str(found.n), f"the network anew, recipe {text(found.recipe)}, seeds {seeds}"
    if row.published_accuracy is not None:
        yield "test", f"{row.published_accuracy:.2%}", "", "as published"


def _checks(checks: Sequence[CheckLine]) -> Iterator[tuple[str, ...]]:
    for check in checks:
        limits = f"{check.max_difference:.2g}", f"{check.tolerance:.2g}"
        yield f"`{check.file}`", str(check.images), *limits, f"{check.same_top1} of {check.images}"


def _data(card: Card) -> str:
    channels, height, width = card.image_shape
    spec = card.data
    validation = (
        f"validation: a stratified {spec.validation_fraction:.0%} of the training split (seed {spec.split_seed}), "
        "or the set's own validation split"
    )
    return (
        f"{text(spec.name)}, {card.classes} classes (named in `preprocessing.json`), images {channels} x {height} x "
        f"{width}; {validation}. The weights saw the training part alone, and no test image. A pixel (0..255) enters "
        "as (pixel - mean) / std of its channel."
    )
