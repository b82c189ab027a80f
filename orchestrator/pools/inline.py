"""A pool of one worker in this very process: for debugging, tests, and machines where Ray does not run."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.decisions import Joined, Lost, Said
from orchestrator.pools.protocol import Job, PoolEvent
from orchestrator.pools.runner import TRAIN, resolve
from workers.records import EpochReport, Message

WORKER = "inline"


class InlinePool:
    """Each call of `events` trains on until the next message; a time limit is kept between batches only."""

    def __init__(self, runner: str = TRAIN, memory: int | None = None) -> None:
        self._runner = runner
        self._memory = memory
        self._joined = False
        self._job: Job | None = None
        self._messages: Iterator[Message] = iter(())

    def launch(self, worker: str, job: Job) -> None:
        assert worker == WORKER
        assert self._job is None, "the inline worker is busy"
        self._job = job
        self._messages = resolve(self._runner)(job.request)

    def events(self, timeout: float) -> list[PoolEvent]:
        if not self._joined:
            self._joined = True
            return [Joined(WORKER, self._memory)]
        if self._job is None:
            return []
        job, message = self._job, next(self._messages)
        if not isinstance(message, EpochReport):
            self._job = None
        return [Said(job.number, job.attempt, message)]

    def kill(self, worker: str) -> None:
        raise AssertionError(f"{Lost(worker)}: nothing can end the process's own worker")

    def close(self) -> None:
        self._job = None
        self._messages = iter(())
