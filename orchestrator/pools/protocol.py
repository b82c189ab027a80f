"""What a pool of workers is to the search: launch, listen, kill, close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.decisions import Joined, Lost, Said
from workers.records import TrainRequest

PoolEvent = Joined | Lost | Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt at one trial."""

    number: int
    attempt: int
    request: TrainRequest


class Pool(Protocol):
    """Workers join by themselves (`Joined`), take one job at a time, and are replaced when they are lost."""

    def launch(self, worker: str, job: Job) -> None:
        """Starts a job on a worker that has joined and is free."""

    def events(self, timeout: float) -> list[PoolEvent]:
        """What happened; waits at most `timeout` seconds for the first event."""

    def kill(self, worker: str) -> None:
        """Ends a worker at once; `Lost` follows."""

    def close(self) -> None:
        """Ends all workers; running jobs keep their last checkpoint."""
