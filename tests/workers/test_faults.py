"""Faults of disks, images and numbers: a clear failure or an earlier checkpoint, never a hang, never a wrong number."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.making import images, numbers, png, request, run_through, small_plan, write_npz, write_shard
from tests.workers.test_checkpoint import made
from workers import guard, trainer
from workers.checkpoint import resume, save
from workers.places import previous
from workers.records import Failure, Metrics, TrainRequest

CUT_EVERY = 5  # bytes

LIMITED = """
import resource, sys
from tests.workers.making import request
from workers import guard

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
*_, last = guard.run(request(checkpoint=sys.argv[1]))
print(last.kind, last.message)
"""


def failed(wanted: TrainRequest) -> Failure:
    *_, last = guard.run(wanted)
    assert isinstance(last, Failure)
    return last


def test_a_checkpoint_cut_anywhere_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))
    save(path, made(wanted, 2))
    content = path.read_bytes()
    for length in range(0, len(content), CUT_EVERY):
        path.write_bytes(content[:length])
        found = resume(path, wanted)
        assert found is not None, f"{length} of {len(content)} bytes"
        assert found.progress.epoch == 1, f"{length} of {len(content)} bytes"
        assert torch.equal(found.network["weight"], torch.ones(1000))
    path.write_bytes(content)
    whole = resume(path, wanted)
    assert whole is not None
    assert whole.progress.epoch == 2


def test_both_checkpoints_cut_anywhere_mean_from_the_start(tmp_path: Path) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))
    content = path.read_bytes()
    for length in range(0, len(content), 16 * CUT_EVERY):
        path.write_bytes(content[:length])
        previous(path).write_bytes(content[: length // 2])
        assert resume(path, wanted) is None, f"{length} of {len(content)} bytes"


@pytest.mark.parametrize("part", [0.0, 0.4, 0.95])
def test_a_training_whose_checkpoint_is_cut_short_ends_with_the_same_curve(tmp_path: Path, part: float) -> None:
    path = tmp_path / "c.pt"
    run_through(request(checkpoint=str(path), stop_epoch=2))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    reports, metrics = run_through(request(checkpoint=str(path)))
    assert [report.epoch for report in reports] == [2, 3]  # from the one before, of epoch 1
    assert numbers(metrics.curve) == numbers(run_through(request())[0])


def test_a_disk_that_takes_no_more_of_a_file_is_a_failure_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    command = [sys.executable, "-c", LIMITED, str(path), "4096"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("disk "), done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_a_failure_and_the_checkpoint_before_goes_on_elsewhere(small_disk: Path, tmp_path: Path) -> None:
    path = small_disk / "c.pt"
    run_through(request(checkpoint=str(path), stop_epoch=1))
    (small_disk / "filler").write_bytes(bytes(64 * 1024 - path.stat().st_size - 8192))
    found = failed(request(checkpoint=str(path)))
    assert found.kind == "disk"
    assert "No space left" in found.message
    assert sorted(file.name for file in small_disk.iterdir()) == ["c.pt", "filler"]
    moved = tmp_path / "moved.pt"
    moved.write_bytes(path.read_bytes())
    _, metrics = run_through(request(checkpoint=str(moved)))
    assert numbers(metrics.curve) == numbers(run_through(request())[0])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cut", r"train-1\.parquet: cannot be read .*cut short"),
        ("image", r"train-0\.parquet: image 3 does not decode"),
        ("label", r"train-0\.parquet: label -3 of image 5 is out of range"),
    ],
)
def test_faults_of_the_images_are_failures_that_name_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    monkeypatch.setenv("IGCV_CACHE", "off")
    encoded, labels = [png(pixels) for pixels in images(20)], [index % 4 for index in range(20)]
    first = [*encoded[:3], b"no image", *encoded[4:]] if fault == "image" else encoded
    write_shard(tmp_path / "train-0.parquet", first, [*labels[:5], -3, *labels[6:]] if fault == "label" else labels)
    second = write_shard(tmp_path / "train-1.parquet", encoded, labels)
    if fault == "cut":
        second.write_bytes(second.read_bytes()[:300])
    data = {"name": "parquet", "path": str(tmp_path), "max_train": None, "max_validation": None}
    found = failed(request(plan=small_plan(shape=(3, 8, 8), classes=4), data=data))
    assert found.kind == "data"
    assert found.epochs == 0
    assert re.search(message, found.message), found.message


def test_a_label_out_of_range_of_an_archive_is_a_failure(tmp_path: Path) -> None:
    labels = np.arange(40) % 4
    path = write_npz(tmp_path / "set.npz", train=(images(40, channels=1)[..., 0], np.where(labels == 2, -1, labels)))
    data = {"name": "npz", "path": str(path), "max_train": None, "max_validation": None}
    assert failed(request(plan=small_plan(classes=4), data=data)).kind == "data"


def test_weights_that_break_in_the_very_last_step_give_no_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    real, steps = trainer.training_step, []

    def step(network: torch.nn.Module, *rest: object) -> torch.Tensor:
        loss = real(network, *rest)  # type: ignore[arg-type]
        steps.append(loss)
        if len(steps) == 3 * 6:
            next(network.parameters()).data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(trainer, "training_step", step)
    found = failed(request())
    assert (found.kind, found.epochs) == ("nan", 2)
    assert "scores are no finite numbers" in found.message


def test_a_loss_that_breaks_within_an_epoch_ends_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    real, steps = trainer.training_step, []

    def step(*given: object) -> torch.Tensor:
        loss = real(*given)  # type: ignore[arg-type]
        steps.append(loss)
        return loss * torch.nan if len(steps) == 9 else loss

    monkeypatch.setattr(trainer, "training_step", step)
    found = failed(request())
    assert (found.kind, found.epochs) == ("nan", 1)
    assert isinstance(list(guard.run(request()))[-1], Metrics)
