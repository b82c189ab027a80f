"""CIFAR-10 and CIFAR-100 as torchvision stores them, where they are on disk or may be downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workers.data.cache import cache_folder
from workers.data.source import DataError, Fingerprint, LabelArray, RawPart, Split, check_labels, file_fingerprint
from workers.records import DataSpec

CLASSES = {"cifar10": 10, "cifar100": 100}


class CifarSource:
    """`data.path` is the folder that holds cifar-10-batches-py or cifar-100-python."""

    def __init__(self, spec: DataSpec) -> None:
        self._name = spec.name
        self._root = Path(spec.path).expanduser() if spec.path else _default_root()
        self._download = spec.download

    def shape(self) -> tuple[int, int, int]:
        return 3, 32, 32

    def class_names(self) -> tuple[str, ...]:
        return tuple(self._set("train").classes)

    def has(self, split: Split) -> bool:
        return split != "validation"

    def labels(self, split: Split) -> LabelArray:
        return check_labels(np.asarray(self._set(split).targets), CLASSES[self._name], f"{self._root}: {split}")

    def read(self, split: Split) -> RawPart:
        images = np.ascontiguousarray(self._set(split).data.transpose(0, 3, 1, 2))
        return RawPart(images_NCHW=images, labels_N=self.labels(split))

    def fingerprint(self) -> Fingerprint:
        """Of the training batches and the classes' names; fetches them first where they are missing and may be."""
        kind = self._kind()
        names = [*(name for name, _ in kind.train_list), kind.meta["filename"]]
        files = [self._root / kind.base_folder / name for name in names]
        if not all(file.exists() for file in files):
            self._set("train")
        return file_fingerprint(files)

    def _kind(self) -> Any:
        """torchvision's class, which knows the files."""
        try:
            from torchvision import datasets
        except ImportError as error:
            raise DataError(
                f"the data set {self._name!r} needs torchvision; install it, or use parquet or npz"
            ) from error
        return datasets.CIFAR10 if self._name == "cifar10" else datasets.CIFAR100

    def _set(self, split: Split) -> Any:
        kind = self._kind()
        if split != "test":  # torchvision checks the files of both splits: here it is to know of those of one
            kind = type(kind.__name__, (kind,), {"test_list": []})
        try:
            return kind(str(self._root), train=split != "test", download=self._download)
        except RuntimeError as error:
            raise DataError(
                f"{self._root}: {self._name} is missing or damaged; set data.path, or fetch it by data.download=true"
            ) from error


def _default_root() -> Path:
    folder = cache_folder()
    if folder is None:
        raise DataError("data.path is missing and the cache is off; set data.path to the folder of the images")
    return folder / "torchvision"
