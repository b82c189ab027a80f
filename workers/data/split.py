"""Stratified splits and subsets, the same for the same labels and seed on every machine.

The legacy RandomState is used because its streams are frozen for ever; those of numpy's Generator may change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workers.data.source import LabelArray

Indices = NDArray[np.int64]


def hold_out(labels: LabelArray, count: int, seed: int) -> tuple[Indices, Indices]:
    """(rest, held out): `count` images, each class in proportion; both in ascending order."""
    chosen = stratified_subset(labels, count, seed)
    rest = np.setdiff1d(np.arange(len(labels), dtype=np.int64), chosen, assume_unique=True)
    return rest, chosen


def stratified_subset(labels: LabelArray, count: int, seed: int) -> Indices:
    """Indices of `count` images (all where there are fewer), each class in proportion, ascending."""
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    random = np.random.RandomState(seed)
    classes, counts = np.unique(labels, return_counts=True)
    quotas = proportional(counts, count)
    chosen = [
        random.permutation(np.flatnonzero(labels == label))[:quota]
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def proportional(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """`total` shared out in proportion to `counts` by largest remainder; ties go to the earlier class."""
    exact = counts * (total / counts.sum())
    shares: Indices = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - shares), kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares
