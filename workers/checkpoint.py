"""Checkpoints that survive a kill at any moment: written beside, synced, renamed; the one before is kept as `.prev`."""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from search_spaces.plan import Plan
from workers.records import EpochReport, TrainRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a training stands after an epoch, weights aside."""

    epoch: int = 0
    curve: tuple[EpochReport, ...] = ()
    seconds: float = 0.0
    train_seconds: float = 0.0
    train_images: int = 0
    forms: tuple[str, ...] = ()
    threads: int | None = None
    micro_batch: int | None = None
    replayed: bool | None = None  # whether steps are replays of a captured one (workers.replay); None: not decided


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Progress with the states of the network and the optimiser."""

    signature: str
    progress: Progress
    network: dict[str, Any]
    optimiser: dict[str, Any]


def signature(request: TrainRequest) -> str:
    """What a checkpoint must agree on to be resumed: plan, recipe, data, seed and split; not where things lie."""
    agreed = {
        "plan": request.plan.key,
        "recipe": asdict(replace(request.recipe, micro_batch=None)),
        "data": asdict(replace(request.data, path=None, download=False)),
        "seed": request.seed,
        "split": request.split,
    }
    return json.dumps(agreed, sort_keys=True)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint so that either it or the one before is whole. OSError where the disk is full."""
    buffer = io.BytesIO()
    torch.save(_to_plain(checkpoint), buffer)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            handle.write(buffer.getbuffer())
            handle.flush()
            os.fsync(handle.fileno())
        if path.exists():
            os.replace(path, previous(path))
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def previous(path: Path) -> Path:
    """Where the checkpoint before lies."""
    return path.with_name(path.name + ".prev")


def resume(path: Path, request: TrainRequest) -> Checkpoint | None:
    """The newest whole checkpoint at `path`, or None where there is none. ValueError where it is another training's."""
    for candidate in (path, previous(path)):
        checkpoint = _load(candidate)
        if checkpoint is None:
            continue
        if checkpoint.signature != signature(request):
            raise ValueError(
                f"{candidate}: this checkpoint is of another training ({_difference(checkpoint.signature, request)}); "
                "give another checkpoint file, or delete this one to start again"
            )
        return checkpoint
    return None


def trained_weights(path: Path, plan: Plan) -> dict[str, Any]:
    """The network's state in a checkpoint. ValueError where it cannot be read, or is of another network."""
    checkpoint = _load(path)
    if checkpoint is None:
        raise ValueError(f"{path}: there are no weights here that can be read")
    if json.loads(checkpoint.signature)["plan"] != plan.key:
        raise ValueError(f"{path}: these are the weights of another network")
    return checkpoint.network


def _load(path: Path) -> Checkpoint | None:
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return _from_plain(torch.load(path, map_location="cpu", weights_only=True))
    except (zipfile.BadZipFile, EOFError, RuntimeError, KeyError, TypeError) as error:
        logger.warning("%s: checkpoint cannot be read (%s); the one before is tried", path, error)
        return None
    logger.warning("%s: checkpoint is damaged (%s); the one before is tried", path, damaged)
    return None


def _to_plain(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "signature": checkpoint.signature,
        "progress": asdict(checkpoint.progress),
        "network": checkpoint.network,
        "optimiser": checkpoint.optimiser,
    }


def _from_plain(plain: dict[str, Any]) -> Checkpoint:
    progress = dict(plain["progress"])
    progress["curve"] = tuple(EpochReport(**report) for report in progress["curve"])
    progress["forms"] = tuple(progress["forms"])
    return Checkpoint(
        signature=plain["signature"],
        progress=Progress(**progress),
        network=plain["network"],
        optimiser=plain["optimiser"],
    )


def _difference(found: str, request: TrainRequest) -> str:
    """Which of the agreed things differ."""
    there, here = json.loads(found), json.loads(signature(request))
    return "other " + ", ".join(name for name in here if there.get(name) != here[name])
