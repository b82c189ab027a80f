"""`igcv train`: one network, resumed bit for bit, that reads the test split only when it is asked to."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.searched import TEST_IMAGES, igcv, put_right, read_until, start, write_data, write_experiment

NETWORK = """
family: igcv2
stem_width: 8
stages: [{width: 16, blocks: 1, k: 4}, {width: 32, blocks: 1, k: 8}]
"""
SHORT = ("--epochs", "4", "--batch-size", "64", "--no-flip", "--crop-padding", "1", "--threads", "1", "--device", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_data(tmp_path / "data")
    (tmp_path / "network.yaml").write_text(NETWORK)
    return tmp_path


def options(folder: Path, output: str) -> tuple[object, ...]:
    return (*SHORT, "--data", "npz", "--path", folder / "data", "--tracking", "off", "-o", folder / output)


def train(folder: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    result = igcv(folder, "train", *arguments, "--json")
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


def curve(facts: dict[str, Any]) -> list[tuple[float, ...]]:
    """What must be equal bit for bit: everything but the seconds."""
    return [
        (report["epoch"], report["accuracy"], report["train_loss"], report["learning_rate"])
        for report in facts["curve"]
    ]


def test_after_kill_9_the_same_command_goes_on_with_the_same_curve(folder: Path) -> None:
    process = start(folder, "train", "igcv2-c64-d8", *options(folder, "killed"))
    read_until(process, "epoch 2/4")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = igcv(folder, "train", "igcv2-c64-d8", *options(folder, "killed"))
    assert again.exit_code == 0, again.output
    assert "goes on after epoch" in again.stderr
    assert "epoch 1/4" not in again.stderr
    resumed = json.loads((folder / "killed/training.json").read_text())
    whole = train(folder, "igcv2-c64-d8", *options(folder, "whole"))
    assert curve(resumed) == curve(whole)
    assert len(whole["curve"]) == 4
    shown = train(folder, "igcv2-c64-d8", *options(folder, "whole"))
    assert (shown["accuracy"], curve(shown)) == (whole["accuracy"], curve(whole)), "a finished training is shown again"
    assert curve(train(folder, "igcv2-c64-d8", *options(folder, "other"), "--seed", 1)) != curve(whole)


def test_a_file_is_trained_and_the_test_split_read_only_when_asked_for(folder: Path) -> None:
    facts = train(folder, "network.yaml", *options(folder, "blind"))
    assert facts["state"] == "complete"
    assert facts["split"] == "validation"
    failed = train(folder, "network.yaml", *options(folder, "poisoned"), "--test", code=1)
    assert "test.npz" in failed["failure"]["message"]
    put_right(folder / "data")
    tested = train(folder, "network.yaml", *options(folder, "poisoned"), "--test")
    assert tested["accuracy"] * TEST_IMAGES == pytest.approx(round(tested["accuracy"] * TEST_IMAGES))
    assert [report["accuracy"] for report in tested["curve"]] == [None, None, None, tested["accuracy"]]
    result = igcv(folder, "train", "network.yaml", *options(folder, "blind"), "--seed", 3)
    assert "holds another training (other seed)" in str(result.exception)


def test_a_trial_is_trained_as_its_search_trained_it(folder: Path) -> None:
    write_experiment(folder)
    assert igcv(folder, "search", "experiment.yaml", "trials=1").exit_code == 0
    searched = json.loads(igcv(folder, "front", "small", "--json").stdout)[0]
    facts = train(folder, f"small:{searched['number']}", "--tracking", "off", "--threads", 1, "--device", "cpu")
    assert facts["accuracy"] == searched["accuracy"]
    assert facts["recipe"]["epochs"] == 2
    assert facts["trial"] == f"small/{searched['number']}"
    assert (folder / "runs/trainings").is_dir()
    missing = igcv(folder, "train", "small:99")
    assert "has no trial 99" in str(missing.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("igcv2-c65-d8",), "did you mean igcv2-c64-d8"),
        (("igcv2-c64-d8", "--recipe", "papers"), "unknown recipe 'papers'"),
        (("igcv2-c64-d8", "--data", "npz"), "needs data.path"),
        (("igcv2-c64-d8", "--data", "npz", "--path", "nowhere"), "nowhere"),
        (("igcv2-c64-d8", "--image-size", "5"), "image_size"),
        (("nothing:3",), "no study 'nothing'"),
        (("igcv2-c64-d8", "--tracking", "ftp://x"), "tracking"),
        (("igcv2-c64-d8", "-o", "/proc/nowhere"), "folder of yours"),
    ],
)
def test_what_cannot_be_trained_is_said(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = igcv(folder, "train", *arguments)
    assert isinstance(result.exception, ValueError), result.output
    assert message in str(result.exception)


def test_the_recipes_are_listed_with_their_sources() -> None:
    result = igcv(Path(), "train", "--list-recipes")
    assert result.exit_code == 0
    assert "x0.1 at 200/300/350" in result.stdout
    assert "IGCV2 (CVPR 2018) 4.1" in result.stdout
