"""Which of Ray's errors are the trial's own, and which a machine's."""

from __future__ import annotations

import pytest

import orchestrator.pools.ray  # noqa: F401 (it sets the authentication, which Ray reads once, when it is imported)

# isort: split
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    OwnerDiedError,
    RayError,
    RaySystemError,
    RayTaskError,
    RpcError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from orchestrator.pools.errors import reason, what_it_means

LOST = "ff" * 28


def raised(cause: Exception) -> RayError:
    """As `ray.get` raises what a worker's code raised: of both classes."""
    made: RayError = RayTaskError("run", "Traceback: …", cause).as_instanceof_cause()
    return made


class Unsendable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("cannot be pickled")


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        ActorUnavailableError("for now", None),
        NodeDiedError("the node is gone"),
        LocalRayletDiedError(),
        WorkerCrashedError(),
        ObjectLostError(LOST, None, ""),
        OwnerDiedError(LOST, None, ""),
        RaySystemError("the head is gone"),
        RpcError("connection reset"),
        RuntimeEnvSetupError("no such package"),
        GetTimeoutError("late"),
        raised(NodeDiedError("a node that it asked is gone")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_befell_a_machine_is_a_lost_worker(error: RayError) -> None:
    assert what_it_means(error) == "lost"
    assert reason(error)
    assert "\n" not in reason(error)


def test_what_the_workers_code_raised_is_the_trials_own_failure() -> None:
    assert what_it_means(raised(ValueError("a bad plan"))) == "failed"
    assert what_it_means(raised(MemoryError())) == "failed"
    assert what_it_means(raised(Unsendable("its error cannot be sent"))) == "failed"


def test_a_node_short_of_memory_is_told_apart() -> None:
    assert what_it_means(OutOfMemoryError("the node was short of memory")) == "short of memory"
