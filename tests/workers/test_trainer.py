"""Trainings on real digits: they learn, they repeat bit for bit, and they leave the test split alone."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.making import images, numbers, request, run_through, small_plan, write_npz
from workers.builder import build
from workers.data.source import DataError
from workers.records import EpochReport, Recipe
from workers.trainer import make_optimiser, train, training_step

LABELS = np.arange(60) % 3

KILLED = """
import os, signal, sys
from tests.workers.making import request
from workers.records import EpochReport
from workers import trainer

real = trainer.training_step
steps = 0

def dies(*arguments):
    global steps
    steps += 1
    if steps == 2 * 6 + 4:  # epoch 3, after its third step
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

trainer.training_step = dies
for message in trainer.train(request(recipe={"epochs": 6, "crop_padding": 1}, checkpoint=sys.argv[1])):
    pass
"""


def test_the_digits_are_learnt() -> None:
    reports, metrics = run_through(
        request(
            recipe={"epochs": 6, "learning_rate": 0.2},
            data={"max_train": 1000, "max_validation": 200},
        )
    )
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5, 6]
    assert metrics.accuracy == reports[-1].accuracy > 0.6
    assert reports[-1].train_loss < reports[0].train_loss / 2
    assert metrics.curve == tuple(reports)
    assert (metrics.epochs, metrics.threads, metrics.device) == (6, 1, "cpu")
    assert metrics.images_per_second > 0
    assert metrics.peak_memory_mib > 10


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_request_gives_the_same_curve_bit_for_bit(threads: int) -> None:
    few = {"max_train": 64, "max_validation": 20}
    wanted = request(threads=threads, data=few)
    (first, one), (second, two) = run_through(wanted), run_through(wanted)
    assert numbers(first) == numbers(second)
    assert one.forms == two.forms
    other, _ = run_through(request(threads=threads, data=few, seed=1))
    assert numbers(first) != numbers(other)


def test_stopped_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    recipe = {"epochs": 6, "crop_padding": 1}
    whole, whole_metrics = run_through(request(recipe=recipe))
    path = str(tmp_path / "c.pt")
    first, paused = run_through(request(recipe=recipe, checkpoint=path, stop_epoch=3))
    torch.rand(7)  # what else the process draws does not matter
    second, resumed = run_through(request(recipe=recipe, checkpoint=path))
    assert paused.epochs == 3
    assert [report.epoch for report in second] == [4, 5, 6]
    assert numbers([*first, *second]) == numbers(whole) == numbers(resumed.curve)
    assert resumed.forms == whole_metrics.forms


def test_killed_in_epoch_three_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], env={**os.environ, "PYTHONPATH": "."})
    assert killed.returncode == -signal.SIGKILL
    recipe = {"epochs": 6, "crop_padding": 1}
    resumed, metrics = run_through(request(recipe=recipe, checkpoint=str(path)))
    assert [report.epoch for report in resumed] == [3, 4, 5, 6]
    assert numbers(metrics.curve) == numbers(run_through(request(recipe=recipe))[0])


def test_a_finished_training_is_told_again(tmp_path: Path) -> None:
    wanted = request(checkpoint=str(tmp_path / "c.pt"))
    reports, metrics = run_through(wanted)
    again, told = run_through(wanted)
    assert again == []
    assert numbers(told.curve) == numbers(reports)
    assert told.accuracy == metrics.accuracy


def test_parts_of_a_batch_add_up_to_the_batch() -> None:
    plan, recipe = small_plan(), Recipe(learning_rate=0.5, label_smoothing=0.1)
    x, labels = torch.randn(12, 1, 8, 8), torch.arange(12) % 10
    weights = []
    for micro_batch in (None, 5):
        network = build(plan).eval()  # batch statistics are what differs, so they are left out here
        loss = training_step(
            network, make_optimiser(network, recipe), x, labels, recipe, 0.5, micro_batch, torch.float32
        )
        weights.append([float(loss), *[parameter.detach().clone() for parameter in network.parameters()]])
    for whole, parts in zip(*weights, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-6)


def poisoned(tmp_path: Path) -> Path:
    """An archive whose test split cannot be read at all."""
    path = tmp_path / "set.npz"
    np.savez(
        path,
        train_images=images(60, channels=1)[..., 0],
        train_labels=LABELS,
        test_images=np.full((9, 8, 8), np.nan),
        test_labels=np.full(9, -1),
    )
    return path


def on_npz(path: Path, **changes: Any) -> Any:
    data = {"name": "npz", "path": str(path), "max_train": None, "max_validation": None}
    return request(plan=small_plan(classes=3), data=data, **changes)


def test_training_never_reads_the_test_split(tmp_path: Path) -> None:
    path = poisoned(tmp_path)
    reports, _ = run_through(on_npz(path))
    assert len(reports) == 3
    with pytest.raises(DataError, match="test_images"):
        list(train(on_npz(path, split="test")))


def test_curves_do_not_depend_on_the_test_split(tmp_path: Path) -> None:
    train_split = (images(60, channels=1)[..., 0], LABELS)
    curves = []
    for seed in (1, 2):
        other = (images(30, channels=1, seed=seed)[..., 0], LABELS[:30])
        path = write_npz(tmp_path / f"{seed}.npz", train=train_split, test=other)
        curves.append(numbers(run_through(on_npz(path))[0]))
    assert curves[0] == curves[1]


def test_the_test_split_is_scored_once_and_after_training_on_all_else(tmp_path: Path) -> None:
    split = (images(60, channels=1)[..., 0], LABELS)
    path = write_npz(tmp_path / "set.npz", train=split, test=split)
    reports, metrics = run_through(on_npz(path, split="test"))
    assert [math.isnan(report.accuracy) for report in reports] == [True, True, False]
    assert metrics.accuracy == reports[-1].accuracy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop_epoch": 4}, r"stop_epoch is 4, expected 1\.\.3"),
        ({"stop_epoch": 0}, r"stop_epoch is 0"),
        ({"recipe": {"batch_size": 0}}, "batch_size and micro_batch must be at least 1"),
        ({"plan": small_plan(shape=(3, 8, 8))}, r"takes images \(3, 8, 8\).* has \(1, 8, 8\)"),
        ({"plan": small_plan(classes=4)}, "tells 4 classes apart, .* has 10"),
        ({"device": "tpu0"}, "device 'tpu0' is unknown"),
        ({"threads": -1}, "threads is -1, expected at least 1"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(train(request(**changes)))


def test_a_report_comes_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    messages = train(request(checkpoint=str(path)))
    assert isinstance(next(messages), EpochReport)
    assert path.exists()
    messages.close()
