"""Checkpoints that survive a kill at any moment, in a folder or in a bucket (workers.places)."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from search_spaces.plan import Plan
from workers.places import place_of_file
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


def save(address: str | Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint so that either it or the one before is whole. OSError where the disk is full."""
    buffer = io.BytesIO()
    torch.save(_to_plain(checkpoint), buffer)
    place, name = place_of_file(address)
    place.write(name, buffer.getbuffer())


def resume(address: str | Path, request: TrainRequest) -> Checkpoint | None:
    """The newest whole checkpoint at the address, or None where there is none. ValueError where it is another training's."""
    place, name = place_of_file(address)
    for where, content in place.versions(name):
        checkpoint = _read(content, where)
        if checkpoint is None:
            continue
        if checkpoint.signature != signature(request):
            raise ValueError(
                f"{where}: this checkpoint is of another training ({_difference(checkpoint.signature, request)}); "
                "give another checkpoint file, or delete this one to start again"
            )
        return checkpoint
    return None


def trained_weights(path: Path, plan: Plan) -> dict[str, Any]:
    """The network's state in a checkpoint. ValueError where it cannot be read, or is of another network."""
    checkpoint = _read(path.read_bytes(), str(path)) if path.exists() else None
    if checkpoint is None:
        raise ValueError(f"{path}: there are no weights here that can be read")
    if json.loads(checkpoint.signature)["plan"] != plan.key:
        raise ValueError(f"{path}: these are the weights of another network")
    return checkpoint.network


def _read(content: bytes, where: str) -> Checkpoint | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
        if damaged is None:
            return _from_plain(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except (zipfile.BadZipFile, EOFError, RuntimeError, KeyError, TypeError) as error:
        logger.warning("%s: checkpoint cannot be read (%s); the one before is tried", where, error)
        return None
    logger.warning("%s: checkpoint is damaged (%s); the one before is tried", where, damaged)
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
