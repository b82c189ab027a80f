"""What a simulation showed: as plain data, as a table in the terminal, as a page of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from dashboards.words import count
from orchestrator.sampler.encoding import Floats
from orchestrator.simulator.simulate import Reached, Settings, SimulationResult

MOMENTS = 200  # of the virtual clock
MOST_POINTS = 2000  # of a line
COUNTS = (25, 50, 100, 200, 400, 1000, 10_000, 100_000)  # trainings of which the terminal tells
TARGETS = (0.9, 0.95, 0.99)  # shares whose training time is told


def title(reached: Reached) -> str:
    return reached.sampler if reached.guarded else f"{reached.sampler} (raw)"


def facts(result: SimulationResult) -> dict[str, Any]:
    """All of it; shares are of the true front's hypervolume where `is_true`, else of the best that any search found."""
    return {
        "settings": asdict(result.settings),
        "reference": list(result.reference),
        "hypervolume": result.hypervolume,
        "is_true": result.is_true,
        "samplers": [_facts(row, moments(result)) for row in result.rows],
    }


def _facts(row: Reached, at: Floats) -> dict[str, Any]:
    return {
        "sampler": row.sampler,
        "guarded": row.guarded,
        "by_trainings": _series(np.arange(1, row.shares.shape[1] + 1), row.shares),
        "by_seconds": _series(at, row.by_time(at)),
        "training_seconds_until": {f"{target:g}": row.spent_until(target) for target in TARGETS},
        "trainings": list(row.trainings),
        "launched": list(row.launched),
        "distinct": list(row.distinct),
        "over_budget": list(row.over_budget),
        "pace": [asdict(part) for part in row.pace],
    }


def _series(x: Floats, shares: Floats) -> dict[str, list[float]]:
    """The columns, thinned evenly where they are many."""
    kept = _evenly(shares.shape[1])
    return {
        "at": x[kept].tolist(),
        "mean": shares[:, kept].mean(axis=0).tolist(),
        "deviation": _deviation(shares[:, kept]).tolist(),
        "standard_error": (_deviation(shares[:, kept]) / np.sqrt(len(shares))).tolist(),
    }


def _evenly(count: int) -> npt.NDArray[np.int64]:
    """At most MOST_POINTS of so many columns, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(np.int64))


def _deviation(shares: Floats) -> Floats:
    return np.asarray(shares.std(axis=0, ddof=1)) if len(shares) > 1 else np.zeros(shares.shape[1])


def moments(result: SimulationResult) -> Floats:
    """Evenly over the longest search."""
    return np.linspace(0.0, max(float(row.seconds.max()) for row in result.rows), MOMENTS)


def counts(result: SimulationResult) -> list[int]:
    """After how many trainings the table tells the share."""
    longest = max(row.shares.shape[1] for row in result.rows)
    told = [count for count in COUNTS if count < longest][-4:]
    return [*told, longest]


def result_table(result: SimulationResult) -> Table:
    """Mean ± standard error of the share, and what each search of a sampler trained on average."""
    kind = "true" if result.is_true else "best found"
    caption = f"share of the {kind} hypervolume, mean ± standard error of {len(result.settings.seeds)} searches"
    table = Table(box=None, header_style="bold", caption=caption)
    columns = [f"{count}" for count in counts(result)]
    for name in ("sampler", *columns, "trained", "distinct", "over budget", "decision", "proposal", "memory"):
        table.add_column(name, justify="left" if name == "sampler" else "right")
    for row in result.rows:
        table.add_row(*_cells(row, counts(result)))
    return table


def _cells(row: Reached, told: Sequence[int]) -> list[str]:
    shares = [f"{mean:.3f} ± {error:.3f}" for mean, error in map(row.at, told)]
    means = [f"{np.mean(numbers):g}" for numbers in (row.trainings, row.distinct, row.over_budget)]
    last = next((part for part in reversed(row.pace) if part.proposal_seconds), None)  # all are launched before the end
    pace = [
        f"{1e6 * last.decision_seconds:.0f} µs" if last else "–",
        f"{1e3 * last.proposal_seconds:.2f} ms" if last else "–",
        f"{last.memory_mib:.0f} MiB" if last else "–",
    ]
    return [title(row), *shares, *means, *pace]


def write_page(result: SimulationResult, path: str | Path) -> None:
    """Figures: share against trainings and against simulated time; seconds of a decision and memory along the search."""
    from dashboards.figures.comparison import Line, comparison_figure, write_figures

    def line(row: Reached, x: Floats, shares: Floats) -> Line:
        kept = _evenly(shares.shape[1])
        x, shares = x[kept], shares[:, kept]
        error = _deviation(shares) / np.sqrt(len(shares))
        return Line(name=title(row), x=x, y=shares.mean(axis=0), error=error if len(shares) > 1 else None)

    def pace(name: str, scale: float) -> list[Line]:
        return [
            Line(
                name=title(row),
                x=np.array([float(part.trainings) for part in row.pace if getattr(part, name)]),
                y=np.array([scale * float(getattr(part, name)) for part in row.pace if getattr(part, name)]),
            )
            for row in result.rows
        ]

    at = moments(result)
    counted = [line(row, np.arange(1.0, row.shares.shape[1] + 1), row.shares) for row in result.rows]
    timed = [line(row, at, row.by_time(at)) for row in result.rows]
    share = f"share of the {'true' if result.is_true else 'best found'} hypervolume"
    write_figures(
        path,
        "Simulated searches",
        _words(result.settings),
        {
            "Against trainings": comparison_figure(counted, "trainings", share),
            "Against simulated time": comparison_figure(timed, "seconds of the simulated clock", share),
            "One decision": comparison_figure(pace("decision_seconds", 1e6), "trainings", "median, µs", False),
            "One proposal": comparison_figure(pace("proposal_seconds", 1e3), "trainings", "mean, ms", False),
            "Memory of the simulator": comparison_figure(pace("memory_mib", 1.0), "trainings", "MiB", False),
        },
    )


def _words(settings: Settings) -> str:
    """What was simulated."""
    limits = {"MACs": settings.max_macs, "parameters": settings.max_params}
    within = [f"at most {most:,} {name}" for name, most in limits.items() if most is not None]
    stopping = (
        f"pauses after {', '.join(map(str, settings.rungs))} epochs, by {settings.stopped_by}, eta {settings.eta:g}"
    )
    return "; ".join(
        [
            count(settings.trials, "trial"),
            count(settings.workers, "worker"),
            count(len(settings.seeds), "search", "searches") + " of each sampler",
            *within,
            *([stopping] if settings.rungs else []),
            *(["each epoch counted as one second"] if settings.even_seconds else []),
            "bands are one standard error of the searches; pace and memory are those of this machine, in the first of them",
        ]
    )
