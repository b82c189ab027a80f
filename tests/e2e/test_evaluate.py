"""`igcv evaluate`: numbers from images that the search never read, each training once, also through a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
from optuna.trial import FrozenTrial, TrialState

from dashboards.evaluation import read_evaluation
from orchestrator.simulator.tables import read_table
from orchestrator.study import Study, open_storage
from tests.e2e.searched import TEST_IMAGES, igcv, put_right, read_until, start, write_data, write_experiment


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that ended while its test split could not be read."""
    folder = tmp_path_factory.mktemp("searched")
    write_data(folder / "data")
    write_experiment(folder)
    result = igcv(folder, "search", "experiment.yaml")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(searched: Path, tmp_path: Path) -> Path:
    """A copy of it, with images of its own."""
    shutil.copytree(searched, tmp_path, dirs_exist_ok=True)
    return tmp_path


def evaluate(folder: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    result = igcv(folder, "evaluate", "small", "--path", folder / "data", "--json", *arguments)
    assert result.exit_code == code, f"{result.output} {result.exception!r}"
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


def trainings(folder: Path) -> list[FrozenTrial]:
    storage = open_storage(str(folder / "runs/small/study.journal"))
    return optuna.load_study(study_name="small/evaluation", storage=storage).trials


def test_the_numbers_come_from_test_images_that_the_search_never_read(folder: Path) -> None:
    front = json.loads(igcv(folder, "front", "small", "--json").stdout)
    assert front, "the search ended with a test split that nobody can read"
    poisoned = evaluate(folder, "--seeds", 1, code=1)
    assert [one["trial"] for one in poisoned["networks"]] == [*(member["number"] for member in front), 0]
    assert [one["failed"] for one in poisoned["networks"]] == [1] * (len(front) + 1)
    failures = {row.failure_message or "" for row in read_evaluation(folder / "runs/small")}
    assert all("test.npz" in failure for failure in failures), failures

    put_right(folder / "data")
    right = evaluate(folder, "--seeds", 1, "--retry")
    accuracies = [one["mean"] * TEST_IMAGES for one in right["networks"]]
    assert all(one["n"] == 1 and one["failed"] == 0 and one["std"] is None for one in right["networks"])
    assert accuracies == pytest.approx([round(hits) for hits in accuracies])
    assert any(0 < round(hits) < TEST_IMAGES for hits in accuracies), "no number tells where it was counted"
    assert {t.user_attrs["split"] for t in trainings(folder)} == {"test"}
    scored = [set(t.intermediate_values) for t in trainings(folder) if t.state is TrialState.COMPLETE]
    assert scored == [{2}] * len(right["networks"]), "the test split is read once, after the last epoch"


def test_kill_9_in_the_middle_repeats_no_training_and_changes_no_number(folder: Path, tmp_path: Path) -> None:
    put_right(folder / "data")
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("other"))
    process = start(folder, "evaluate", "small", "--path", folder / "data", "--seeds", 2)
    read_until(process, "2/")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    resumed, whole = evaluate(folder, "--seeds", 2), evaluate(other, "--seeds", 2)
    assert resumed["networks"] == whole["networks"]
    assert all(one["n"] == 2 and one["std"] is not None for one in whole["networks"])
    told = trainings(folder)
    assert {t.state for t in told} == {TrialState.COMPLETE}
    assert set(Counter(t.user_attrs["repeat"] for t in told).values()) == {1}
    assert len(told) == 2 * len(whole["networks"])
    assert not any(path.is_file() for path in (folder / "runs/small/checkpoints/evaluation").iterdir())

    more = evaluate(folder, "--seeds", 3, "--no-references")
    assert [one["accuracies"][:2] for one in more["networks"]] == [
        one["accuracies"] for one in whole["networks"] if one["source"] == "search"
    ]
    assert len(trainings(folder)) == len(told) + len(more["networks"])
    environment = trainings(folder)[0].user_attrs["environment"]
    assert environment["torch"]
    assert environment["python"]
    row = read_evaluation(folder / "runs/small")[0]
    assert row.threads == 1
    assert row.forms


def test_on_validation_adds_seeds_to_what_the_search_saw(folder: Path) -> None:
    facts = evaluate(folder, "--on", "validation", "--seeds", 2, "--within", 1, "--no-references")
    assert facts["seeds"] == [1, 2]
    assert sorted(one["trial"] for one in facts["networks"]) == [1, 2, 3]
    assert igcv(folder, "table", "small", "-o", folder / "t.parquet").exit_code == 0
    seeds = {row["macs"]: row["accuracy_seeds"] for row in pq.read_table(folder / "t.parquet").to_pylist()}
    assert seeds == {one["macs"]: [one["searched_accuracy"], *one["accuracies"]] for one in facts["networks"]}
    table = read_table(folder / "t.parquet")
    assert [len(recorded.seeds) for recorded in table.recorded] == [3, 3, 3]
    assert [recorded.accuracy for recorded in table.recorded] == pytest.approx(
        [sum(recorded.seeds) / 3 for recorded in table.recorded]
    )
    shorter = evaluate(folder, "--on", "validation", "--seeds", 1, "--no-references", "--epochs", 1)
    assert shorter["recipe"]["epochs"] == 1
    assert igcv(folder, "table", "small", "-o", folder / "again.parquet").exit_code == 0
    assert pq.read_table(folder / "again.parquet").equals(pq.read_table(folder / "t.parquet")), "another recipe counts"


@pytest.mark.ray
def test_on_real_ray_workers_the_numbers_are_the_same(folder: Path, tmp_path: Path) -> None:
    put_right(folder / "data")
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("other"))
    here = evaluate(folder, "--seeds", 1)
    with_ray = evaluate(other, "--seeds", 1, "--pool", "ray", "--workers", 1)
    assert with_ray["networks"] == here["networks"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "smal"), "no study 'smal'"),
        (("evaluate", "small", "--recipe", "papers"), "unknown recipe 'papers'"),
        (("evaluate", "small", "--path", "nowhere"), "--path names where they lie now"),
        (("evaluate", "small", "--tracking", "ftp://x"), "tracking"),
        (("evaluate", "empty"), "no front yet"),
        (("evaluate", "small", "--path", "untested"), "no test split"),
    ],
)
def test_what_cannot_be_evaluated_is_said_and_nothing_is_recorded(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_data(folder / "untested")
    (folder / "untested/test.npz").unlink()
    make_empty(folder)
    result = igcv(folder, *arguments)
    assert isinstance(result.exception, ValueError), result.output
    assert message in str(result.exception)
    storage = open_storage(str(folder / "runs/small/study.journal"))
    assert [study.study_name for study in storage.get_all_studies()] == ["small"]


def make_empty(folder: Path) -> None:
    """A study whose search was killed before its first trial."""
    storage = open_storage(str(folder / "runs/small/study.journal"))
    attributes = Study.open(storage, "small").attributes()
    (folder / "runs/empty").mkdir()
    empty = open_storage(str(folder / "runs/empty/study.journal"))
    study = Study.open_or_create(empty, "empty", attributes["experiment"])
    study.set_attribute("last_run", attributes["last_run"])
