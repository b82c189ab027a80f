"""Our proposer: accuracy is modelled, costs are exact, and candidates are ranked by expected hypervolume improvement.

A cost that only workers can tell (a latency) is modelled too, and the model's median stands for it where it was not
measured; its own uncertainty is left out, for it is small beside that of the error.

The work of a proposal does not grow with the length of the study: the model is made of a bounded number of trainings,
and the candidates are a bounded number of uniform draws, of neighbours of the front, and of neighbours of the best so far.
Trainings that have not ended are believed to end at the model's mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from orchestrator.sampler.acquisition import Boxes, expected_gain, first_dominated
from orchestrator.sampler.design import spread
from orchestrator.sampler.encoding import Floats
from orchestrator.sampler.history import History, Row, keys
from orchestrator.sampler.model import AccuracyModel, CostModel
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.source import CandidateSource, cost_columns
from orchestrator.sampler.surrogate import GaussianProcess, Posterior
from search_spaces.block_costs import Integers
from search_spaces.pareto import non_dominated
from search_spaces.space import Architecture

FIRST = 8  # trainings before the model takes over
DRAWN = 768  # uniform candidates, or twice as many as are asked for
NEIGHBOURS = 768  # at most, of the front
PARENTS = 24  # front members whose neighbours are candidates
ROUNDS, CLIMBERS = 2, 4  # local search: neighbours of the best so far
BELIEVED = 96  # pending trainings that the model conditions on; all of them enter the front
BATCH_SHARE = 16  # with this many trainings pending, one new result does not call for a new batch
LOOKED_AT = 64  # candidates whose gain is computed at once after a choice
DEARER = 1.1  # than the dearest that was measured: the worst that counts where nobody has said it
TAKEN = -1.0  # the gain of a candidate that was chosen
DRAWS_BEFORE_EXHAUSTED = 24

BLAS = (
    ThreadpoolController()
)  # that of NumPy and SciPy: on one thread, for others would wait for each other beside trainings


@dataclass(slots=True)
class Pool:
    """Candidates with all that ranking needs: rows match."""

    codes: Integers
    costs: Floats
    posterior: Posterior

    def joined(self, other: Pool) -> Pool:
        codes, costs = np.concatenate([self.codes, other.codes]), np.concatenate([self.costs, other.costs])
        return Pool(codes, costs, self.posterior.joined(other.posterior))


class HypervolumeProposer:
    """Ranks feasible, unseen architectures by exact expected hypervolume improvement.

    costs: the objectives beside accuracy that are known exactly, of the source's cost names. measured: those that are
    not; both together are one or two. reference: the worst (error, *costs, *measured) that counts, NaN for the dearest
    that was measured. first: architectures to be proposed before anything else.
    """

    def __init__(
        self,
        source: CandidateSource,
        costs: Sequence[str],
        reference: Sequence[float],
        seed: int = 0,
        first: Sequence[Architecture] = (),
        measured: Sequence[str] = (),
    ) -> None:
        self._source = source
        self._columns = cost_columns(source, costs)
        names = [*costs, *measured]
        if not 1 <= len(names) <= 2:
            raise ValueError(f"sampler: one or two costs can be objectives, given {', '.join(names) or 'none'}")
        if len(reference) != 1 + len(names):
            raise ValueError(f"a reference has an error and {len(names)} costs ({', '.join(names)}), given {reference}")
        self._bounds = np.array(reference, dtype=np.float64)
        self._reference = self._bounds
        self._sizes = self._columns or cost_columns(source, ["macs"])  # what tells small from large before a training
        self._rng = np.random.default_rng(seed)
        self._history = History(source, self._sizes)
        self._first = [architecture for architecture in first if source.contains(architecture)]
        self._model = AccuracyModel(source)
        self._cost_models = [CostModel(source, self._model) for _ in measured]
        self._ready: list[Integers] = []
        self._ready_at = 0

    def propose(
        self, count: int, observed: Sequence[Observation], pending: Sequence[Architecture]
    ) -> list[Architecture]:
        self._history.take(observed)
        chosen = self._take_first(count)
        if len(chosen) < count:
            with BLAS.limit(limits=1, user_api="blas"):
                chosen += self._choose(count - len(chosen), [*pending, *self._decoded(chosen)])
        codes = self._joined(chosen)
        self._history.see(codes)
        return self._source.decode(codes)

    def _take_first(self, count: int) -> list[Integers]:
        taken: list[Integers] = []
        while self._first and len(taken) < count:
            code = self._source.encode([self._first.pop(0)])
            if not self._history.is_seen(code)[0]:
                taken.append(code)
                self._history.see(code)
        return taken

    def _joined(self, codes: Sequence[Integers]) -> Integers:
        return np.concatenate([self._source.encode([]), *codes])

    def _decoded(self, codes: Sequence[Integers]) -> list[Architecture]:
        return self._source.decode(self._joined(codes))

    def _choose(self, count: int, pending: Sequence[Architecture]) -> list[Integers]:
        """What is ready goes out at once: the pending trainings, which may be many, are looked at for a new batch only."""
        known = len(self._measured_rows())
        if known + len(pending) < FIRST or known < FIRST // 2:
            return self._design(count, self._history.encode(pending))
        if not self._can_serve(count, len(pending)):
            batch = max(count, len(pending) // BATCH_SHARE)
            self._ready = self._batch(batch, self._history.encode(pending))
            self._ready_at = self._history.told
        served, self._ready = self._ready[:count], self._ready[count:]
        return served

    def _can_serve(self, count: int, waiting: int) -> bool:
        """Whether a batch made a few results ago still holds."""
        self._ready = [code for code in self._ready if not self._history.is_seen(code)[0]]
        return len(self._ready) >= count and self._history.told - self._ready_at <= waiting // BATCH_SHARE

    # Before there is a model

    def _design(self, count: int, waiting: Integers) -> list[Integers]:
        fresh = self._unseen(max(DRAWN, 2 * count))
        known = [row.code for row in self._history.rows.values() if not row.observation.earlier]
        taken = np.concatenate([np.array(known, dtype=np.int64).reshape(-1, fresh.shape[1]), waiting])
        if not len(fresh):
            return []
        codes = np.concatenate([taken, fresh])
        log_costs = np.log(np.maximum(self._source.costs(codes)[:, self._sizes[0]], 1.0))
        wanted = max(FIRST, len(taken) + count)
        chosen = spread(self._rng, self._model.rows(codes), log_costs, len(taken), count, wanted)
        return [codes[index : index + 1] for index in chosen]

    # With a model

    def _batch(self, count: int, waiting: Integers) -> list[Integers]:
        process = self._model.learn(list(self._history.rows.values()), self._history.told)
        self._learn_costs()
        errors, costs = self._front_so_far(process, waiting)
        if len(waiting):
            process = process.believing(self._model.rows(waiting[-BELIEVED:]))
        pool = self._pool(process, errors, costs, max(DRAWN, 2 * count))
        if pool is None:
            return []
        chosen: list[int] = []
        gain = self._gain(pool, first_dominated(errors, costs, self._reference))
        while True:
            best = _best(gain, pool.posterior)
            gain[best] = TAKEN
            chosen.append(best)
            if len(chosen) >= min(count, len(pool.codes)):
                return [pool.codes[index : index + 1] for index in chosen]
            errors = np.append(errors, np.exp(pool.posterior.mean[best]))
            costs = np.concatenate([costs, pool.costs[best : best + 1]])
            pool.posterior.believe(best)
            self._weigh_again(gain, pool, first_dominated(errors, costs, self._reference))

    def _weigh_again(self, gain: Floats, pool: Pool, boxes: Boxes) -> None:
        """Brings the largest gains up to date. The others only fell since they were last looked at, so they can wait."""
        fresh = np.zeros(len(gain), dtype=bool)
        while not fresh[np.argmax(gain)] and gain.max() > 0:
            stale = np.flatnonzero(~fresh & (gain > 0))
            top = stale[np.argpartition(-gain[stale], min(LOOKED_AT, len(stale) - 1))[:LOOKED_AT]]
            gain[top] = self._gain(pool, boxes, top)
            fresh[top] = True

    def _front_so_far(self, process: GaussianProcess, waiting: Integers) -> tuple[Floats, Floats]:
        """Errors (n,) as the model believes them, seeds averaged out, and costs (n, k) of what ended or still trains."""
        final = self._final_rows()
        codes = np.concatenate([self._codes(final), waiting])
        if not len(codes):
            return np.zeros(0), np.zeros((0, len(self._bounds) - 1))
        costs = self._costs(codes)
        costs[: len(final)] = self._known_costs(final)
        return np.exp(process.mean(self._model.rows(codes))), costs

    def _pool(self, process: GaussianProcess, errors: Floats, costs: Floats, drawn: int) -> Pool | None:
        """Unseen candidates: `drawn` uniform ones, neighbours of the front, then neighbours of the best of these."""
        codes = _distinct_codes([self._unseen(drawn), self._front_neighbours()])
        if not len(codes):
            return None
        boxes = first_dominated(errors, costs, self._reference)
        pool = self._weighed(codes, process)
        for _ in range(ROUNDS):
            climbers = np.argsort(-self._gain(pool, boxes), kind="stable")[:CLIMBERS]
            around = self._fresh(self._source.neighbours(pool.codes[climbers]))
            known = set(keys(pool.codes))
            added = [code for code, key in zip(around, keys(around), strict=True) if key not in known]
            if not added:
                break
            pool = pool.joined(self._weighed(np.stack(added), process))
        return pool

    def _weighed(self, codes: Integers, process: GaussianProcess) -> Pool:
        costs = self._costs(codes)
        return Pool(codes, costs, process.at(self._model.rows(codes)))

    def _gain(self, pool: Pool, boxes: Boxes, some: npt.NDArray[np.int64] | slice = slice(None)) -> Floats:
        beliefs = pool.posterior.mean[some], pool.posterior.deviation[some]
        return expected_gain(*beliefs, pool.costs[some], boxes, self._reference)

    # Costs, exact and measured

    def _measured_rows(self) -> list[Row]:
        """The trainings whose every cost is known."""
        count = len(self._cost_models)
        return [row for row in self._history.rows.values() if not count or len(row.observation.measured) == count]

    def _final_rows(self) -> list[Row]:
        """Those of them that count for this study's front."""
        return [row for row in self._measured_rows() if row.is_final]

    def _learn_costs(self) -> None:
        """Models of the measured costs, and the worst of each that counts."""
        if not self._cost_models:
            return
        known = self._measured_rows()
        codes = np.stack([row.code for row in known])
        values = np.array([row.observation.measured for row in known])
        for model, column in zip(self._cost_models, values.T, strict=True):
            model.learn(codes, column, self._history.told)
        dearest = np.concatenate([self._bounds[: -values.shape[1]], DEARER * values.max(axis=0)])
        self._reference = np.where(np.isnan(self._bounds), dearest, self._bounds)

    def _costs(self, codes: Integers) -> Floats:
        """(n, costs): exact, and where they have to be measured, as they are expected to be."""
        exact = self._source.costs(codes)[:, self._columns]
        return np.column_stack([exact, *(model.expected(codes) for model in self._cost_models)])

    def _known_costs(self, rows: Sequence[Row]) -> Floats:
        """(n, costs): exact, and as they were measured."""
        measured = np.array([row.observation.measured for row in rows], dtype=np.float64)
        exact = self._source.costs(self._codes(rows))[:, self._columns]
        return np.column_stack([exact, measured.reshape(len(rows), len(self._cost_models))])

    def _codes(self, rows: Sequence[Row]) -> Integers:
        return np.stack([row.code for row in rows]) if rows else self._source.encode([])

    # Candidates

    def _unseen(self, count: int) -> Integers:
        """Up to `count` distinct members that were never seen; none only where none were met in many draws."""
        found = self._source.encode([])
        for _ in range(DRAWS_BEFORE_EXHAUSTED):
            found = _distinct_codes([found, self._fresh(self._source.sample(self._rng, count))])
            if len(found) >= count // 2:
                break
        return found[:count]

    def _front_neighbours(self) -> Integers:
        """Unseen neighbours of the observed front's members, at most NEIGHBOURS of them."""
        final = self._final_rows()
        codes = self._codes(final)
        if not len(codes):
            return codes
        points = np.column_stack([[row.error for row in final], self._known_costs(final)])
        members = self._rng.permutation(np.flatnonzero(non_dominated(points)))[:PARENTS]
        around = self._fresh(self._source.neighbours(codes[members]))
        return around[self._rng.permutation(len(around))[:NEIGHBOURS]]

    def _fresh(self, codes: Integers) -> Integers:
        return codes[~np.array(self._history.is_seen(codes), dtype=bool)] if len(codes) else codes


def _distinct_codes(parts: Sequence[Integers]) -> Integers:
    """All rows once, in order of first appearance."""
    codes = np.concatenate(list(parts))
    first = dict(zip(reversed(keys(codes)), reversed(range(len(codes))), strict=True))
    return codes[sorted(first.values())]


def _best(gain: Floats, posterior: Posterior) -> int:
    """The largest gain; where nothing gains, what is least certain among what may be chosen."""
    if gain.max() > 0:
        return int(np.argmax(gain))
    return int(np.argmax(np.where(gain < 0, -1.0, posterior.deviation)))
