"""What MLflow is to hold of a row."""

from dataclasses import replace

import pytest

from dashboards.table import State, TrialRow
from orchestrator.tracking.records import (
    MARKS,
    RunRecord,
    front_aliases,
    identity,
    model_record,
    run_record,
    study_curve,
    study_record,
)
from tests.orchestrator.tracking.making import BEGAN, accuracy, facts, failed, mixed, pruned, row, training


def record(trial: TrialRow, is_front: bool = False) -> RunRecord:
    made = run_record(trial, facts(), is_front, "parent")
    assert made is not None
    return made


def numbers(made: RunRecord) -> dict[str, float]:
    return {point.key: point.value for point in made.metrics}


def test_a_complete_trial_has_its_results_and_exact_costs() -> None:
    made = record(row(3))
    assert made.status == "FINISHED"
    assert numbers(made)["accuracy"] == accuracy(3)
    assert numbers(made)["macs"] == 100_030
    assert numbers(made)["flops"] == 2 * 100_030
    assert made.params == {
        "igcv3.width": "19",
        "igcv3.skip": "True",
        "igcv3.multiplier": "0.5",
        "family": "igcv3",
        "recipe": "search",
        "seed": "0",
    }


def test_a_trial_ended_early_is_killed_and_has_a_curve_but_no_accuracy() -> None:
    made = record(pruned(2, epochs=3))
    assert made.status == "KILLED"
    assert "accuracy" not in numbers(made)
    assert [point.step for point in made.curve if point.key == "validation_accuracy"] == [1, 2, 3]
    assert made.tags["state"] == "pruned"


def test_a_running_trial_has_costs_but_no_results_and_no_end() -> None:
    made = record(training(1, 4))
    assert (made.status, made.end_ms) == ("RUNNING", None)
    assert numbers(made).keys() & {"accuracy", "images_per_second", "training_seconds"} == set()
    assert numbers(made)["params"] == 1001


def test_a_trial_that_nobody_trains_yet_has_no_run() -> None:
    waiting = replace(training(1, 0), state="queued", started_at=None)
    assert run_record(waiting, facts(), False, "parent") is None


@pytest.mark.parametrize("state", ["queued", "training", "paused", "lost"])
def test_what_goes_on_is_running(state: State) -> None:
    assert record(replace(training(1, 2), state=state)).status == "RUNNING"


def test_a_failure_is_told_as_text() -> None:
    made = record(failed(1))
    assert made.status == "FAILED"
    assert made.tags["failure_kind"] == "exception"
    assert made.tags["failure"] == "<script>alert('x')</script> went wrong"
    assert "RuntimeError: went wrong" in made.texts["failure.txt"]


def test_a_long_failure_is_cut_in_the_tag_and_whole_in_the_file() -> None:
    made = record(replace(failed(1), failure_message="x" * 100_000))
    assert len(made.tags["failure"]) == 5000
    assert "x" * 100_000 in made.texts["failure.txt"]


def test_times_are_those_of_the_row() -> None:
    made = record(row(2, epochs=4))
    assert (made.start_ms, made.end_ms) == (1000 * (BEGAN + 20), 1000 * (BEGAN + 22.25))
    assert [point.at_ms - made.start_ms for point in made.curve if point.key == "train_loss"] == [500, 1000, 1500, 2000]


def test_every_artifact_has_the_tag_that_marks_it_as_written() -> None:
    for trial in mixed(10):
        made = record(trial)
        assert {MARKS[name] for name in made.texts} <= made.tags.keys()


def test_a_reference_is_marked() -> None:
    made = record(mixed(5)[-1])
    assert (made.tags["source"], made.tags["reference"]) == ("reference", "igcv3-1.0")
    assert numbers(made)["published_accuracy"] == 0.95


def test_a_model_s_name_has_no_dots_and_its_metrics_are_those_of_its_run() -> None:
    trial = row(1)
    made = model_record(trial, record(trial), "digits", True)
    assert made.name == "igcv3-w17-0-5"
    assert set(made.metrics) <= set(record(trial).metrics)
    assert {point.key for point in made.metrics} == {"accuracy", "macs", "flops", "params"}


def test_studies_of_one_name_and_other_experiments_have_other_identities() -> None:
    assert identity(facts(), "study") != identity(replace(facts(), experiment_hash="other"), "study")


def test_the_study_s_curve_grows_by_trainings_that_count() -> None:
    points = study_curve(mixed(10), facts())
    assert len(points) == sum(trial.state == "complete" for trial in mixed(10)) - 1  # the reference counts not
    shares = [point.value for group in points for point in group if point.key == "hypervolume"]
    assert shares == sorted(shares)
    assert shares[-1] > 0


def test_the_study_s_params_never_hold_what_a_resumed_search_may_change() -> None:
    other = replace(facts(), trials_asked=99, workers=7, sampler="random", updated_at=1.0)
    now, then = study_record(facts(), {}, (0, 1)), study_record(other, {"complete": 5}, (0, 9))
    assert now.params == then.params
    assert then.tags["trials_asked"] == "99"
    assert then.tags["trials.complete"] == "5"


def test_aliases_name_the_ends_of_the_front() -> None:
    front = [row(0), row(90), replace(row(5), params=1)]
    best = max(front, key=lambda trial: trial.accuracy or 0)
    assert front_aliases(front) == {
        "most-accurate": best.key,
        "fewest-macs": "digits/0",
        "fewest-params": "digits/5",
    }
    assert front_aliases([]) == {}
