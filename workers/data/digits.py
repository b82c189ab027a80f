"""scikit-learn's 1,797 handwritten digits, 8x8, shipped in its wheel: the data set that needs no download."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from workers.data.source import DataError, Fingerprint, LabelArray, RawPart, Split
from workers.data.split import hold_out

TEST_IMAGES = 300  # held out for good, stratified, whatever the split seed: the set has no test split of its own


class DigitsSource:
    """Digits as one-channel uint8 images: the values 0..16 are scaled to 0..255."""

    def shape(self) -> tuple[int, int, int]:
        return 1, 8, 8

    def class_names(self) -> tuple[str, ...]:
        return tuple("0123456789")

    def has(self, split: Split) -> bool:
        return split != "validation"

    def labels(self, split: Split) -> LabelArray:
        return self.read(split).labels_N

    def read(self, split: Split) -> RawPart:
        whole = _whole_set()
        rest, test = hold_out(whole.labels_N, TEST_IMAGES, seed=0)
        chosen = test if split == "test" else rest
        return RawPart(images_NCHW=whole.images_NCHW[chosen], labels_N=whole.labels_N[chosen])

    def fingerprint(self) -> Fingerprint:
        return (("digits", 1797, 0),)


@lru_cache(maxsize=1)
def _whole_set() -> RawPart:
    rows = np.loadtxt(_table(), delimiter=",", dtype=np.float64)  # 64 pixels and the label
    scaled = np.rint(rows[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return RawPart(images_NCHW=scaled, labels_N=rows[:, -1].astype(np.int64))


def _table() -> Path:
    """scikit-learn's file, found without the second that importing scikit-learn takes."""
    found = find_spec("sklearn")
    file = Path(*(found.submodule_search_locations or ()) if found else ()) / "datasets" / "data" / "digits.csv.gz"
    if not file.exists():
        raise DataError(
            "the data set 'digits' ships with scikit-learn, which is not installed or lacks datasets/data/digits.csv.gz; "
            "install scikit-learn, or set data.name to npz or parquet and data.path to your images"
        )
    return file
