"""What a search has seen (everything, in a few bytes each) and what it learns from (a bounded number of trainings)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.sampler.encoding import Floats
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.source import CandidateSource
from search_spaces.block_costs import Integers
from search_spaces.pareto import non_dominated_ranks
from search_spaces.space import Architecture

LEAST_ERROR = 1e-4
MOST_ROWS = 300  # trainings that a model is made of
KEPT_ROWS = 240  # of them left when there would be more


@dataclass(frozen=True, slots=True)
class Row:
    """One training: its code, and the observation."""

    code: Integers
    observation: Observation

    @property
    def is_final(self) -> bool:
        """Whether it counts for this study's front."""
        seen = self.observation
        return seen.accuracy is not None and not seen.earlier and not seen.reference

    @property
    def error(self) -> float:
        """The last known error."""
        accuracy = self.observation.accuracy
        return max(LEAST_ERROR, 1.0 - (self.observation.curve[-1] if accuracy is None else accuracy))


class History:
    """The seen codes, and the rows that a model is made of. `told` counts observations taken in."""

    def __init__(self, source: CandidateSource, cost_columns: Sequence[int]) -> None:
        self._source = source
        self._cost_columns = list(cost_columns)
        self._seen: set[bytes] = set()
        self.rows: dict[bytes, Row] = {}
        self.told = 0
        self._rng = np.random.default_rng(0)

    def see(self, codes: Integers) -> None:
        self._seen.update(keys(codes))

    def is_seen(self, codes: Integers) -> list[bool]:
        return [key in self._seen for key in keys(codes)]

    def encode(self, architectures: Iterable[Architecture]) -> Integers:
        """Codes of those that are points of the space, in order; they count as seen."""
        found = [code for architecture in architectures if (code := self._code(architecture)) is not None]
        codes = np.concatenate(found) if found else self._source.encode([])
        self.see(codes)
        return codes

    def take(self, observed: Iterable[Observation]) -> None:
        """Learns of trainings. What is no point of the space, or has neither accuracy nor curve, teaches nothing."""
        for observation in observed:
            code = self._code(observation.architecture)
            if code is None:
                continue
            key = code.tobytes()
            if not observation.earlier:
                self._seen.add(key)
            elif key in self.rows and not self.rows[key].observation.earlier:
                continue
            if observation.accuracy is None and not observation.curve:
                continue
            if key not in self.rows or self.rows[key].observation != observation:
                self.rows[key] = Row(code[0], observation)
                self.told += 1
            if len(self.rows) > MOST_ROWS:
                self._forget()

    def _code(self, architecture: Architecture) -> Integers | None:
        try:
            return self._source.encode([architecture])
        except ValueError:
            return None

    def _forget(self) -> None:
        """Keeps the best by non-dominated rank, and of the rest a random part: they tell what is bad."""
        listed = list(self.rows.items())
        costs = self._source.costs(np.stack([row.code for _, row in listed]))[:, self._cost_columns]
        points = np.column_stack([[row.error for _, row in listed], costs])
        order = np.lexsort((self._rng.random(len(listed)), non_dominated_ranks(points)))
        best, rest = order[: KEPT_ROWS // 2], order[KEPT_ROWS // 2 :]
        others = self._rng.choice(rest, KEPT_ROWS - len(best), replace=False)
        kept = sorted([*best.tolist(), *others.tolist()])
        self.rows = dict(listed[index] for index in kept)


def keys(codes: Integers) -> list[bytes]:
    """Each row as bytes."""
    return [row.tobytes() for row in np.ascontiguousarray(codes)]


def targets(rows: Sequence[Row]) -> tuple[Floats, Floats]:
    """The log error (n,) after the last epoch, and its variance (n,) beyond that of one seed, for each row.

    A training without a last epoch is extrapolated: a line through the log errors of finished trainings at the same
    epoch and at their end; the scatter around the line is the variance.
    """
    ends = np.log([row.error for row in rows])
    variances = np.zeros(len(rows))
    partial = [index for index, row in enumerate(rows) if row.observation.accuracy is None]
    for epoch in {len(rows[index].observation.curve) for index in partial}:
        line = _line(rows, epoch)
        for index in partial:
            if len(rows[index].observation.curve) == epoch:
                ends[index], variances[index] = line.slope * ends[index] + line.offset, line.variance
    return ends, variances


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    offset: float
    variance: float


FEW = 4  # finished trainings before a line is trusted
UNKNOWN = 0.25  # variance of the log error where there are fewer


def _line(rows: Sequence[Row], epoch: int) -> _Line:
    """From the log error at an epoch to the log error at the end."""
    finished = [row for row in rows if row.observation.accuracy is not None and len(row.observation.curve) >= epoch]
    then = np.log([max(LEAST_ERROR, 1.0 - row.observation.curve[epoch - 1]) for row in finished])
    end = np.log([row.error for row in finished])
    if len(finished) < FEW:
        return _Line(1.0, float((end - then).mean()) if len(finished) else 0.0, UNKNOWN)
    centred = then - then.mean()
    slope = float((centred @ (end - end.mean()) + 0.1) / (centred @ centred + 0.1))  # shrunk towards 1
    offset = float(end.mean() - slope * then.mean())
    scatter = end - slope * then - offset
    return _Line(slope, offset, float(scatter @ scatter) / (len(finished) - 2))
