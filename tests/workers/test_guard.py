"""Whatever goes wrong in a training ends as a record."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.making import numbers, request, run_through, small_plan, write_shard
from workers import guard, trainer
from workers.memory import training_memory
from workers.records import EpochReport, Failure, Message, Metrics, Recipe

Step = Callable[..., torch.Tensor]


def outcome(messages: list[Message]) -> Failure:
    *reports, last = messages
    assert all(isinstance(message, EpochReport) for message in reports)
    assert isinstance(last, Failure)
    return last


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, at_step: int, times: int = 1) -> list[int]:
    """The trainer's real step, but the given one raises (and those after it, `times` in all); returns the steps."""
    real: Step = trainer.training_step
    seen: list[int] = []

    def step(*arguments: Any) -> torch.Tensor:
        seen.append(arguments[6] or 0)
        if at_step <= len(seen) < at_step + times:
            raise error
        return real(*arguments)

    monkeypatch.setattr(trainer, "training_step", step)
    return seen


def test_a_good_training_passes_unchanged() -> None:
    *reports, metrics = guard.run(request())
    assert isinstance(metrics, Metrics)
    assert numbers([report for report in reports if isinstance(report, EpochReport)]) == numbers(
        run_through(request())[0]
    )


def test_a_loss_that_is_no_number_is_a_failure_and_leaves_no_score(tmp_path: Path) -> None:
    found = outcome(list(guard.run(request(recipe={"learning_rate": 1e30, "epochs": 3}))))
    assert (found.kind, found.key) == ("nan", "t")
    assert "a smaller learning rate may help" in found.message
    assert found.epochs == 0


def test_out_of_memory_is_tried_once_more_in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"), at_step=8)
    *reports, metrics = guard.run(request(checkpoint=str(tmp_path / "c.pt")))
    assert isinstance(metrics, Metrics)
    assert metrics.micro_batch == 16
    assert [report.epoch for report in metrics.curve] == [1, 2, 3]
    assert len(reports) == 3  # the first epoch, done before, is not told twice
    assert seen == [0] * 8 + [16] * 12


def test_out_of_memory_twice_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, MemoryError("no"), at_step=1, times=2)
    assert outcome(list(guard.run(request()))).kind == "out_of_memory"


def test_a_cpu_that_cannot_allocate_is_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Step = trainer.training_step
    monkeypatch.setattr(trainer, "training_step", lambda *given: real(*given) + torch.empty(1 << 60))
    assert outcome(list(guard.run(request()))).kind == "out_of_memory"


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tests.workers.making import request, small_plan
from workers import guard
from workers.records import Metrics

recipe = {"epochs": 1, "batch_size": 192, "crop_padding": 0}
wanted = request(plan=small_plan(width=256), recipe=recipe, checkpoint=sys.argv[1])
*_, warm = guard.attempt(request(recipe={"epochs": 1}))  # whatever a process loads once is loaded
assert isinstance(warm, Metrics), warm
held = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
resource.setrlimit(resource.RLIMIT_AS, ((held << 10) + int(sys.argv[2]), -1))
*_, last = getattr(guard, sys.argv[3])(wanted)
print(type(last).__name__, getattr(last, "kind", None), getattr(last, "micro_batch", None))
"""


def with_bytes_left(tmp_path: Path, part: float, function: str) -> str:
    """What a real training says in a process that may grow by a part of its estimate."""
    estimate = training_memory(small_plan(width=256), Recipe(batch_size=192, precision="fp32"), gpu=False)
    count = round(part * (estimate.total() - estimate.context))
    environment = {**os.environ, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "0"}
    command = [sys.executable, "-c", LITTLE_MEMORY, str(tmp_path / "c.pt"), str(count), function]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_process_that_may_not_grow_is_out_of_memory_and_says_so(tmp_path: Path) -> None:
    assert with_bytes_left(tmp_path, 0.25, "attempt") == "Failure out_of_memory None"
    assert not list(tmp_path.iterdir())


def test_where_half_a_batch_fits_the_second_try_succeeds(tmp_path: Path) -> None:
    assert with_bytes_left(tmp_path, 0.75, "run") == "Metrics None 96"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("a kernel broke at postgresql://user:secret@host/db"), "exception"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (ZeroDivisionError(), "exception"),
    ],
)
def test_an_exception_is_a_record_without_credentials(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    failing(monkeypatch, error, at_step=9)
    found = outcome(list(guard.run(request())))
    assert (found.kind, found.epochs) == (kind, 1)
    assert found.message
    assert type(error).__name__ in found.traceback
    assert "secret" not in found.message + found.traceback


def test_the_time_limit_is_a_failure() -> None:
    found = outcome(list(guard.run(request(time_limit_seconds=0.0))))
    assert (found.kind, found.message) == ("time_limit", "the time limit of 0 s passed")


def test_an_interrupt_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt(), at_step=2)
    with pytest.raises(KeyboardInterrupt):
        list(guard.run(request()))


def test_broken_images_are_a_failure_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGCV_CACHE", "off")
    write_shard(tmp_path / "train.parquet", [b"broken"] * 20, [0, 1] * 10)
    found = outcome(list(guard.run(request(data={"name": "parquet", "path": str(tmp_path)}))))
    assert found.kind == "data"
    assert "image 0 does not decode" in found.message


def test_a_full_disk_while_checkpointing_is_a_failure_and_the_one_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    run_through(request(checkpoint=str(path), stop_epoch=1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    found = outcome(list(guard.run(request(checkpoint=str(path)))))
    assert found.kind == "disk"
    monkeypatch.undo()
    _, metrics = run_through(request(checkpoint=str(path)))
    assert numbers(metrics.curve) == numbers(run_through(request())[0])
