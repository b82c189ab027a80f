"""The models of accuracy and of measured costs: rows of encoded architectures, and Gaussian processes over logarithms.

The log makes errors of small and of good networks comparable, and leaves a closed expectation of what is gained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.sampler.encoding import Floats, Scaling
from orchestrator.sampler.history import Row, targets
from orchestrator.sampler.source import CandidateSource
from orchestrator.sampler.surrogate import Data, GaussianProcess, Hyperparameters, fit
from search_spaces.block_costs import Integers
from search_spaces.space import Architecture

SAMPLE = 512  # draws from which the scales of the columns are learnt
SHRINKAGE = 1.0  # of a line's slopes towards 0
LEAST_SCATTER = 1e-3  # of logarithms: no clock is better
PATIENCE = 10  # hyperparameters are fitted again once there is one part in so many more to know


class AccuracyModel:
    """Fitted anew by `learn`; `rows` encodes candidates."""

    def __init__(self, source: CandidateSource) -> None:
        self._source = source
        sample = source.sample(np.random.default_rng(0), SAMPLE)
        self._scaling = Scaling(self._raw(sample), [*source.summaries, *[True] * len(source.cost_names)])
        self.is_summary = np.append(self._scaling.is_summary, False)
        self.usual_log_costs = np.log(np.maximum(source.costs(sample), 1.0)).mean(axis=0)
        self._hyperparameters: Hyperparameters | None = None
        self._fitted_at = 0

    def rows(self, codes: Integers, earlier: npt.ArrayLike = False) -> Floats:
        """Features and log costs, scaled (n, columns). The last column tells other studies' trainings apart."""
        scaled = self._scaling.apply(self._raw(codes))
        return np.column_stack([scaled, np.broadcast_to(earlier, len(codes))])

    def learn(self, known: Sequence[Row], told: int) -> GaussianProcess:
        """The process given trainings; `told` counts what was ever learnt, so that it knows when to fit again."""
        ends, variances = targets(known)
        earlier = np.array([row.observation.earlier for row in known])
        y = _aligned(ends, earlier)
        scale = float(y.std()) or 1.0
        data = Data(
            x=self.rows(np.stack([row.code for row in known]), earlier),
            y=(y - y.mean()) / scale,
            shares=np.array([1.0 / row.observation.seeds for row in known]),
            variances=variances / scale**2,
        )
        if self._hyperparameters is None or told - self._fitted_at >= max(1, len(known) // PATIENCE):
            self._hyperparameters = fit(data, self.is_summary, self._hyperparameters)
            self._fitted_at = told
        return GaussianProcess(data, self._hyperparameters, float(y.mean()), scale)

    def _raw(self, codes: Integers) -> Floats:
        return np.column_stack([self._source.features(codes), np.log(np.maximum(self._source.costs(codes), 1.0))])


class CostModel:
    """The model of one measured cost: a line through the exact costs, and a process over what it leaves; in logarithms."""

    def __init__(self, source: CandidateSource, encoder: AccuracyModel) -> None:
        self._source = source
        self._encoder = encoder
        self._hyperparameters: Hyperparameters | None = None
        self._fitted_at = 0
        self._slopes: Floats = np.zeros(0)
        self._process: GaussianProcess | None = None

    def learn(self, codes: Integers, values: Floats, told: int) -> None:
        """From measured values (n,) of codes; `told` as for `AccuracyModel.learn`."""
        line: Floats = self._line(codes)
        y: Floats = np.log(values)
        penalty = SHRINKAGE * np.diag(np.append(np.zeros(1), np.ones(line.shape[1] - 1)))
        self._slopes = np.asarray(np.linalg.solve(line.T @ line + penalty, line.T @ y), dtype=np.float64)
        rest = y - line @ self._slopes
        scale = max(float(rest.std()), LEAST_SCATTER)
        count = len(codes)
        data = Data(
            x=self._encoder.rows(codes),
            y=(rest - rest.mean()) / scale,
            shares=np.ones(count),
            variances=np.zeros(count),
        )
        if self._hyperparameters is None or told - self._fitted_at >= max(1, count // PATIENCE):
            self._hyperparameters = fit(data, self._encoder.is_summary, self._hyperparameters)
            self._fitted_at = told
        self._process = GaussianProcess(data, self._hyperparameters, float(rest.mean()), scale)

    def expected(self, codes: Integers) -> Floats:
        """The medians (n,) of what would be measured."""
        assert self._process is not None, "nothing was learnt"
        return np.asarray(np.exp(self._line(codes) @ self._slopes + self._process.mean(self._encoder.rows(codes))))

    def _line(self, codes: Integers) -> Floats:
        """A constant, and the logarithms of the exact costs about their usual size."""
        logs = np.log(np.maximum(self._source.costs(codes), 1.0))
        return np.column_stack([np.ones(len(codes)), logs - self._encoder.usual_log_costs])


def traits_of(source: CandidateSource) -> Callable[[Architecture], Floats]:
    """What tells architectures of a source apart, as a row (columns,) of the accuracy's model; ValueError for others."""
    model = AccuracyModel(source)
    return lambda architecture: model.rows(source.encode([architecture]))[0, :-1]


def _aligned(y: Floats, earlier: npt.NDArray[np.bool_]) -> Floats:
    """Values of earlier studies shifted to this study's mean."""
    if not earlier.any() or earlier.all():
        return y
    return np.where(earlier, y - y[earlier].mean() + y[~earlier].mean(), y)
