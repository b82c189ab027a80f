"""What is written of a record, given what a store holds."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dashboards.table import TrialRow
from orchestrator.tracking.differences import StoredRun, difference, is_another
from orchestrator.tracking.records import RunRecord, run_record
from tests.orchestrator.tracking.making import facts, failed, pruned, row, training


def record(trial: TrialRow, is_front: bool = False) -> RunRecord:
    made = run_record(trial, facts(), is_front, "parent")
    assert made is not None
    return made


def empty(made: RunRecord) -> StoredRun:
    return StoredRun(run_id="1", artifact_uri="", start_ms=made.start_ms)


def written(made: RunRecord, stored: StoredRun) -> StoredRun:
    """The run after the difference was written."""
    missing = difference(made, stored, 0)
    points = sorted(missing.points, key=lambda point: point.step)
    return StoredRun(
        run_id=stored.run_id,
        artifact_uri="",
        status=made.status if missing.end else stored.status,
        start_ms=stored.start_ms,
        end_ms=made.end_ms if missing.end else stored.end_ms,
        tags={**stored.tags, **missing.tags},
        params={**stored.params, **missing.params},
        metrics={**stored.metrics, **{point.key: point.value for point in points}},
    )


ends = st.sampled_from([row(1), pruned(1), failed(1)])


@given(ends)
def test_what_was_written_is_not_written_again(trial: TrialRow) -> None:
    made = record(trial)
    stored = written(made, empty(made))
    assert not difference(made, stored, 0)
    assert not is_another(made, stored)


@given(st.lists(st.integers(0, 10), max_size=5), st.booleans())
def test_a_trial_followed_as_it_trains_is_written_as_one_that_has_ended(epochs: list[int], is_front: bool) -> None:
    stored = empty(record(row(1)))
    seen: list[tuple[str, int]] = []
    for trial in [*(training(1, count) for count in sorted(epochs)), row(1)]:
        made = record(trial, is_front)
        assert not is_another(made, stored)
        seen += [(point.key, point.step) for point in difference(made, stored, 0).points]
        stored = written(made, stored)
    assert len(seen) == len(set(seen)), "a point was written twice"
    assert stored == written(record(row(1), is_front), empty(record(row(1))))


def test_only_the_tag_that_changed_is_written() -> None:
    made = record(row(1))
    missing = difference(record(row(1), is_front=True), written(made, empty(made)), 0)
    assert missing.tags == {"front": "true"}
    assert [*missing.points, *missing.params, *missing.texts] == []
    assert not missing.end


def test_a_number_measured_later_is_written_as_the_newest() -> None:
    made = record(row(1))
    stored = written(made, empty(made))
    later = difference(record(replace(row(1), accuracy=0.5, latency_ms=2.0)), stored, now_ms=9 * 10**12)
    assert {point.key: (point.value, point.at_ms) for point in later.points} == {
        "accuracy": (0.5, 9 * 10**12),
        "latency_ms": (2.0, made.end_ms),
    }


def test_an_artifact_whose_mark_is_missing_is_written_again() -> None:
    made = record(failed(1))
    stored = written(made, empty(made))
    del stored.tags["failure"]
    assert difference(made, stored, 0).texts.keys() == {"failure.txt"}


def test_points_whose_mark_was_lost_are_written_again_and_the_run_stays() -> None:
    """Tags come last: where a batch broke off in between, the curve is longer than its mark says."""
    made = record(row(1))
    stored = written(made, empty(made))
    stored.tags["epochs"] = "4"
    assert not is_another(made, stored)
    assert {point.step for point in difference(made, stored, 0).points} == {5, 6, 7, 8, 9, 10}


def test_another_trial_under_the_same_key_is_seen() -> None:
    made = record(row(1))
    stored = written(made, empty(made))
    assert is_another(record(replace(row(1), parameters={"igcv3.width": 99})), stored)
    assert is_another(record(replace(row(1), started_at=1.0)), stored)
    assert is_another(record(training(1, 4)), stored)
    other_curve = tuple(replace(epoch, accuracy=epoch.accuracy / 2) for epoch in row(1).epochs)
    assert is_another(record(replace(row(1), epochs=other_curve)), stored)
