"""A trial as the search sees it: what is trained, where it stands, what came of it. No framework knows this file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from search_spaces.cost import Cost
from search_spaces.space import Architecture
from workers.measured import MEASURED, MeasuredCost
from workers.records import EpochReport, Failure, Metrics

Phase = Literal["queued", "training", "paused", "lost", "complete", "pruned", "failed"]
Source = Literal["search", "reference"]
ENDED: frozenset[Phase] = frozenset({"complete", "pruned", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A network that may be trained: within the budget, and not yet seen. `architecture` is None for a reference."""

    name: str
    source: Source
    family: str
    architecture: Architecture | None
    plan_key: str
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """One stay of a trial on a worker; `ended` is the phase that followed, None while it trains."""

    worker: str
    started_at: float
    ended_at: float | None = None
    ended: Phase | None = None


@dataclass(slots=True, kw_only=True)
class Trial:
    """One training, from its record in the study to its end. Only `Decisions` changes it."""

    number: int
    candidate: Candidate
    phase: Phase = "queued"
    curve: list[EpochReport] = field(default_factory=list)
    worker: str | None = None
    attempts: int = 0  # launches
    losses: int = 0  # launches that ended with the worker's death
    stuck: int = 0  # of these, since its last finished epoch
    unbegun: int = 0  # launches on workers that were dead before they took it up
    rung: int = 0  # how many rungs it was promoted past
    micro_batch: int | None = None  # images at a time where memory is too small for the recipe's; part of its recipe
    shrunk: bool = False  # it ran out of memory once, and goes on in smaller parts
    measured: MeasuredCost | None = None  # in use; known once an attempt has ended, where it is asked for
    metrics: Metrics | None = None
    failure: Failure | None = None
    stints: list[Stint] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return self.curve[-1].epoch if self.curve else 0

    @property
    def accuracy(self) -> float | None:
        """The final accuracy: known only when the whole recipe was trained."""
        return self.metrics.accuracy if self.phase == "complete" and self.metrics else None

    def cost(self, name: str) -> float | None:
        """An objective beside accuracy: exact, or as measured; None where it was not measured yet."""
        if name in MEASURED:
            return self.measured.value(name) if self.measured else None
        return float(getattr(self.candidate.cost, name))

    @property
    def started_at(self) -> float | None:
        """When it was first launched, in seconds since the epoch."""
        return self.stints[0].started_at if self.stints else None

    @property
    def ended_at(self) -> float | None:
        return self.stints[-1].ended_at if self.stints and self.phase in ENDED else None

    def begin(self, worker: str, now: float) -> None:
        """A launch on a worker."""
        self.attempts += 1
        self.phase, self.worker = "training", worker
        self.stints.append(Stint(worker=worker, started_at=now))

    def turn(self, phase: Phase, now: float) -> None:
        """Off its worker, into another phase."""
        if self.stints and self.stints[-1].ended_at is None:
            self.stints[-1] = replace(self.stints[-1], ended_at=now, ended=phase)
        self.phase, self.worker = phase, None

    @property
    def seconds(self) -> float:
        """Training seconds of all finished epochs."""
        return sum(report.seconds for report in self.curve)
