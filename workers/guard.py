"""Turns whatever goes wrong in a training into a Failure record; nothing but an interrupt leaves it as an exception."""

from __future__ import annotations

import errno
import gc
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace

import torch

from workers.data.source import DataError
from workers.records import EpochReport, Failure, FailureKind, Message, Metrics, TrainRequest
from workers.trainer import NotFiniteError, TimeLimitError, train

CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")  # user:password in an address


def run(request: TrainRequest) -> Iterator[Message]:
    """`attempt`, and once more where memory did not suffice: half the batch at a time, the same effective batch
    (Metrics.micro_batch). Without a checkpoint the epochs are then reported again from the first."""
    smaller = smaller_request(request)
    for message in attempt(request):
        if isinstance(message, Failure) and message.kind == "out_of_memory" and smaller is not None:
            yield from attempt(smaller)
        else:
            yield message


def attempt(request: TrainRequest) -> Iterator[Message]:
    """Trains; ends with Metrics or Failure and never raises (interrupts and a closed generator pass)."""
    epochs = 0
    try:
        for message in train(request):
            if isinstance(message, EpochReport):
                epochs = message.epoch
            elif request.measure is not None:
                message = measured_in_use(request, message)
            yield message
        return
    except Exception as error:
        failed = failure(request, error, epochs)
    _free_memory()  # here, where the error no longer holds the frames that hold the tensors
    yield failed


def measured_in_use(request: TrainRequest, metrics: Metrics) -> Metrics:
    """The result with what its network costs in use, here and now."""
    from workers.measure import measure  # it needs this file

    assert request.measure is not None
    found = measure(request.plan, request.measure, device=request.device, threads=request.threads)
    return replace(metrics, measured=found)


def smaller_request(request: TrainRequest) -> TrainRequest | None:
    """The same request in parts of half a batch, or None where there is nothing to halve."""
    size = request.recipe.micro_batch or request.recipe.batch_size
    if size < 2:
        return None
    return replace(request, recipe=replace(request.recipe, micro_batch=size // 2))


def failure(request: TrainRequest, error: Exception, epochs: int) -> Failure:
    """The record of an error."""
    return Failure(
        key=request.key,
        kind=failure_kind(error),
        message=_redacted(str(error) or type(error).__name__),
        traceback=_redacted("".join(traceback.format_exception(error))),
        epochs=epochs,
    )


def failure_kind(error: Exception) -> FailureKind:
    """Which kind of failure an error is."""
    match error:
        case NotFiniteError():
            return "nan"
        case TimeLimitError():
            return "time_limit"
        case DataError():
            return "data"
        case MemoryError() | torch.OutOfMemoryError():
            return "out_of_memory"
        case RuntimeError() if "DefaultCPUAllocator" in str(error) or "out of memory" in str(error).lower():
            return "out_of_memory"
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return "disk"
        case _:
            return "exception"


def _redacted(text: str) -> str:
    return CREDENTIALS.sub("…@", text)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
