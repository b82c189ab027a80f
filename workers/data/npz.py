"""NumPy archives: needs nothing but NumPy.

Either one file with a pair of arrays for each split, `train_images` and `train_labels`, likewise `validation_…` (or
`val_…`) and `test_…`; or one file with `images` and `labels` (training only); or a folder with such files named
train*.npz, valid*.npz, test*.npz. Images are uint8, NHW (grey) or NHWC with 1 or 3 channels; labels are integers from 0
(N or Nx1). `classes`, if there, holds the classes' names. Arrays of one split are read without the others'.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.data.source import (
    DataError,
    Fingerprint,
    ImageArray,
    LabelArray,
    RawPart,
    Split,
    check_labels,
    file_fingerprint,
)

PREFIXES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}


class NpzSource:
    """One archive, or a folder with one archive for each split."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members = {split: _find(path, split) for split in PREFIXES}
        if self._members["train"] is None:
            raise DataError(
                f"{path}: no arrays train_images and train_labels (or images and labels), and no train*.npz"
            )

    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.read("train").images_NCHW.shape[1:]
        return channels, height, width

    def class_names(self) -> tuple[str, ...]:
        file, _ = self._place("train")
        names = _keys(file)
        if "classes" in names:
            return tuple(str(name) for name in _array(file, "classes"))
        labels = self._raw_labels("train")
        return tuple(str(number) for number in range(int(labels.max()) + 1 if labels.size else 0))

    def has(self, split: Split) -> bool:
        return self._members[split] is not None

    def labels(self, split: Split) -> LabelArray:
        file, prefix = self._place(split)
        return check_labels(self._raw_labels(split), len(self.class_names()), f"{file}:{prefix}labels")

    def read(self, split: Split) -> RawPart:
        file, prefix = self._place(split)
        images = _channels_first(_array(file, f"{prefix}images"), f"{file}:{prefix}images")
        labels = self.labels(split)
        if len(images) != len(labels):
            raise DataError(f"{file}: {len(images)} {prefix}images but {len(labels)} {prefix}labels")
        return RawPart(images_NCHW=images, labels_N=labels)

    def fingerprint(self) -> Fingerprint:
        places = [self._members["train"], self._members["validation"]]
        return file_fingerprint(sorted({place[0] for place in places if place is not None}))

    def _place(self, split: Split) -> tuple[Path, str]:
        place = self._members[split]
        if place is None:
            raise DataError(f"{self._path}: no {split} split; add the arrays {split}_images and {split}_labels")
        return place

    def _raw_labels(self, split: Split) -> NDArray[np.generic]:
        file, prefix = self._place(split)
        return _array(file, f"{prefix}labels")


def _find(path: Path, split: Split) -> tuple[Path, str] | None:
    """(file, prefix of its arrays) of a split."""
    if path.is_dir():
        files = [file for prefix in PREFIXES[split] for file in sorted(path.glob(f"{prefix}*.npz"))]
        return (files[0], "") if files else None
    keys = _keys(path)
    for prefix in PREFIXES[split]:
        if {f"{prefix}_images", f"{prefix}_labels"} <= keys:
            return path, f"{prefix}_"
    return (path, "") if split == "train" and {"images", "labels"} <= keys else None


def _keys(file: Path) -> set[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: not a readable .npz archive ({error}); is it cut short?") from error


def _array(file: Path, name: str) -> NDArray[np.generic]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            array: NDArray[np.generic] = archive[name]
            return array
    except KeyError as error:
        raise DataError(f"{file}: no array {name!r}; it has {', '.join(sorted(_keys(file)))}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: the array {name!r} cannot be read ({error}); is the file cut short?") from error


def _channels_first(images: NDArray[np.generic], where: str) -> ImageArray:
    if images.dtype != np.uint8:
        raise DataError(f"{where}: images are {images.dtype}, expected uint8 (0..255)")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise DataError(f"{where}: shape {images.shape}, expected N x H x W or N x H x W x (1 or 3)")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.uint8, copy=False)
