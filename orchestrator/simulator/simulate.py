"""Many simulated searches, by sampler and seed, and what they reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.decisions import CostName, Limits
from orchestrator.promotion import StoppedBy, make_promotion
from orchestrator.sampler.encoding import Floats
from orchestrator.sampler.named import OPTUNA, proposer_over
from orchestrator.simulator.engine import Log, Simulation
from orchestrator.simulator.tables import Table
from orchestrator.simulator.world import RecordedWorld, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """This machine's seconds for one decision (median) and one proposal (mean) up to so many trainings, and its memory."""

    trainings: int
    decision_seconds: float
    proposal_seconds: float
    memory_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One comparison. `reference_macs` and `reference_params` default to the budget, else to the dearest member.

    raw: each sampler of Optuna also unguarded, so that duplicates and proposals over the budget count as trainings.
    rungs: epochs at which trainings pause (none: no early stopping). ahead: proposals made before they are needed.
    even_seconds: each recorded epoch counts as one second.
    """

    max_macs: int | None = None
    max_params: int | None = None
    reference_error: float = 0.15
    reference_macs: float | None = None
    reference_params: float | None = None
    costs: tuple[CostName, ...] = ("macs",)
    trials: int = 100
    workers: int = 1
    seeds: tuple[int, ...] = tuple(range(20))
    samplers: tuple[str, ...] = ("igcv",)
    raw: bool = False
    rungs: tuple[int, ...] = ()
    eta: float = 2.0
    stopped_by: StoppedBy = "promise"
    ahead: int = 0
    seen: int = 0  # which of a network's seeds the search sees
    even_seconds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What one sampler reached. Arrays are (seeds, trainings), the last value repeated where a search ended before."""

    sampler: str
    guarded: bool
    shares: Floats = field(repr=False)  # of the true front's hypervolume; of the best known where that is unknown
    seconds: Floats = field(repr=False)  # of the virtual clock
    spent: Floats = field(repr=False)  # training seconds, those of paused and stopped trainings included
    trainings: tuple[int, ...]  # completed, by seed
    launched: tuple[int, ...]
    distinct: tuple[int, ...]
    over_budget: tuple[int, ...]
    pace: tuple[Pace, ...]  # of the first seed's search, in about a hundred parts

    def at(self, trainings: int) -> tuple[float, float]:
        """Mean share and its standard error after so many trainings; a search that ended before keeps its share."""
        column = self.shares[:, min(trainings, self.shares.shape[1]) - 1]
        return float(column.mean()), _standard_error(column)

    def by_time(self, moments: Floats) -> Floats:
        """The share (seeds, moments) that each search had reached at moments of the virtual clock."""
        return np.stack([_at_moments(*one, moments) for one in zip(self.seconds, self.shares, strict=True)])

    def spent_until(self, share: float) -> list[float | None]:
        """For each seed, the training seconds until a share was reached; None where it never was."""
        found: list[float | None] = []
        for shares, spent in zip(self.shares, self.spent, strict=True):
            reached = np.flatnonzero(shares >= share)
            found.append(float(spent[reached[0]]) if len(reached) else None)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """One row for each sampler and mode, in the order asked for. `reference` is (error, *costs)."""

    settings: Settings
    reference: tuple[float, ...]
    hypervolume: float
    is_true: bool  # whether `hypervolume` is that of the true front
    rows: tuple[Reached, ...]


def simulate(table: Table, settings: Settings, say: Callable[[str], None] = lambda _: None) -> SimulationResult:
    """Searches a table of recorded trainings. ValueError where nothing keeps the budget or a sampler is unknown."""
    world = RecordedWorld(table, settings.max_macs, settings.max_params, settings.seen, settings.even_seconds)
    return simulate_world(world, settings, say)


def simulate_world(world: World, settings: Settings, say: Callable[[str], None] = lambda _: None) -> SimulationResult:
    """The same over any world; `say` gets a line when a sampler is done."""
    reference = _reference(world, settings)
    logs: list[tuple[str, bool, list[Log]]] = []
    for name in settings.samplers:
        for guarded in (False, True) if settings.raw and name in OPTUNA else (True,):
            logs.append(
                (name, guarded, [_search(world, settings, reference, name, guarded, seed) for seed in settings.seeds])
            )
            say(f"{name}{'' if guarded else ' (raw)'}: {len(settings.seeds)} searches done")
    volumes = [[log.volumes(world, settings.costs, reference) for log in of_one] for _, _, of_one in logs]
    best = world.best(settings.costs, reference)
    most = max((float(volume[-1]) for of_one in volumes for volume in of_one if len(volume)), default=1.0)
    whole = most if best is None else best
    rows = tuple(
        _reached(name, guarded, of_one, [volume / whole for volume in of_volumes], world)
        for (name, guarded, of_one), of_volumes in zip(logs, volumes, strict=True)
    )
    return SimulationResult(
        settings=settings, reference=reference, hypervolume=whole, is_true=best is not None, rows=rows
    )


def _search(world: World, settings: Settings, reference: Sequence[float], name: str, guarded: bool, seed: int) -> Log:
    proposer = proposer_over(world.source, name, settings.costs, reference, seed, guarded)
    promotion = make_promotion(
        settings.rungs, settings.eta, world.epochs, settings.stopped_by, tuple(reference), world.source
    )
    limits = Limits(trials=settings.trials, ahead=settings.ahead)
    return Simulation(world, proposer, limits, promotion, settings.costs, settings.workers).run()


def _reference(world: World, settings: Settings) -> tuple[float, ...]:
    given = {
        "macs": settings.reference_macs or settings.max_macs,
        "params": settings.reference_params or settings.max_params,
    }
    return (settings.reference_error, *(float(given[name] or world.dearest(name)) for name in settings.costs))


def _reached(name: str, guarded: bool, logs: Sequence[Log], shares: Sequence[Floats], world: World) -> Reached:
    length = max(len(share) for share in shares)
    return Reached(
        sampler=name,
        guarded=guarded,
        shares=_padded(shares, length),
        seconds=_padded([np.asarray(log.seconds) for log in logs], length),
        spent=_padded([np.asarray(log.spent) for log in logs], length),
        trainings=tuple(len(log.architectures) for log in logs),
        launched=tuple(log.launched for log in logs),
        distinct=tuple(len(set(log.architectures)) for log in logs),
        over_budget=tuple(sum(not world.source.contains(one) for one in log.architectures) for log in logs),
        pace=tuple(_pace(logs[0])),
    )


def _pace(log: Log) -> Iterator[Pace]:
    """One part for each mark, from the mark before on."""
    decisions, proposals = np.asarray(log.decision_seconds), np.asarray(log.proposal_seconds)
    last = (0, 0)
    for mark in log.marks:
        made, asked = decisions[last[0] : mark.decisions], proposals[last[1] : mark.proposals]
        last = mark.decisions, mark.proposals
        yield Pace(
            trainings=mark.trainings,
            decision_seconds=float(np.median(made)) if len(made) else 0.0,
            proposal_seconds=float(asked.mean()) if len(asked) else 0.0,
            memory_mib=mark.memory_mib,
        )


def _at_moments(seconds: Floats, shares: Floats, moments: Floats) -> Floats:
    """Shares come in order of time; before the first training the share is 0."""
    return np.append(0.0, shares)[np.searchsorted(seconds, moments, side="right")]


def _padded(series: Sequence[Floats], length: int) -> Floats:
    """(series, length): each drawn out with its last value."""
    return np.stack(
        [np.pad(one, (0, length - len(one)), mode="edge") if len(one) else np.zeros(length) for one in series]
    )


def _standard_error(column: Floats) -> float:
    return float(column.std(ddof=1) / np.sqrt(len(column))) if len(column) > 1 else 0.0
