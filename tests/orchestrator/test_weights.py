"""The last checkpoints of the front's members stay, and no others: also after a kill between two steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.running import run_search
from orchestrator.trials import Trial
from orchestrator.weights import FrontWeights, weights_file
from tests.orchestrator.conftest import make_experiment
from tests.orchestrator.making import metrics, trial
from workers.places import Folder


def ended(number: int, accuracy: float, macs: int, source: str = "search") -> Trial:
    found = trial(number, macs, source)
    found.phase, found.metrics = "complete", metrics(1, accuracy, number)
    return found


def end(weights: FrontWeights, folder: Path, found: Trial) -> None:
    checkpoint = folder / "checkpoints" / f"trial-{found.number:06d}.pt"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.write_text(str(found.number))
    weights.take(found, Folder(checkpoint.parent), checkpoint.name)


def kept(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted((folder / "weights").glob("*"))}


def test_weights_come_with_a_member_and_go_when_it_is_dominated(tmp_path: Path) -> None:
    weights = FrontWeights(tmp_path, ("macs",), [])
    end(weights, tmp_path, ended(0, 0.5, 100))
    end(weights, tmp_path, ended(1, 0.4, 200))
    assert kept(tmp_path) == {"trial-000000.pt": "0"}, "a dominated network's weights are of no use"
    end(weights, tmp_path, ended(2, 0.9, 300))
    end(weights, tmp_path, ended(3, 0.1, 900, source="reference"))
    assert list(kept(tmp_path)) == ["trial-000000.pt", "trial-000002.pt", "trial-000003.pt"]
    end(weights, tmp_path, ended(4, 0.9, 90))
    assert list(kept(tmp_path)) == ["trial-000003.pt", "trial-000004.pt"]


def test_a_trial_that_was_stopped_or_failed_leaves_none(tmp_path: Path) -> None:
    weights = FrontWeights(tmp_path, ("macs",), [])
    stopped = trial(0)
    stopped.phase = "pruned"
    end(weights, tmp_path, stopped)
    assert kept(tmp_path) == {}


def test_a_new_run_knows_the_front_and_removes_what_a_kill_left_behind(tmp_path: Path) -> None:
    before = [ended(0, 0.5, 100), ended(1, 0.9, 90)]
    for number in (0, 1):
        weights_file(tmp_path, number).parent.mkdir(exist_ok=True)
        weights_file(tmp_path, number).write_text(str(number))
    weights = FrontWeights(tmp_path, ("macs",), before)
    assert list(kept(tmp_path)) == ["trial-000001.pt"]
    end(weights, tmp_path, ended(2, 0.8, 95))
    assert list(kept(tmp_path)) == ["trial-000001.pt"]
    checkpoint = tmp_path / "checkpoints/trial-000001.pt"
    checkpoint.write_text("newer")
    weights.take(before[1], Folder(checkpoint.parent), checkpoint.name)  # its driver died between telling and moving
    assert kept(tmp_path) == {"trial-000001.pt": "newer"}


def test_a_search_keeps_the_weights_of_its_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboards.front import front_rows

    done = run_search(make_experiment(tmp_path, training={"epochs": 1, "batch_size": 512}))
    front = {weights_file(done.folder, row.number) for row in front_rows(done.rows, done.facts.objectives)}
    assert set((done.folder / "weights").iterdir()) == front
    assert not list((done.folder / "checkpoints").iterdir())
