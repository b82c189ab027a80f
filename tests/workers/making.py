"""Small networks, image files and requests for the tests of the workers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from search_spaces.plan import Activation, Add, Conv, Linear, Norm, Plan, PlanBuilder, Pool, Product, Shuffle
from workers.records import DataSpec, EpochReport, Metrics, Recipe, TrainRequest
from workers.trainer import train

SHAPE = (1, 8, 8)


def product(width: int, out: int, k: int) -> Product:
    """Two group 1x1 convolutions of branches of k channels, each followed by its shuffle."""
    groups = width // k
    return Product(
        factors=(Conv(out_channels=width, groups=groups), Conv(out_channels=out, groups=groups)),
        shuffles=(groups, groups),
    )


def small_plan(shape: tuple[int, int, int] = SHAPE, classes: int = 10, width: int = 16) -> Plan:
    """A few hundred parameters; one product fits the native kernels and one does not."""
    builder = PlanBuilder(shape)
    builder.place = "stem"
    builder.add(Conv(out_channels=width, kernel=3))
    builder.add(Norm())
    start = builder.add(Activation())
    builder.place = "1/1"
    builder.add(Conv(out_channels=width, kernel=3, groups=width))
    builder.add(product(width, width, 8))
    builder.add(Norm())
    builder.add(Add(), start, builder.last)
    builder.add(Activation())
    builder.add(Shuffle(groups=4))
    builder.add(Conv(out_channels=width, kernel=3, stride=2, groups=width))
    builder.add(product(width, 2 * width, 4))
    builder.add(Norm())
    builder.add(Activation(function="relu6"))
    builder.place = "head"
    builder.add(Pool())
    builder.add(Linear(out_features=classes))
    return builder.build()


def request(**changes: Any) -> TrainRequest:
    """Three short epochs on the digits; `recipe` and `data` are dictionaries of changes."""
    recipe = Recipe(**{"epochs": 3, "batch_size": 32, "crop_padding": 1, "flip": False, **changes.pop("recipe", {})})
    data = DataSpec(**{"max_train": 192, "max_validation": 100, **changes.pop("data", {})})
    defaults: dict[str, Any] = {"key": "t", "plan": small_plan(), "threads": 1, "device": "cpu"}
    return TrainRequest(recipe=recipe, data=data, **(defaults | changes))


def run_through(wanted: TrainRequest) -> tuple[list[EpochReport], Metrics]:
    """The reports and the metrics of a training that succeeds."""
    *reports, metrics = train(wanted)
    assert isinstance(metrics, Metrics)
    return [report for report in reports if isinstance(report, EpochReport)], metrics


def numbers(reports: Sequence[EpochReport]) -> list[tuple[int, float, float, float]]:
    """What of a curve must be equal bit for bit: everything but the seconds."""
    return [(report.epoch, report.accuracy, report.train_loss, report.learning_rate) for report in reports]


def images(count: int, size: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random images, NHWC."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def write_npz(path: Path, **splits: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> Path:
    """An archive with a pair of arrays for each split."""
    arrays = {}
    for split, (pixels, labels) in splits.items():
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = pixels, labels
    np.savez(path, **arrays)
    return path


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """One encoded image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_shard(
    path: Path,
    contents: Sequence[bytes],
    labels: Sequence[int | None],
    *,
    image: str = "image",
    label: str = "label",
    struct: bool = True,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A Parquet shard as Hugging Face lays it out (`struct`), or with plain bytes."""
    column = [{"bytes": content, "path": None} for content in contents] if struct else list(contents)
    table = pa.table({image: column, label: pa.array(labels, pa.int64())})
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path
