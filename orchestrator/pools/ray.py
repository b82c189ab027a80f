"""A pool of long-lived Ray actors. The only file of the search that imports ray.

As many actors are asked for as there are workers wanted; Ray places them as nodes join, and one that dies is replaced,
so the pool grows and shrinks with the cluster. Each job is one streaming call: its first item says that it began, the
others are the worker's messages.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # the same on every side; see docs/guide
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import ray._private.worker
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.decisions import Joined, Lost, Said
from orchestrator.pools.errors import reason, what_it_means
from orchestrator.pools.fitting import NodeFacts, fitting
from orchestrator.pools.head import HeadWatch
from orchestrator.pools.protocol import Job, PoolEvent
from orchestrator.pools.runner import TRAIN, resolve
from workers.records import EpochReport, Failure, Message

QUIET: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
ray._private.worker._worker_logs_enabled = False  # else it prints the nodes' errors to stdout, amid the JSON
BEGAN = None  # the first item of a job's stream
SECONDS_BETWEEN_LOOKS = 5.0  # at the cluster's nodes
SECONDS_WITHOUT_WORKERS = 60.0  # until a person is told
MOST_STILLBORN = 12  # workers in turn that died before they were ready: then they all would


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
        os.chdir("/")  # the folder that Ray gave it may be written anew when another node starts on its machine
        self._runner = runner
        self._gpus = gpus

    def ready(self) -> int | None:
        """Answers when it runs: the bytes of its share of a GPU, which it keeps to; None without one."""
        if not self._gpus:
            return None
        from workers.device import claim_share

        return claim_share(self._gpus)

    def run(self, request: bytes) -> Iterator[Message | None]:
        """request: a pickled TrainRequest, since Ray's own way with objects takes ten times as long."""
        yield BEGAN
        yield from resolve(self._runner)(pickle.loads(request))  # noqa: S301 (the driver's own, and Ray pickles all else)


@dataclass(slots=True)
class _Seat:
    """One actor, and what it does."""

    name: str
    actor: Any
    waiting: Any  # a reference to its readiness, or the stream of its job
    job: Job | None = None
    joined: bool = False
    began: bool = False


class RayPool:
    """`workers` actors on the cluster at `address` (None: one started here for this process alone).

    workers None: as many as the cluster holds, looked at again and again, and some to spare, at most `most`. Those that
    wait for a place are the demand that an autoscaler answers. `say` takes a line for a person.
    """

    def __init__(
        self,
        workers: int | None,
        needs: WorkerNeeds,
        address: str | None = None,
        runner: str = TRAIN,
        most: int | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Connects, and asks for the actors. ValueError where there is no cluster at the address."""
        self._connected_before = ray.is_initialized()
        _connect(address, needs, workers)
        self._elastic = workers is None and address is not None
        self._workers = workers
        self._most = most
        self._stillborn = 0
        self._say = say
        self._staffed_at: float | None = time.monotonic()  # when a worker was last seen; None: a person was told
        self._head = HeadWatch(ray.get_runtime_context().gcs_address) if address is not None else None
        if self._head is not None:
            self._head.start()
        self._needs = needs
        self._runner = runner
        self._seats: dict[Any, _Seat] = {}  # what is waited for -> seat
        self._names: dict[str, _Seat] = {}
        self._count = 0
        self._pending: deque[PoolEvent] = deque()
        self._looked_at = time.monotonic()
        self._fill()

    def launch(self, worker: str, job: Job) -> None:
        seat = self._names[worker]
        assert seat.joined, f"{worker} has not joined"
        assert seat.job is None, f"{worker} is busy"
        stream = seat.actor.run.options(num_returns="streaming").remote(pickle.dumps(job.request))
        seat.waiting, seat.job, seat.began = stream, job, False
        self._seats[stream] = seat

    def events(self, timeout: float) -> list[PoolEvent]:
        """ClusterLostError where the head is gone; ValueError where no worker ever gets ready."""
        if self._head is not None:
            self._head.check()
        if self._elastic and time.monotonic() - self._looked_at >= SECONDS_BETWEEN_LOOKS:
            self._looked_at = time.monotonic()
            self._fill()
        self._tell_waiting()
        if not self._pending and self._seats:
            for waiting in self._ready(timeout):
                if waiting in self._seats:  # what an earlier one meant may have sent this one away
                    self._listen(waiting)
        elif not self._pending:
            time.sleep(timeout)
        events = list(self._pending)
        self._pending.clear()
        return events

    def _ready(self, timeout: float) -> list[Any]:
        """All that say something by now; where none does, the first that does."""
        seats = list(self._seats)
        ready, _ = ray.wait(seats, num_returns=len(seats), timeout=0, fetch_local=False)
        if not ready:
            ready, _ = ray.wait(seats, num_returns=1, timeout=timeout, fetch_local=False)
        return ready

    def kill(self, worker: str) -> None:
        seat = self._names.get(worker)
        if seat is not None:
            self._lose(seat, "it was killed")

    def close(self) -> None:
        if self._head is not None:
            self._head.close()
        for seat in self._names.values() if self._head is None or not self._head.lost else ():
            with contextlib.suppress(RayError):
                ray.kill(seat.actor)
        self._names.clear()
        self._seats.clear()
        if not self._connected_before:
            ray.shutdown()

    def _tell_waiting(self) -> None:
        """Once, where no worker has been there for long: a selector may match no node, or nobody starts nodes any more."""
        if any(seat.joined for seat in self._names.values()):
            self._staffed_at = time.monotonic()
        elif self._staffed_at is not None and time.monotonic() - self._staffed_at >= SECONDS_WITHOUT_WORKERS:
            self._staffed_at = None
            needs, labels = self._needs, dict(self._needs.labels)
            self._say(
                f"no worker has found a place for {SECONDS_WITHOUT_WORKERS:.0f} s; each needs {needs.cpus:g} CPUs and "
                f"{needs.gpus:g} GPUs{f' on a node with {labels}' if labels else ''}. The search waits for nodes; "
                "`igcv doctor FILE` says what is there"
            )

    def _fill(self) -> None:
        """Hires whoever is missing; of an elastic pool those who wait for a place that is not there any more go."""
        wanted = self._workers if self._workers is not None else self._room()
        for _ in range(wanted - len(self._names)):
            self._hire()
        surplus = len(self._names) - wanted
        for seat in [seat for seat in reversed(self._names.values()) if not seat.joined][: max(0, surplus)]:
            self._drop(seat)

    def _room(self) -> int:
        held = fitting(cluster_nodes(), self._needs.cpus, self._needs.gpus, self._needs.labels)
        if not self._elastic:
            return max(1, held)
        wanted = held + max(1, held // 4)
        return min(wanted, self._most) if self._most is not None else wanted

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
                self._stillborn = 0
                self._pending.append(Joined(seat.name, self._needs.memory or share))
            else:
                self._hear(seat, ray.get(next(waiting)))
        except StopIteration:
            self._hear(seat, Failure(key="", kind="exception", message="the worker ended without a result"))
        except RayError as error:
            meaning = what_it_means(error)
            if meaning == "failed":  # a record, so that the trial ends
                message = str(error).splitlines()[0]
                self._hear(seat, Failure(key="", kind="exception", message=message, traceback=str(error)))
            else:
                self._lose(seat, reason(error), short_of_memory=meaning == "short of memory")

    def _hear(self, seat: _Seat, message: Message | None) -> None:
        """Passes a message on; a result is a job's last, so its stream need not be drained."""
        assert seat.job is not None
        if message is BEGAN:
            seat.began = True
            return
        self._pending.append(Said(seat.job.number, seat.job.attempt, message))
        if not isinstance(message, EpochReport):
            del self._seats[seat.waiting]
            seat.job = None

    def _lose(self, seat: _Seat, reason: str, short_of_memory: bool = False) -> None:
        """Another takes its place. One that is cut off may live on, so it is ended for certain."""
        self._drop(seat)
        self._pending.append(Lost(seat.name, reason, seat.began or seat.job is None, short_of_memory))
        self._stillborn += not seat.joined
        if self._stillborn >= MOST_STILLBORN:
            raise ValueError(
                f"{self._stillborn} workers in turn died before they were ready; the last one: {reason}. The nodes' logs "
                "under /tmp/ray/session_latest/logs say more; `igcv doctor FILE` checks what a worker needs"
            )
        self._fill()

    def _drop(self, seat: _Seat) -> None:
        self._seats.pop(seat.waiting, None)
        self._names.pop(seat.name, None)
        with contextlib.suppress(RayError):
            ray.kill(seat.actor)


def start_here(workers: int, cpus_per_worker: float) -> None:
    """Starts a Ray of this process's own, large enough for its workers, whatever else runs on this machine."""
    cpus = max(os.cpu_count() or 1, math.ceil(workers * cpus_per_worker))
    ray.init(address="local", num_cpus=cpus, include_dashboard=False, **QUIET)


def _connect(address: str | None, needs: WorkerNeeds, workers: int | None) -> None:
    if ray.is_initialized():
        return
    if address is None:
        start_here(workers or 1, needs.cpus)
        return
    _connect_to(address)


@contextlib.contextmanager
def connect(address: str) -> Iterator[None]:
    """Connected to the cluster inside. ValueError where there is none, or where it refuses."""
    _connect_to(address)
    try:
        yield
    finally:
        ray.shutdown()


def _connect_to(address: str) -> None:
    try:
        ray.init(address=address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"resources.address {address}: no Ray cluster answers ({str(error).splitlines()[0]}). If one runs there, "
            "its token may be missing here: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (`ray get-auth-token` on the head "
            "prints it), or RAY_AUTH_MODE=disabled on every side"
        ) from error


def cluster_nodes() -> list[NodeFacts]:
    """The living nodes of the cluster that this process is connected to."""
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [
        NodeFacts(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']}:{node['NodeID'][:6]}",
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            labels=node["Labels"],
        )
        for node in found
        if node["Alive"]
    ]


def ask_nodes(nodes: Sequence[NodeFacts], function: str, arguments: tuple[Any, ...], seconds: float) -> dict[str, Any]:
    """What `module:function` answers on each node, by the node's name; why, in words, where it does not."""
    remote: Any = ray.remote(_answer)
    asked: dict[Any, str] = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        asked[remote.options(num_cpus=0, scheduling_strategy=there).remote(function, arguments)] = node.name
    ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=seconds) if asked else ([], [])
    answers: dict[str, Any] = {asked[reference]: f"it did not answer within {seconds:g} s" for reference in late}
    for reference in ready:
        try:
            answers[asked[reference]] = ray.get(reference)
        except RayError as error:
            answers[asked[reference]] = f"it cannot run this program: {_first_line(error)}"
    return answers


def _answer(function: str, arguments: tuple[Any, ...]) -> Any:
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)(*arguments)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
