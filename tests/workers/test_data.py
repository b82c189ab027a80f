"""The digits, NumPy archives and what is made of any source: statistics, averaging down, reading once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.making import images, write_npz
from workers.data.dataset import average_down, load
from workers.data.digits import DigitsSource
from workers.data.facts import describe
from workers.data.source import DataError, open_source
from workers.records import DataSpec

LABELS = np.arange(20) % 4


def spec_of(path: Path, **changes: object) -> DataSpec:
    return DataSpec(name="npz", path=str(path), **changes)


def test_the_digits_are_those_that_scikit_learn_loads() -> None:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    source = DigitsSource()
    parts = [source.read(split) for split in ("train", "test")]
    found = np.concatenate([part.images_NCHW for part in parts]).reshape(len(labels), -1)
    expected = np.rint(pixels * (255 / 16)).astype(np.uint8)
    rows = np.column_stack([found, np.concatenate([part.labels_N for part in parts])])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, np.column_stack([expected, labels])))


def test_the_digits_are_whole_and_their_test_images_apart() -> None:
    source = open_source(DataSpec())
    train, test = source.read("train"), source.read("test")
    assert train.images_NCHW.shape == (1497, 1, 8, 8)
    assert test.images_NCHW.shape == (300, 1, 8, 8)
    assert train.images_NCHW.max() == 255
    assert np.bincount(test.labels_N).min() >= 29
    facts = describe(DataSpec())
    assert (facts.image_size, facts.channels, len(facts.classes)) == (8, 1, 10)
    assert facts.train + facts.validation == 1497


def test_mean_and_deviation_are_those_of_the_training_part() -> None:
    data = load(DataSpec(max_train=300))
    pixels = data.train.images_NCHW.double()
    torch.testing.assert_close(data.mean_C.double(), pixels.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(data.std_C.double(), pixels.std((0, 2, 3), correction=0), rtol=1e-6, atol=0)


def test_averaging_down_rounds_half_up() -> None:
    block = np.array([[[[0, 1], [0, 1]]]], np.uint8)
    assert average_down(block, 2).tolist() == [[[[1]]]]
    assert load(DataSpec(image_size=4)).image_shape == (1, 4, 4)
    with pytest.raises(DataError, match=r"data.image_size is 3, expected a divisor .* 8"):
        load(DataSpec(image_size=3))


def test_an_archive_with_its_own_validation_split(tmp_path: Path) -> None:
    train, val = images(20), images(8, seed=1)
    path = write_npz(tmp_path / "set.npz", train=(train, LABELS), val=(val, LABELS[:8]))
    data = load(spec_of(path))
    assert np.array_equal(data.train.images_NCHW.numpy(), train.transpose(0, 3, 1, 2))
    assert np.array_equal(data.validation.images_NCHW.numpy(), val.transpose(0, 3, 1, 2))
    assert data.classes == ("0", "1", "2", "3")


def test_grey_images_and_a_folder_of_archives(tmp_path: Path) -> None:
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", images=images(20)[..., 0], labels=LABELS[:, None])
    data = load(spec_of(tmp_path))
    assert data.image_shape == (1, 8, 8)
    assert len(data.test()) == 20


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set.npz", train=(images(20), LABELS))
    first = load(spec_of(path))
    assert load(spec_of(path)) is first
    write_npz(path, train=(images(20, seed=1), LABELS))
    os.utime(path, ns=(1, 1))
    assert not torch.equal(load(spec_of(path)).train.images_NCHW, first.train.images_NCHW)


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (images(20), np.where(LABELS == 3, -1, LABELS), "label -1 of image 3 is out of range"),
        (images(20), LABELS.astype(float), "labels are float64, expected integers"),
        (images(20).astype(np.float32), LABELS, "images are float32, expected uint8"),
        (images(19), LABELS, "19 train_images but 20 train_labels"),
        (images(20)[:, :6], LABELS, "6 x 8, expected square"),
        (images(20), np.zeros(20, int), "1 class in the labels"),
    ],
)
def test_a_wrong_archive_is_refused(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray, message: str) -> None:
    path = write_npz(tmp_path / "set.npz", train=(pixels, labels))
    with pytest.raises(DataError, match=message):
        load(spec_of(path))


def test_named_classes_bound_the_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=images(20), labels=LABELS, classes=["a", "b", "c"])
    with pytest.raises(DataError, match=r"label 3 of image 3 is out of range, expected 0\.\.2"):
        load(spec_of(tmp_path / "set.npz"))


def test_an_archive_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set.npz", train=(images(20), LABELS))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"set\.npz: not a readable \.npz archive .* cut short"):
        load(spec_of(path))


def test_unknown_names_and_missing_paths_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown data set 'mnist'; known: digits, parquet, npz"):
        open_source(DataSpec(name="mnist"))
    with pytest.raises(DataError, match=r"data\.path is missing"):
        open_source(DataSpec(name="npz"))
    with pytest.raises(DataError, match="no such file or folder"):
        open_source(spec_of(tmp_path / "nothing.npz"))
    path = write_npz(tmp_path / "set.npz", train=(images(20), LABELS))
    with pytest.raises(DataError, match="no test split; add the arrays test_images"):
        load(spec_of(path)).test()
