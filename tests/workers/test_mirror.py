"""Images of a bucket are those of the folder that was put there; they are copied once, and again where they change."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.s3 import S3Server
from tests.workers.making import images, png, write_npz, write_shard
from workers.data.dataset import load
from workers.data.facts import describe
from workers.data.mirror import mirrored
from workers.data.source import DataError
from workers.places import Bucket
from workers.records import DataSpec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IGCV_CACHE", str(tmp_path / "cache"))
    mirrored.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were copied."""
    copied: list[str] = []
    real = Bucket.copy

    def copy(self: Bucket, name: str, target: Path) -> None:
        copied.append(name)
        real(self, name, target)

    monkeypatch.setattr(Bucket, "copy", copy)
    return copied


def shards(folder: Path, seed: int = 0) -> Path:
    labels = np.arange(120) % 3
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 120), ("test", 30)):
        contents = [png(image) for image in images(count, seed=seed)]
        write_shard(folder / f"data/{split}-00000-of-00001.parquet", contents, labels[:count].tolist())
    return folder


def test_shards_in_a_bucket_are_the_folder_s(s3: S3Server, tmp_path: Path, copies: list[str]) -> None:
    folder, bucket = shards(tmp_path / "set"), s3.bucket()
    s3.put(bucket, folder, "sets/one/")
    there = DataSpec(name="parquet", path=s3.address(f"{bucket}/sets/one"))
    here = DataSpec(name="parquet", path=str(folder))
    assert describe(there) == describe(here)
    assert torch.equal(load(there).train.images_NCHW, load(here).train.images_NCHW)
    assert torch.equal(load(there).test().labels_N, load(here).test().labels_N)
    assert sorted(copies) == ["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]


def test_one_archive_in_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    labels = np.arange(60) % 3
    (tmp_path / "set").mkdir()
    write_npz(tmp_path / "set" / "d.npz", train=(images(60), labels))
    (tmp_path / "set" / "other.npz").write_bytes(b"no archive")
    bucket = s3.bucket()
    s3.put(bucket, tmp_path / "set")
    assert describe(DataSpec(name="npz", path=s3.address(f"{bucket}/d.npz"))).classes == ("0", "1", "2")


def test_another_process_copies_only_what_changed(s3: S3Server, tmp_path: Path, copies: list[str]) -> None:
    bucket = s3.bucket()
    s3.put(bucket, shards(tmp_path / "set"))
    wanted = DataSpec(name="parquet", path=s3.address(bucket))
    first = load(wanted).train.images_NCHW
    copies.clear()
    mirrored.cache_clear()
    assert torch.equal(load(wanted).train.images_NCHW, first)
    assert copies == []
    (tmp_path / "set/data/test-00000-of-00001.parquet").unlink()
    s3.put(bucket, shards(tmp_path / "set", seed=1))
    mirrored.cache_clear()
    assert not torch.equal(load(wanted).train.images_NCHW, first)
    assert "data/train-00000-of-00001.parquet" in copies


def test_a_shard_that_is_gone_from_the_bucket_is_gone_here(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    s3.put(bucket, shards(tmp_path / "set"))
    wanted = DataSpec(name="parquet", path=s3.address(bucket))
    assert describe(wanted).has_test
    s3.delete(bucket, "data/test-00000-of-00001.parquet")
    mirrored.cache_clear()
    assert not describe(wanted).has_test


def test_a_copy_that_breaks_off_leaves_nothing_behind(
    s3: S3Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.bucket()
    s3.put(bucket, shards(tmp_path / "set"))

    def breaks(self: Bucket, name: str, target: Path) -> None:
        target.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Bucket, "_copy", breaks)
        with pytest.raises(DataError, match="No space left on device"):
            describe(DataSpec(name="parquet", path=s3.address(bucket)))
    assert not [file for file in cache.rglob("*") if file.is_file() and file.name != ".lock"]
    assert describe(DataSpec(name="parquet", path=s3.address(bucket))).train


@pytest.mark.parametrize("made", [True, False])
def test_nothing_there_says_so(s3: S3Server, made: bool) -> None:
    address = s3.address(f"{s3.bucket() if made else 'nobody-made-this'}/sets")
    with pytest.raises(DataError, match=r"/sets\?.*: no \.parquet or \.npz files here.*set data\.path"):
        describe(DataSpec(name="parquet", path=address))


def test_without_a_cache_a_folder_is_asked_for(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGCV_CACHE", "off")
    with pytest.raises(DataError, match="IGCV_CACHE is off"):
        describe(DataSpec(name="parquet", path=s3.address(s3.bucket())))


def test_a_copy_keeps_the_time_of_change(s3: S3Server, tmp_path: Path) -> None:
    """By it the cache of decoded images and a later process know the file again."""
    bucket = s3.bucket()
    s3.put(bucket, shards(tmp_path / "set"))
    folder = mirrored(s3.address(bucket))
    listed = {name: changed for name, _, changed in Bucket.at(s3.address(bucket)).listing(deep=True)}
    assert listed
    for name, changed in listed.items():
        assert os.stat(folder / name).st_mtime_ns == changed
