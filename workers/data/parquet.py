"""Folders of Parquet shards: the layout of Hugging Face's image sets.

Files are told apart by their prefix (train, validation or valid or val, test). The image column holds PNG or JPEG
bytes, or a struct with a field `bytes`; the label column holds integers from 0. Grey becomes RGB; one size per set.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.data.cache import cached
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

if TYPE_CHECKING:
    from pyarrow import ChunkedArray, Schema

PREFIXES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")


class ParquetSource:
    """A folder with train-*.parquet and, where there are any, validation-*.parquet and test-*.parquet."""

    def __init__(self, folder: Path, image_column: str | None = None, label_column: str | None = None) -> None:
        self._folder = folder
        self._files: dict[Split, list[Path]] = {split: _find(folder, prefixes) for split, prefixes in PREFIXES.items()}
        if not self._files["train"]:
            raise DataError(
                f"{folder}: no file train*.parquet here (nor in its folder data/); set data.path to the shards"
            )
        self._schema = _schema(self._files["train"][0])
        where = str(self._files["train"][0])
        self._image = _column(self._schema, image_column, IMAGE_COLUMNS, "data.image_column", where)
        self._label = _column(self._schema, label_column, LABEL_COLUMNS, "data.label_column", where)

    def shape(self) -> tuple[int, int, int]:
        file = self._files["train"][0]
        height, width, channels = _decode(_first(file, self._image), file, 0).shape
        return channels, height, width

    def class_names(self) -> tuple[str, ...]:
        named = _named_classes(self._schema, self._label)
        if named:
            return named
        labels = np.concatenate([_integers(file, self._label) for file in self._files["train"]])
        return tuple(str(number) for number in range(int(labels.max()) + 1 if labels.size else 0))

    def has(self, split: Split) -> bool:
        return bool(self._files[split])

    def labels(self, split: Split) -> LabelArray:
        classes = len(self.class_names())
        parts = [check_labels(_integers(file, self._label), classes, str(file)) for file in self._shards(split)]
        return np.concatenate(parts)

    def read(self, split: Split) -> RawPart:
        labels = self.labels(split)
        part = cached(self._shards(split), f"{self._image} {self._label}", lambda: self._decode_all(split, labels))
        if len(part.labels_N) != len(labels):
            raise DataError(f"{self._folder}: {len(part.images_NCHW)} images but {len(labels)} labels in split {split}")
        return part

    def fingerprint(self) -> Fingerprint:
        return file_fingerprint(self._files["train"] + self._files["validation"])

    def _shards(self, split: Split) -> list[Path]:
        if not self._files[split]:
            raise DataError(f"{self._folder}: no {split} split; add a file {split}-00000-of-00001.parquet")
        return self._files[split]

    def _decode_all(self, split: Split, labels: LabelArray) -> RawPart:
        images: list[ImageArray] = []
        for file in self._shards(split):
            for row, content in enumerate(_contents(_read(file, self._image), file)):
                image = _decode(content, file, row)
                if images and image.shape != images[0].shape:
                    size, first = image.shape[:2], images[0].shape[:2]
                    raise DataError(
                        f"{file}: image {row} is {size}, the first one is {first}; one size per set is read"
                    )
                images.append(image)
        stacked = np.stack(images) if images else np.zeros((0, 1, 1, 3), np.uint8)
        return RawPart(images_NCHW=np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)), labels_N=labels)


def _find(folder: Path, prefixes: tuple[str, ...]) -> list[Path]:
    """The split's shards in the folder or, where there are none, in its folder data/."""
    for place in (folder, folder / "data"):
        names = sorted(place.glob("*.parquet")) if place.is_dir() else []
        found = [file for file in names if _prefix(file) in prefixes]
        if found:
            return found
    return []


def _prefix(file: Path) -> str:
    return file.stem.replace("_", "-").split("-")[0].lower()


def _schema(file: Path) -> Schema:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("Parquet shards need pyarrow, which is not installed; install it, or use .npz files") from error
    try:
        return pyarrow.parquet.read_schema(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not a readable Parquet file ({error}); is it cut short? Fetch it again") from error


def _column(schema: Schema, given: str | None, usual: tuple[str, ...], key: str, where: str) -> str:
    wanted = (given,) if given else usual
    for name in wanted:
        if name in schema.names:
            return name
    raise DataError(f"{where}: no column {' or '.join(wanted)}; it has {', '.join(schema.names)}; set {key}")


def _read(file: Path, column: str) -> ChunkedArray:
    """One column of a shard."""
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(file, columns=[column], partitioning=None).column(column)
    except KeyError as error:
        raise DataError(f"{file}: no column {column!r}, which the other shards have") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error}); is the shard cut short? Fetch it again") from error


def _integers(file: Path, column: str) -> np.ndarray[Any, Any]:
    values = _read(file, column)
    if values.null_count:
        raise DataError(f"{file}: column {column!r} has {values.null_count} missing labels")
    return np.asarray(values.to_numpy())


def _first(file: Path, column: str) -> bytes:
    import pyarrow.parquet

    try:
        batch = next(pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=1, columns=[column]), None)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error}); is the shard cut short? Fetch it again") from error
    if batch is None or not len(batch):
        raise DataError(f"{file}: the first shard of the training split is empty")
    return _contents(batch.column(0), file)[0]


def _contents(values: Any, file: Path) -> list[bytes]:
    """The encoded images of a column of bytes, or of structs with a field `bytes`."""
    rows = values.to_pylist()
    contents: list[bytes] = []
    for row, value in enumerate(rows):
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise DataError(f"{file}: image {row} holds {type(content).__name__}, expected PNG or JPEG bytes")
        contents.append(content)
    return contents


def _decode(content: bytes, file: Path, row: int) -> ImageArray:
    """One image as RGB, HWC."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("encoded images need pillow, which is not installed; install it, or use .npz files") from error
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: image {row} does not decode ({error})") from error


def _named_classes(schema: Schema, label: str) -> tuple[str, ...]:
    """Class names from the schema's metadata: our own key `classes`, or Hugging Face's features."""
    metadata = {key.decode(): value for key, value in (schema.metadata or {}).items()}
    try:
        if "classes" in metadata:
            return tuple(str(name) for name in json.loads(metadata["classes"]))
        if "huggingface" in metadata:
            features = json.loads(metadata["huggingface"])["info"]["features"]
            return tuple(str(name) for name in features[label].get("names", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return ()
