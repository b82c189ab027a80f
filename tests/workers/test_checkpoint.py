"""Checkpoints survive a kill at any moment, a full disk and damage, and are never another training's."""

from __future__ import annotations

import errno
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.workers.making import request, small_plan
from workers.checkpoint import Checkpoint, Progress, resume, save, signature
from workers.places import previous
from workers.records import EpochReport, TrainRequest

REPORT = EpochReport(key="t", epoch=1, accuracy=0.25, train_loss=1.5, learning_rate=0.1, seconds=2.0)


def made(wanted: TrainRequest, epoch: int) -> Checkpoint:
    progress = Progress(epoch=epoch, curve=(REPORT,), forms=("grouped", "grouped"), threads=1)
    state = {"weight": torch.full((1000,), float(epoch))}
    return Checkpoint(signature=signature(wanted), progress=progress, network=state, optimiser={"state": {}})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    wanted, path = request(), tmp_path / "folder" / "c.pt"
    assert resume(path, wanted) is None
    save(path, made(wanted, 1))
    found = resume(path, wanted)
    assert found is not None
    assert found.progress == made(wanted, 1).progress
    assert torch.equal(found.network["weight"], torch.ones(1000))
    assert [file.name for file in path.parent.iterdir()] == ["c.pt"]


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9, 0.999])
def test_a_checkpoint_cut_short_falls_back_to_the_one_before(tmp_path: Path, keep: float) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))
    save(path, made(wanted, 2))
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    found = resume(path, wanted)
    assert found is not None
    assert found.progress.epoch == 1


def test_a_flipped_bit_falls_back_to_the_one_before(tmp_path: Path) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))
    save(path, made(wanted, 2))
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((1000,), 2.0).numpy().tobytes()) + 40] ^= 1
    path.write_bytes(content)
    found = resume(path, wanted)
    assert found is not None
    assert found.progress.epoch == 1


@pytest.mark.parametrize("step", ["first", "second"])
def test_a_kill_between_the_renames_leaves_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))
    calls: list[object] = []
    real = os.replace

    def dies(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == (1 if step == "first" else 2):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        save(path, made(wanted, 2))
    monkeypatch.undo()
    found = resume(path, wanted)
    assert found is not None
    assert found.progress.epoch == 1


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, made(wanted, 2))
    found = resume(path, wanted)
    assert found is not None
    assert found.progress.epoch == 1
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


def test_nothing_whole_means_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(b"half")
    previous(path).write_bytes(b"")
    assert resume(path, request()) is None


class Trap:
    """Runs a command where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    path, target = tmp_path / "c.pt", tmp_path / "made"
    torch.save({"signature": Trap(target)}, path)
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        resume(path, request())
    assert not target.exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"plan": small_plan(width=32)}, "plan"),
        ({"recipe": {"epochs": 4}}, "recipe"),
        ({"data": {"split_seed": 1}}, "data"),
        ({"seed": 1}, "seed"),
        ({"split": "test"}, "split"),
    ],
)
def test_another_trainings_checkpoint_is_refused(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    path = tmp_path / "c.pt"
    save(path, made(request(), 1))
    with pytest.raises(ValueError, match=f"another training .other {named}."):
        resume(path, request(**changes))


def test_where_things_lie_does_not_matter(tmp_path: Path) -> None:
    wanted, path = request(), tmp_path / "c.pt"
    save(path, made(wanted, 1))
    moved = replace(wanted, key="other", data=replace(wanted.data, path="/elsewhere"), stop_epoch=2, threads=2)
    assert resume(path, moved) is not None
