"""A data set as resident tensors: loaded once by a long-lived worker and kept between trials.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from workers.data.facts import partition, reduced_size
from workers.data.source import DataError, Fingerprint, ImageArray, RawPart, Source, open_source
from workers.records import DataSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Images (uint8 NCHW) and labels (int64) on one device."""

    images_NCHW: Tensor
    labels_N: Tensor

    def __len__(self) -> int:
        return len(self.labels_N)

    def to(self, device: torch.device) -> Part:
        return Part(images_NCHW=self.images_NCHW.to(device), labels_N=self.labels_N.to(device))

    def joined(self, other: Part) -> Part:
        """Both parts as one."""
        return Part(
            images_NCHW=torch.cat([self.images_NCHW, other.images_NCHW]),
            labels_N=torch.cat([self.labels_N, other.labels_N]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """The split that a spec asks for. `mean_C` and `std_C` (pixels, 0..255) are those of the training part."""

    spec: DataSpec
    train: Part
    validation: Part
    classes: tuple[str, ...]
    mean_C: Tensor
    std_C: Tensor

    def test(self) -> Part:
        """The test split, read now and not before; not kept."""
        source = open_source(self.spec)
        return _part(_reduced(source.read("test"), self.spec))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images_NCHW.shape[1:]
        return channels, height, width


def load(spec: DataSpec) -> Dataset:
    """The data set, read once a process as long as its files stay the same. DataError says which file is wrong."""
    return _load(spec, open_source(spec).fingerprint())


@lru_cache(maxsize=2)
def _load(spec: DataSpec, fingerprint: Fingerprint) -> Dataset:
    source = open_source(spec)
    whole = source.read("train")
    parts = partition(source, spec, whole.labels_N)
    scored_from = source.read("validation") if parts.validation_split else whole
    train = _part(_reduced(_chosen(whole, parts.train), spec))
    mean_C, std_C = _statistics(train)
    return Dataset(
        spec=spec,
        train=train,
        validation=_part(_reduced(_chosen(scored_from, parts.validation), spec)),
        classes=_checked_classes(source, spec),
        mean_C=mean_C,
        std_C=std_C,
    )


def _checked_classes(source: Source, spec: DataSpec) -> tuple[str, ...]:
    classes = source.class_names()
    if len(classes) < 2:
        raise DataError(f"{spec.name}: {len(classes)} class in the labels, expected at least 2")
    return classes


def _chosen(part: RawPart, indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> RawPart:
    return RawPart(images_NCHW=part.images_NCHW[indices], labels_N=part.labels_N[indices])


def _reduced(part: RawPart, spec: DataSpec) -> RawPart:
    height, width = part.images_NCHW.shape[2:]
    size = reduced_size(height, width, spec)
    return RawPart(images_NCHW=average_down(part.images_NCHW, height // size), labels_N=part.labels_N)


def average_down(images_NCHW: ImageArray, factor: int) -> ImageArray:
    """Means of factor x factor pixels, rounded half up; exact, so the same on every machine."""
    if factor == 1:
        return images_NCHW
    count, channels, height, width = images_NCHW.shape
    blocks = images_NCHW.reshape(count, channels, height // factor, factor, width // factor, factor)
    sums = blocks.sum(axis=(3, 5), dtype=np.uint32)
    means: ImageArray = ((sums + factor * factor // 2) // (factor * factor)).astype(np.uint8)
    return means


def _part(raw: RawPart) -> Part:
    return Part(images_NCHW=torch.from_numpy(raw.images_NCHW), labels_N=torch.from_numpy(raw.labels_N))


def _statistics(part: Part) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, from a histogram: exact, and no float copy of the images."""
    channels = part.images_NCHW.shape[1]
    values = torch.arange(256, dtype=torch.float64)
    means, deviations = [], []
    for channel in range(channels):
        counts = torch.bincount(part.images_NCHW[:, channel].reshape(-1), minlength=256).double()
        mean = (counts * values).sum() / counts.sum()
        means.append(mean)
        deviations.append(((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt().clamp_min(1.0))
    return torch.stack(means).float(), torch.stack(deviations).float()
