"""A trial that would not fit starts in smaller parts or is refused; out of memory is tried once more, in smaller parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.table import read_table
from orchestrator.decisions import Decisions, Finish, Joined, Keep, Launch, Limits, Lost, Recorded, Said, Tell
from orchestrator.experiment import Experiment
from orchestrator.packing import Packing
from orchestrator.promotion import Promotion
from orchestrator.running import run_search
from tests.orchestrator.making import metrics, report, trial
from tests.orchestrator.test_decisions import play, train
from workers import guard
from workers.memory import GIB, MARGIN, TrainingMemory
from workers.records import Failure, Message, TrainRequest

RUNNER = "tests.orchestrator.test_packing:short_of_memory"
PER_IMAGE = GIB // 128


def packing(batch_size: int = 128, context: int = 0) -> Packing:
    """Every network takes a GiB of activations for 128 images (before the margin)."""
    memory = TrainingMemory(
        batch_size=batch_size, parameters=0, input=0, training=PER_IMAGE, scoring=0, context=context
    )
    return Packing(lambda candidate: memory)


def decisions(packed: Packing | None = None, rungs: tuple[int, ...] = (), trials: int = 1) -> Decisions:
    return Decisions(Limits(trials=trials), Promotion(rungs, 2.0, 3), packing=packed or packing())


def short(attempt: int = 1, number: int = 0) -> Said:
    return Said(number, attempt, Failure(key=str(number), kind="out_of_memory", message="no more", traceback="where"))


@pytest.mark.parametrize(("share", "micro_batch"), [(None, None), (2.0, None), (1.0, 64), (0.2, 16)])
def test_a_trial_starts_with_as_many_images_at_a_time_as_fit(share: float | None, micro_batch: int | None) -> None:
    machine = decisions()
    play(machine, Joined("w1", None if share is None else round(share * GIB)))
    assert play(machine, Recorded((trial(0),))) == [Keep(0), Launch(0, 1, "w1", 3)]
    assert machine.trials[0].micro_batch == micro_batch
    assert MARGIN * PER_IMAGE * 16 <= 0.2 * GIB < MARGIN * PER_IMAGE * 32


def test_a_trial_that_fits_in_no_way_is_refused_with_its_estimate_and_the_worker_goes_on() -> None:
    machine = decisions(trials=2)
    play(machine, Joined("w1", GIB // 100))
    assert play(machine, Recorded((trial(0), trial(1)))) == [Tell(0), Tell(1), Finish("done")]
    refused = machine.trials[0]
    assert refused.phase == "failed"
    assert refused.attempts == 0
    assert refused.failure is not None
    assert refused.failure.kind == "out_of_memory"
    assert (
        "even 8 images at a time need an estimated 0.08 GiB, its worker's share is 0.01 GiB" in refused.failure.message
    )
    assert "resources.memory_per_worker" in refused.failure.message


def test_out_of_memory_is_tried_once_more_in_smaller_parts_and_then_ends_with_the_estimate() -> None:
    machine = decisions()
    play(machine, Joined("w1", 2 * GIB), Recorded((trial(0),)))
    assert play(machine, short()) == [Keep(0), Keep(0), Launch(0, 2, "w1", 3)]
    assert (machine.trials[0].micro_batch, machine.trials[0].losses) == (64, 0)
    assert play(machine, short(attempt=2)) == [Tell(0), Finish("done")]
    told = machine.trials[0].failure
    assert told is not None
    assert (told.kind, told.traceback) == ("out_of_memory", "where")
    assert told.message.startswith("64 images at a time, estimated 0.62 GiB, its worker's share is 2.00 GiB: no more;")


def test_the_second_try_may_succeed_and_says_what_it_was() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0),)), short())
    assert play(machine, *train(0, attempt=2))[-2:] == [Tell(0), Finish("done")]
    assert (machine.trials[0].phase, machine.trials[0].micro_batch) == ("complete", 64)


def test_a_trial_that_started_small_is_still_given_its_second_try() -> None:
    machine = decisions()
    play(machine, Joined("w1", GIB), Recorded((trial(0),)))
    assert machine.trials[0].micro_batch == 64
    assert play(machine, short())[-1] == Launch(0, 2, "w1", 3)
    assert machine.trials[0].micro_batch == 32


def test_what_cannot_be_halved_any_more_fails_at_once() -> None:
    machine = decisions(packing(batch_size=8))
    play(machine, Joined("w1"), Recorded((trial(0),)))
    assert play(machine, short()) == [Tell(0), Finish("done")]


def test_another_failure_is_not_tried_again() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0),)))
    nan = Said(0, 1, Failure(key="0", kind="nan", message="the training loss is nan"))
    assert play(machine, nan) == [Tell(0), Finish("done")]
    assert machine.trials[0].failure == nan.message


def test_a_worker_that_was_ended_for_its_machines_memory_counts_as_out_of_memory() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0),)))
    assert play(machine, Lost("w1", "memory on the node was full", short_of_memory=True)) == [Keep(0)]
    assert play(machine, Joined("w2")) == [Keep(0), Launch(0, 2, "w2", 3)]
    assert (machine.trials[0].micro_batch, machine.trials[0].losses) == (64, 0)
    assert play(machine, Lost("w2", "again", short_of_memory=True)) == [Tell(0), Finish("done")]
    told = machine.trials[0].failure
    assert told is not None
    assert told.kind == "out_of_memory"
    assert "estimated 0.62 GiB: again" in told.message


def test_a_message_of_the_attempt_that_ran_out_of_memory_is_dropped() -> None:
    machine = decisions()
    play(machine, Joined("w1"), Recorded((trial(0),)), short())
    assert play(machine, short(), Said(0, 1, metrics(3))) == []


def test_a_promoted_trial_goes_on_with_its_parts_and_another_worker_is_asked_for_its_own_share() -> None:
    machine = decisions(rungs=(1,))
    play(machine, Joined("w1", GIB), Recorded((trial(0),)))
    play(machine, Said(0, 1, report(1)), Lost("w1"))
    assert play(machine, Joined("w2", GIB // 2)) == [Keep(0), Launch(0, 2, "w2", 1)]
    assert machine.trials[0].micro_batch == 32
    again = play(machine, Said(0, 2, metrics(1)))
    assert again[-1] == Launch(0, 3, "w2", 3)
    assert machine.trials[0].micro_batch == 32


def test_a_trial_remembers_its_second_try_over_a_restart() -> None:
    first = decisions()
    play(first, Joined("w1"), Recorded((trial(0),)), short())
    second = decisions()
    second.restore([first.trials[0]])
    play(second, Joined("w2"))
    assert play(second, short(attempt=3)) == [Tell(0), Finish("done")]


# The real search in this process


def short_of_memory(request: TrainRequest) -> Iterator[Message]:
    """The real training, on a machine that holds less than the whole batch."""
    if (request.recipe.micro_batch or request.recipe.batch_size) > 32:
        yield Failure(key=request.key, kind="out_of_memory", message="no more than 32")
        return
    yield from guard.attempt(request)


def small(folder: Path, **changes: object) -> Experiment:
    content = {
        "name": "packed",
        "families": {"igcv2": {"stem_width": 8, "width": [[8, 16], [16, 32]], "blocks": 1, "k": 4, "skip": True}},
        "budget": {"max_macs": "200k"},
        "trials": 2,
        "data": {"name": "digits", "max_train": 128, "max_validation": 60},
        "training": {"epochs": 1, "batch_size": 64, "crop_padding": 1, "flip": False},
        "resources": {"pool": "inline", "memory_per_worker": 8},
        "tracking": "off",
        "output": str(folder),
    }
    return Experiment.model_validate({**content, **changes})


def test_a_search_records_the_smaller_parts_in_its_table(tmp_path: Path) -> None:
    run_search(small(tmp_path), RUNNER)
    rows, _ = read_table(tmp_path / "packed" / "trials.parquet")
    assert [(row.state, row.micro_batch, row.attempts, row.losses) for row in rows] == [("complete", 32, 2, 0)] * 2
    assert all(row.accuracy is not None for row in rows)


def test_a_search_on_workers_that_are_too_small_refuses_with_the_estimate(tmp_path: Path) -> None:
    run_search(small(tmp_path, resources={"pool": "inline", "memory_per_worker": 0.5}))
    rows, _ = read_table(tmp_path / "packed" / "trials.parquet")
    assert [(row.state, row.failure_kind, row.attempts) for row in rows] == [("failed", "out_of_memory", 0)] * 2
    assert "its worker's share is 0.50 GiB" in (rows[0].failure_message or "")
