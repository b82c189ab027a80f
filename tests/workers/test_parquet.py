"""Parquet shards as Hugging Face lays them out, and each way in which they can be broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.workers.making import images, png, write_shard
from workers.data.dataset import load
from workers.data.facts import describe
from workers.data.source import DataError, open_source
from workers.records import DataSpec

PIXELS = images(20)
PNGS = [png(pixels) for pixels in PIXELS]
LABELS = [index % 4 for index in range(20)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("IGCV_CACHE", str(folder))
    return folder


def spec_of(folder: Path, **changes: object) -> DataSpec:
    return DataSpec(name="parquet", path=str(folder), **changes)


def test_shards_of_a_split_are_read_in_order(tmp_path: Path) -> None:
    write_shard(tmp_path / "train-00000-of-00002.parquet", PNGS[:12], LABELS[:12])
    write_shard(tmp_path / "train-00001-of-00002.parquet", PNGS[12:], LABELS[12:])
    part = open_source(spec_of(tmp_path)).read("train")
    assert np.array_equal(part.images_NCHW, PIXELS.transpose(0, 3, 1, 2))
    assert part.labels_N.tolist() == LABELS


@pytest.mark.parametrize(
    ("image", "label", "changes"),
    [
        ("image", "label", {}),
        ("img", "fine_label", {}),
        ("picture", "kind", {"image_column": "picture", "label_column": "kind"}),
    ],
)
def test_the_usual_columns_are_found_and_others_named(
    tmp_path: Path, image: str, label: str, changes: dict[str, str]
) -> None:
    write_shard(tmp_path / "train.parquet", PNGS, LABELS, image=image, label=label, struct=image != "img")
    assert len(open_source(spec_of(tmp_path, **changes)).read("train").labels_N) == 20


def test_an_unusual_column_has_to_be_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.parquet", PNGS, LABELS, image="picture")
    with pytest.raises(DataError, match=r"no column image or img; it has picture, label; set data\.image_column"):
        open_source(spec_of(tmp_path))


def test_validation_and_test_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for prefix, count in (("train", 20), ("valid", 8), ("test", 4)):
        write_shard(tmp_path / "data" / f"{prefix}-00000.parquet", PNGS[:count], LABELS[:count])
    data = load(spec_of(tmp_path))
    assert (len(data.train), len(data.validation), len(data.test())) == (20, 8, 4)
    assert describe(spec_of(tmp_path)).has_test


def test_class_names_come_from_the_metadata(tmp_path: Path) -> None:
    features = {"label": {"names": ["cat", "dog", "fox", "owl"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    write_shard(tmp_path / "train.parquet", PNGS, LABELS, metadata=metadata)
    assert describe(spec_of(tmp_path)).classes == ("cat", "dog", "fox", "owl")


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    grey = [png(pixels[..., 0]) for pixels in PIXELS]
    write_shard(tmp_path / "train.parquet", grey, LABELS)
    part = open_source(spec_of(tmp_path)).read("train")
    assert np.array_equal(part.images_NCHW, PIXELS[:, None, :, :, 0].repeat(3, 1))


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_shard_cut_short_is_named(tmp_path: Path, keep: float) -> None:
    write_shard(tmp_path / "train-0.parquet", PNGS, LABELS)
    second = write_shard(tmp_path / "train-1.parquet", PNGS, LABELS)
    content = second.read_bytes()
    second.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(DataError, match=r"train-1\.parquet: cannot be read .*cut short"):
        load(spec_of(tmp_path))


def test_damage_within_a_shard_is_named(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "train.parquet", PNGS, LABELS)
    content = bytearray(shard.read_bytes())
    content[4:400] = bytes(396)
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet: "):
        load(spec_of(tmp_path))


@pytest.mark.parametrize("broken", [b"", b"not an image", PNGS[7][:60]])
def test_an_image_that_does_not_decode_is_named(tmp_path: Path, broken: bytes) -> None:
    write_shard(tmp_path / "train.parquet", [*PNGS[:7], broken, *PNGS[8:]], LABELS)
    with pytest.raises(DataError, match=r"train\.parquet: image 7 does not decode"):
        load(spec_of(tmp_path))


def test_sizes_may_not_differ(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.parquet", [*PNGS[:19], png(images(1, size=9)[0])], LABELS)
    with pytest.raises(DataError, match=r"image 19 is \(9, 9\), the first one is \(8, 8\)"):
        load(spec_of(tmp_path))


def test_labels_out_of_range_are_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.parquet", PNGS, [*LABELS[:19], -2])
    with pytest.raises(DataError, match=r"train\.parquet: label -2 of image 19 is out of range"):
        load(spec_of(tmp_path))
    write_shard(tmp_path / "train.parquet", PNGS, LABELS)
    write_shard(tmp_path / "validation.parquet", PNGS, [*LABELS[:19], 4])
    with pytest.raises(DataError, match=r"validation\.parquet: label 4 of image 19 is out of range, expected 0\.\.3"):
        load(spec_of(tmp_path))


def test_missing_labels_are_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.parquet", PNGS, [*LABELS[:18], None, None])
    with pytest.raises(DataError, match="column 'label' has 2 missing labels"):
        load(spec_of(tmp_path))


def test_a_damaged_cache_entry_is_made_again(tmp_path: Path, cache: Path) -> None:
    write_shard(tmp_path / "train.parquet", PNGS, LABELS)
    source = open_source(spec_of(tmp_path))
    first = source.read("train").images_NCHW
    (entry,) = cache.glob("images-*.npz")
    entry.write_bytes(entry.read_bytes()[:500])
    assert np.array_equal(source.read("train").images_NCHW, first)
    assert np.array_equal(source.read("train").images_NCHW, first)
