"""A pool of long-lived Ray actors. The only file of the search that imports ray.

As many actors are asked for as there are workers wanted; Ray places them as nodes join, and one that dies is replaced,
so the pool grows and shrinks with the cluster. Each job is one streaming call whose items are the worker's messages.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # the same on every side; see docs/guide
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import RayActorError, RayError

from orchestrator.decisions import Joined, Lost, Said
from orchestrator.pools.protocol import Job, PoolEvent
from orchestrator.pools.runner import TRAIN, resolve
from workers.records import EpochReport, Failure, Message, TrainRequest

QUIET: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNeeds:
    """What one worker holds; `labels` is Ray's label selector, `environment` its process's own variables.

    memory: bytes that its trainings may take; None: its share of a GPU, which it tells when it joins.
    """

    cpus: float = 1
    gpus: float = 0
    memory: int | None = None
    labels: Mapping[str, str]
    environment: Mapping[str, str]


class TrainWorker:
    """The actor: trains one request at a time and streams its messages."""

    def __init__(self, runner: str, gpus: float) -> None:
        self._runner = runner
        self._gpus = gpus

    def ready(self) -> int | None:
        """Answers when it runs: the bytes of its share of a GPU, which it keeps to; None without one."""
        if not self._gpus:
            return None
        from workers.device import claim_share

        return claim_share(self._gpus)

    def run(self, request: TrainRequest) -> Iterator[Message]:
        yield from resolve(self._runner)(request)


@dataclass(slots=True)
class _Seat:
    """One actor, and what it does."""

    name: str
    actor: Any
    waiting: Any  # a reference to its readiness, or the stream of its job
    job: Job | None = None
    joined: bool = False


class RayPool:
    """`workers` actors on the cluster at `address` (None: one started here for this process alone)."""

    def __init__(
        self, workers: int | None, needs: WorkerNeeds, address: str | None = None, runner: str = TRAIN
    ) -> None:
        """Connects, and asks for the actors. ValueError where there is no cluster at the address."""
        self._connected_before = ray.is_initialized()
        _connect(address, needs, workers)
        self._needs = needs
        self._runner = runner
        self._seats: dict[Any, _Seat] = {}  # what is waited for -> seat
        self._names: dict[str, _Seat] = {}
        self._count = 0
        self._pending: deque[PoolEvent] = deque()
        for _ in range(workers or _fitting(needs)):
            self._hire()

    def launch(self, worker: str, job: Job) -> None:
        seat = self._names[worker]
        assert seat.joined, f"{worker} has not joined"
        assert seat.job is None, f"{worker} is busy"
        stream = seat.actor.run.options(num_returns="streaming").remote(job.request)
        seat.waiting, seat.job = stream, job
        self._seats[stream] = seat

    def events(self, timeout: float) -> list[PoolEvent]:
        if not self._pending and self._seats:
            ready, _ = ray.wait(list(self._seats), num_returns=1, timeout=timeout, fetch_local=False)
            if ready:  # whatever else is ready by now comes along
                ready, _ = ray.wait(list(self._seats), num_returns=len(self._seats), timeout=0, fetch_local=False)
            for waiting in ready:
                self._listen(waiting)
        events = list(self._pending)
        self._pending.clear()
        return events

    def kill(self, worker: str) -> None:
        seat = self._names.get(worker)
        if seat is not None:
            ray.kill(seat.actor)
            if seat.job is None:
                self._lose(seat, "it was killed")

    def close(self) -> None:
        for seat in self._names.values():
            with contextlib.suppress(RayError):
                ray.kill(seat.actor)
        self._names.clear()
        self._seats.clear()
        if not self._connected_before:
            ray.shutdown()

    def _hire(self) -> None:
        self._count += 1
        name = f"worker-{self._count}"
        remote: Any = ray.remote(TrainWorker)
        actor = remote.options(
            num_cpus=self._needs.cpus,
            num_gpus=self._needs.gpus,
            label_selector=dict(self._needs.labels) or None,
            runtime_env={"env_vars": dict(self._needs.environment)},
            max_restarts=0,
        ).remote(self._runner, self._needs.gpus)
        seat = _Seat(name, actor, actor.ready.remote())
        self._seats[seat.waiting] = seat
        self._names[name] = seat

    def _listen(self, waiting: Any) -> None:
        seat = self._seats[waiting]
        try:
            if not seat.joined:
                share = ray.get(waiting)
                del self._seats[waiting]
                seat.joined = True
                self._pending.append(Joined(seat.name, self._needs.memory or share))
            else:
                self._hear(seat, ray.get(next(waiting)))
        except StopIteration:
            self._hear(seat, Failure(key="", kind="exception", message="the worker ended without a result"))
        except RayActorError as error:
            self._lose(seat, _reason(error))
        except RayError as error:  # the call itself failed: a record, so that the trial ends
            message = str(error).splitlines()[0]
            self._hear(seat, Failure(key="", kind="exception", message=message, traceback=str(error)))

    def _hear(self, seat: _Seat, message: Message) -> None:
        """Passes a message on; a result is a job's last, so its stream need not be drained."""
        assert seat.job is not None
        self._pending.append(Said(seat.job.number, seat.job.attempt, message))
        if not isinstance(message, EpochReport):
            del self._seats[seat.waiting]
            seat.job = None

    def _lose(self, seat: _Seat, reason: str) -> None:
        self._seats.pop(seat.waiting, None)
        self._names.pop(seat.name, None)
        self._pending.append(Lost(seat.name, reason))
        self._hire()


def start_here(workers: int, cpus_per_worker: float) -> None:
    """Starts a Ray of this process's own, large enough for its workers."""
    cpus = max(os.cpu_count() or 1, math.ceil(workers * cpus_per_worker))
    ray.init(num_cpus=cpus, include_dashboard=False, **QUIET)


def _connect(address: str | None, needs: WorkerNeeds, workers: int | None) -> None:
    if ray.is_initialized():
        return
    if address is None:
        start_here(workers or 1, needs.cpus)
        return
    try:
        ray.init(address=address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"resources.address {address}: no Ray cluster answers ({str(error).splitlines()[0]}). If one runs there, "
            "its token may be missing here: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (`ray get-auth-token` on the head "
            "prints it), or RAY_AUTH_MODE=disabled on every side"
        ) from error


def _fitting(needs: WorkerNeeds) -> int:
    """How many workers the cluster holds now."""
    held: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    fits = [held.get("CPU", 0) / needs.cpus] if needs.cpus else []
    fits += [held.get("GPU", 0) / needs.gpus] if needs.gpus else []
    return max(1, int(min(fits, default=1)))


def _reason(error: RayActorError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:500]
