"""What is known of a data set before anything is trained: cheap, and without torch."""

from __future__ import annotations

from dataclasses import dataclass

from workers.data.source import DataError, LabelArray, Source, open_source
from workers.data.split import Indices, hold_out, stratified_subset
from workers.records import DataSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """The images as the network will see them; counts after split and subset. The test split is not looked at."""

    image_size: int
    channels: int
    classes: tuple[str, ...]
    train: int
    validation: int
    has_test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Which images are trained on and which are scored. `validation_split`: they lie in a split of their own."""

    train: Indices
    validation: Indices
    validation_split: bool


def describe(spec: DataSpec) -> DataFacts:
    """Size, channels, classes and counts of the data that `spec` names. DataError says what is wrong with it."""
    source = open_source(spec)
    channels, height, width = source.shape()
    parts = partition(source, spec, source.labels("train"))
    return DataFacts(
        image_size=reduced_size(height, width, spec),
        channels=channels,
        classes=source.class_names(),
        train=len(parts.train),
        validation=len(parts.validation),
        has_test=source.has("test"),
    )


def partition(source: Source, spec: DataSpec, labels_N: LabelArray) -> Partition:
    """The stratified split of the training labels by the spec's seed, cut to its maximal sizes."""
    own_split = source.has("validation")
    if own_split:
        train, validation = stratified_subset(labels_N, len(labels_N), 0), None
        scored_labels = source.labels("validation")
    else:
        if not 0 < spec.validation_fraction < 1:
            raise DataError(f"data.validation_fraction is {spec.validation_fraction}, expected between 0 and 1")
        train, validation = hold_out(labels_N, round(spec.validation_fraction * len(labels_N)), spec.split_seed)
        scored_labels = labels_N[validation]
    scored = _limited(scored_labels, spec.max_validation, spec.split_seed, "data.max_validation")
    parts = Partition(
        train=train[_limited(labels_N[train], spec.max_train, spec.split_seed, "data.max_train")],
        validation=scored if validation is None else validation[scored],
        validation_split=own_split,
    )
    if len(parts.train) < 2 or len(parts.validation) < 1:
        raise DataError(
            f"{spec.name}: {len(parts.train)} images to train on and {len(parts.validation)} to validate on; "
            "expected at least 2 and 1: give more images or change data.validation_fraction"
        )
    return parts


def reduced_size(height: int, width: int, spec: DataSpec) -> int:
    """The side of an image after averaging down to `spec.image_size`. DataError where that cannot be."""
    if height != width:
        raise DataError(f"{spec.name}: images are {height} x {width}, expected square ones; crop them beforehand")
    size = spec.image_size or height
    if size < 1 or height % size:
        raise DataError(f"data.image_size is {size}, expected a divisor of the images' own size {height}")
    return size


def _limited(labels_N: LabelArray, limit: int | None, seed: int, key: str) -> Indices:
    if limit is not None and limit < 1:
        raise DataError(f"{key} is {limit}, expected at least 1")
    return stratified_subset(labels_N, len(labels_N) if limit is None else limit, seed)
