"""One training from its beginning or its checkpoint to its end, kept in a folder and tracked as one run."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from orchestrator.pools.runner import TRAIN, resolve
from orchestrator.tracking.environment import environment
from orchestrator.training.records import training_row
from orchestrator.training.tracking import TrainingTracker
from orchestrator.training.wanted import Wanted
from search_spaces.cost import cost
from search_spaces.plan import plan_to_json
from workers.allocator import keep_freed_memory
from workers.records import EpochReport, Failure, Metrics, Outcome, TrainRequest

Say = Callable[[str], None]
FACTS_NAME, CHECKPOINT_NAME, PLAN_NAME = "training.json", "checkpoint.pt", "plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it is trained."""

    device: str = "auto"
    threads: int | None = None


def train_one(
    wanted: Wanted, folder: Path, uri: str | None, machine: Machine, say: Say, runner: str = TRAIN
) -> tuple[Outcome, dict[str, Any]]:
    """Trains to the end; returns how it ended, and all that is known of it as JSON has it.

    uri: the MLflow store, or None. ValueError where the folder holds another training, or another process is at it.
    """
    keep_freed_memory()
    with _owned(folder):
        begun = _begin(folder, wanted)
        request = _request(wanted, folder, machine)
        curve = _curve_so_far(request)
        if curve:
            say(f"goes on after epoch {len(curve)}")
        tracker = TrainingTracker(uri, folder, wanted, begun["environment"], say)
        ended_at: float | None = begun.get("ended_at")
        outcome: Outcome | None = None
        for message in resolve(runner)(request):
            if isinstance(message, EpochReport):
                curve = [report for report in curve if report.epoch < message.epoch] + [message]
                say(epoch_line(message, wanted))
                tracker.put(training_row(wanted, folder.name, curve, None, begun["started_at"], None))
            else:
                outcome = message
        assert outcome is not None
        ended_at = (ended_at if isinstance(outcome, Metrics) else None) or time.time()
        row = training_row(wanted, folder.name, curve, outcome, begun["started_at"], ended_at)
        tracker.close(row)
        facts = {**begun, **_result(outcome, curve), "ended_at": ended_at}
        _write(folder / FACTS_NAME, json.dumps(facts, indent=1))
        return outcome, facts


def epoch_line(report: EpochReport, wanted: Wanted) -> str:
    """One epoch for a person."""
    scored = f"  {wanted.split} {report.accuracy:.2%}" if math.isfinite(report.accuracy) else ""
    epochs = f"epoch {report.epoch}/{wanted.recipe.epochs}"
    return f"{epochs}  loss {report.train_loss:.4f}{scored}  rate {report.learning_rate:.4g}  {report.seconds:.1f} s"


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(f"{folder}: another process trains here; wait for it, or give another folder (-o)") from None
    except OSError as error:
        if error.filename and Path(error.filename).parent in (folder, folder.parent):
            raise ValueError(f"{folder}: {error.strerror}; give a folder of yours (-o)") from error
        raise


def _begin(folder: Path, wanted: Wanted) -> dict[str, Any]:
    """What the folder says of this training, written there if it is new. ValueError: it holds another one."""
    file = folder / FACTS_NAME
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if known and known["fixed"] != wanted.fixed:
        other = ", ".join(name for name, value in wanted.fixed.items() if known["fixed"].get(name) != value)
        raise ValueError(f"{folder} holds another training (other {other}); give another folder (-o)")
    if known:
        return known
    exact = cost(wanted.plan)
    begun = {
        "name": wanted.name,
        "trial": wanted.trial,
        "split": wanted.split,
        "fixed": wanted.fixed,
        "macs": exact.macs,
        "params": exact.params,
        "plan_key": wanted.plan.key,
        "recipe": asdict(wanted.recipe),
        "seed": wanted.seed,
        "data": wanted.data.name,
        "images": {"train": wanted.facts.train, "validation": wanted.facts.validation},
        "environment": dict(environment()),
        "started_at": time.time(),
    }
    _write(folder / PLAN_NAME, plan_to_json(wanted.plan))
    _write(file, json.dumps(begun, indent=1))
    return begun


def _request(wanted: Wanted, folder: Path, machine: Machine) -> TrainRequest:
    return TrainRequest(
        key=folder.name,
        plan=wanted.plan,
        data=wanted.data,
        recipe=wanted.recipe,
        seed=wanted.seed,
        checkpoint=str(folder / CHECKPOINT_NAME),
        device=machine.device,
        threads=machine.threads,
        split=wanted.split,
    )


def _curve_so_far(request: TrainRequest) -> list[EpochReport]:
    from workers.checkpoint import resume

    assert request.checkpoint is not None
    found = resume(Path(request.checkpoint), request)
    return list(found.progress.curve) if found else []


def _result(outcome: Outcome, curve: list[EpochReport]) -> dict[str, Any]:
    epochs = [
        {**asdict(report), "accuracy": report.accuracy if math.isfinite(report.accuracy) else None} for report in curve
    ]
    if isinstance(outcome, Failure):
        return {"state": "failed", "failure": asdict(outcome), "accuracy": None, "curve": epochs}
    metrics: Mapping[str, Any] = asdict(outcome)
    kept = ("accuracy", "seconds", "images_per_second", "peak_memory_mib", "device", "threads", "forms", "micro_batch")
    return {"state": "complete", **{name: metrics[name] for name in kept}, "curve": epochs}


def _write(file: Path, text: str) -> None:
    """In one step, so that a kill leaves the file before or the file after."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, file)
