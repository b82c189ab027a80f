"""CIFAR as torchvision stores it: small batches in its own layout, their checksums waived."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import cifar

from workers.data.dataset import load
from workers.data.facts import describe
from workers.data.source import DataError, open_source
from workers.records import DataSpec

FOLDER = "cifar-10-batches-py"
NAMES = [f"class {number}" for number in range(10)]


def write_batch(root: Path, name: str, seed: int, count: int = 20, first_label: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = [first_label, *(index % 10 for index in range(1, count))]
    (root / FOLDER / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cifar, "check_integrity", lambda path, md5: os.path.exists(path))
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}))
    for number in range(1, 6):
        write_batch(tmp_path, f"data_batch_{number}", number)
    write_batch(tmp_path, "test_batch", 9)
    return tmp_path


def spec(root: Path) -> DataSpec:
    return DataSpec(name="cifar10", path=str(root))


def test_images_labels_and_names_are_those_of_the_files(root: Path) -> None:
    part = open_source(spec(root)).read("train")
    assert part.images_NCHW.shape == (100, 3, 32, 32)
    first = np.random.default_rng(1).integers(0, 256, (20, 3072), dtype=np.uint8)
    assert np.array_equal(part.images_NCHW[:20].reshape(20, -1), first)
    assert part.labels_N[:12].tolist() == [*range(10), 0, 1]
    assert load(spec(root)).classes == tuple(NAMES)


def test_changed_files_are_read_again_and_others_are_not(root: Path) -> None:
    first = load(spec(root))
    assert load(spec(root)) is first
    write_batch(root, "test_batch", 10, count=30)  # not the search's business
    assert load(spec(root)) is first
    write_batch(root, "data_batch_3", 11)
    os.utime(root / FOLDER / "data_batch_3", ns=(1, 1))
    assert not torch.equal(load(spec(root)).train.images_NCHW, first.train.images_NCHW)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_test_batch_is_opened_for_the_test_split_alone(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be opened at all, checksums included, nothing but the test split fails."""
    if name == "cifar100":
        (root / "cifar-100-python").mkdir()
        names = [f"class {number}" for number in range(100)]
        (root / "cifar-100-python" / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
        pixels = np.random.default_rng(1).integers(0, 256, (200, 3072), dtype=np.uint8)
        batch = pickle.dumps({"data": pixels, "fine_labels": [index % 100 for index in range(200)]})
        (root / "cifar-100-python" / "train").write_bytes(batch)
    else:
        (root / FOLDER / "test_batch").unlink()
    checked: list[str] = []
    monkeypatch.setattr(
        cifar, "check_integrity", lambda path, md5: checked.append(Path(path).name) or os.path.exists(path)
    )
    wanted = DataSpec(name=name, path=str(root))
    describe(wanted)
    data = load(wanted)
    assert checked
    assert not [file for file in checked if file.startswith("test")]
    with pytest.raises(DataError, match=f"{name} is missing or damaged"):
        data.test()


def test_a_missing_batch_says_what_to_do(root: Path) -> None:
    (root / FOLDER / "data_batch_2").unlink()
    with pytest.raises(DataError, match=r"cifar10 is missing or damaged; set data\.path"):
        load(spec(root))


def test_a_label_out_of_range_is_named(root: Path) -> None:
    write_batch(root, "data_batch_1", 1, first_label=10)
    with pytest.raises(DataError, match=r"label 10 of image 0 is out of range, expected 0\.\.9"):
        load(spec(root))


def test_files_of_other_content_are_refused_where_checksums_are_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with pytest.raises(DataError, match="cifar10 is missing or damaged"):
        load(spec(root))
