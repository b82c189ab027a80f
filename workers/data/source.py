"""What every data set offers: its splits as uint8 arrays, read one split at a time. No torch here.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.places import is_bucket
from workers.records import DataSpec

Split = Literal["train", "validation", "test"]
ImageArray = NDArray[np.uint8]
LabelArray = NDArray[np.int64]
Fingerprint = tuple[tuple[str, int, int], ...]


class DataError(ValueError):
    """The images (or how they were named) are at fault; the message says which file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPart:
    """The images of one split, uint8 NCHW, with their labels."""

    images_NCHW: ImageArray
    labels_N: LabelArray


class Source(Protocol):
    """A data set on disk. Nothing reads the test split but `read("test")` and `labels("test")`."""

    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""

    def class_names(self) -> tuple[str, ...]:
        """The classes' names, in the order of the labels."""

    def has(self, split: Split) -> bool:
        """Whether the split exists."""

    def labels(self, split: Split) -> LabelArray:
        """The labels of a split, without its images where that is cheaper."""

    def read(self, split: Split) -> RawPart:
        """A whole split. DataError names the file that cannot be used."""

    def fingerprint(self) -> Fingerprint:
        """Changes when the files that the search reads change (the test split's do not count)."""


def open_source(spec: DataSpec) -> Source:
    """The data set that the spec names. DataError where the name is unknown or nothing lies at its path."""
    if spec.name not in SOURCES:
        raise DataError(f"unknown data set {spec.name!r}; known: {', '.join(SOURCES)}")
    return SOURCES[spec.name](spec)


def require_path(spec: DataSpec) -> Path:
    """The spec's path, a bucket's files copied to this machine. DataError where it is missing or does not exist."""
    if not spec.path:
        raise DataError(f"data.path is missing: the data set {spec.name!r} reads files; set data.path to their place")
    if is_bucket(spec.path):
        from workers.data.mirror import mirrored

        return mirrored(spec.path)
    path = Path(spec.path).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; set data.path to where the images of {spec.name!r} lie")
    return path


def check_labels(labels: NDArray[np.generic], classes: int, where: str) -> LabelArray:
    """The labels as int64. DataError where they are not integers in [0, classes)."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels are {labels.dtype}, expected integers 0..{classes - 1}")
    wide = labels.astype(np.int64).reshape(-1)
    if wide.size and (wide.min() < 0 or wide.max() >= classes):
        bad = int(np.flatnonzero((wide < 0) | (wide >= classes))[0])
        raise DataError(f"{where}: label {wide[bad]} of image {bad} is out of range, expected 0..{classes - 1}")
    return wide


def file_fingerprint(files: list[Path]) -> Fingerprint:
    """Name, size and modification time of each file."""
    stats = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _digits(spec: DataSpec) -> Source:
    from workers.data.digits import DigitsSource

    return DigitsSource()


def _parquet(spec: DataSpec) -> Source:
    from workers.data.parquet import ParquetSource

    return ParquetSource(require_path(spec), spec.image_column, spec.label_column)


def _npz(spec: DataSpec) -> Source:
    from workers.data.npz import NpzSource

    return NpzSource(require_path(spec))


def _cifar(spec: DataSpec) -> Source:
    from workers.data.cifar import CifarSource

    return CifarSource(spec)


SOURCES: Mapping[str, Callable[[DataSpec], Source]] = {
    "digits": _digits,
    "parquet": _parquet,
    "npz": _npz,
    "cifar10": _cifar,
    "cifar100": _cifar,
}
