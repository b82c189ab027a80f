"""A small exact Gaussian process: Matérn 5/2 with a weight for each column, fitted by maximum a posteriori.

Priors (natural logarithm): the columns of one kind share an expected total weight, so that more columns do not make
every pair of architectures distant; the noise is expected to be small against the spread of what is seen.
Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", algorithm 2.1 and equations 5.8 and 5.9.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]

JITTER = 1e-8
PARAMETER_WEIGHT = 0.5  # expected sum over the columns of single parameters
SUMMARY_WEIGHT = 0.3  # expected sum over the columns that sum up a network
WEIGHT_SPREAD = 1.5
SCALE, SCALE_SPREAD = 2.0, 1.0  # of the log variance
NOISE, NOISE_SPREAD = -6.0, 1.5  # of the log noise variance, against a spread of 1
ITERATIONS = 60


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """In natural logarithms: weights (columns,), the variance, the noise variance."""

    logs: Floats

    @property
    def weights(self) -> Floats:
        return np.asarray(np.exp(self.logs[:-2]))

    @property
    def variance(self) -> float:
        return float(np.exp(self.logs[-2]))

    @property
    def noise(self) -> float:
        return float(np.exp(self.logs[-1]))


def prior(is_summary: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Means and deviations of the hyperparameters' logarithms."""
    counts = max(1, int((~is_summary).sum())), max(1, int(is_summary.sum()))
    weights = np.where(is_summary, np.log(SUMMARY_WEIGHT / counts[1]), np.log(PARAMETER_WEIGHT / counts[0]))
    mean = np.concatenate([weights, [SCALE, NOISE]])
    deviation = np.concatenate([np.full(len(weights), WEIGHT_SPREAD), [SCALE_SPREAD, NOISE_SPREAD]])
    return mean, deviation


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Rows x (n, columns) with standardised values y (n,).

    shares (n,): of the noise variance that each value carries (1 / seeds); variances (n,): what else is uncertain in it.
    """

    x: Floats
    y: Floats
    shares: Floats
    variances: Floats

    def noise(self, given: Hyperparameters) -> Floats:
        return np.asarray(given.noise * self.shares + self.variances + JITTER)


def fit(data: Data, is_summary: npt.NDArray[np.bool_], start: Hyperparameters | None = None) -> Hyperparameters:
    """The most probable hyperparameters, climbing from `start` (None: from the prior's mean)."""
    mean, deviation = prior(is_summary)
    begin = mean if start is None else start.logs
    found = minimize(
        _loss, begin, args=(data, mean, deviation), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    return Hyperparameters(np.asarray(found.x))


def _loss(logs: Floats, data: Data, mean: Floats, deviation: Floats) -> tuple[float, Floats]:
    """Minus the log posterior up to a constant, and its gradient."""
    given, x, y = Hyperparameters(logs), data.x, data.y
    correlation, slope = _matern_and_slope(_distances(x, x, given.weights))
    covariance = given.variance * correlation
    covariance[np.diag_indices(len(y))] += data.noise(given)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(logs)
    inverse = cho_solve((factor, True), np.eye(len(y)))
    solved = inverse @ y
    pull = 0.5 * (inverse - np.outer(solved, solved))
    moved = pull * slope * given.variance
    weights = 2 * ((x**2).T @ moved.sum(axis=1) - ((moved @ x) * x).sum(axis=0)) * given.weights
    scales = [(pull * correlation).sum() * given.variance, (np.diag(pull) * data.shares).sum() * given.noise]
    off = (logs - mean) / deviation
    loss = 0.5 * float(y @ solved) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(off @ off)
    return loss, np.concatenate([weights, scales]) + off / deviation


def _distances(x: Floats, z: Floats, weights: Floats) -> Floats:
    """Weighted squared distances (len(x), len(z))."""
    root = np.sqrt(weights)
    one, other = x * root, z * root
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * one @ other.T
    return np.asarray(np.maximum(squared, 0.0))


def _matern(squared: Floats) -> Floats:
    """Matérn 5/2 of squared distances."""
    r = np.sqrt(5 * squared)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))


def _matern_and_slope(squared: Floats) -> tuple[Floats, Floats]:
    """The same, and its derivative by them."""
    r = np.sqrt(5 * squared)
    decay = np.exp(-r)
    return (1 + r + r * r / 3) * decay, (-5 / 6) * (1 + r) * decay


class GaussianProcess:
    """The process given observations. `shift` and `scale` turn standardised values back into those that were given."""

    def __init__(self, data: Data, given: Hyperparameters, shift: float, scale: float) -> None:
        self.given, self.shift, self.scale = given, shift, scale
        self._x = data.x
        covariance = given.variance * _matern(_distances(data.x, data.x, given.weights))
        covariance[np.diag_indices(len(data.y))] += data.noise(given)
        self._factor = np.linalg.cholesky(covariance)
        self._solved = np.asarray(cho_solve((self._factor, True), data.y))

    def mean(self, z: Floats) -> Floats:
        """Posterior means (n,) of the noise-free values."""
        covariance = self.given.variance * _matern(_distances(z, self._x, self.given.weights))
        return np.asarray(self.shift + self.scale * (covariance @ self._solved))

    def at(self, z: Floats) -> Posterior:
        """The joint posterior over rows z (n, columns)."""
        covariance = self.given.variance * _matern(_distances(self._x, z, self.given.weights))
        whitened = np.asarray(solve_triangular(self._factor, covariance, lower=True))
        variance = self.given.variance - (whitened**2).sum(axis=0)
        mean = self.shift + self.scale * (covariance.T @ self._solved)
        return Posterior(self, z, np.asarray(mean), whitened, np.maximum(variance, 1e-10))

    def believing(self, z: Floats) -> GaussianProcess:
        """The process after observing its own means at rows z: means stay, uncertainty shrinks there.

        Source: Ginsbourger, Le Riche, Carraro, "Kriging Is Well-Suited to Parallelize Optimization" (2010).
        """
        posterior = self.at(z)
        more = object.__new__(GaussianProcess)
        more.given, more.shift, more.scale = self.given, self.shift, self.scale
        more._x = np.concatenate([self._x, z])
        own = (
            self.given.variance * _matern(_distances(z, z, self.given.weights))
            - posterior.whitened.T @ posterior.whitened
        )
        own[np.diag_indices(len(z))] += self.given.noise + JITTER
        more._factor = np.block(
            [[self._factor, np.zeros((len(self._x), len(z)))], [posterior.whitened.T, np.linalg.cholesky(own)]]
        )
        more._solved = np.concatenate([self._solved, np.zeros(len(z))])
        return more


@dataclass(slots=True)
class Posterior:
    """Joint beliefs about rows; `believe` conditions them on one row's own mean."""

    process: GaussianProcess
    rows: Floats
    mean: Floats
    whitened: Floats  # (observations, rows)
    variance: Floats  # standardised
    steps: list[Floats] = field(default_factory=list)  # further rows of `whitened`, one for each row believed

    @property
    def deviation(self) -> Floats:
        """Standard deviations (n,) of the noise-free values."""
        return np.asarray(self.process.scale * np.sqrt(self.variance))

    def joined(self, other: Posterior) -> Posterior:
        """With the rows of another of the same process; of both nothing is believed yet."""
        assert not self.steps, "rows come before beliefs"
        assert not other.steps, "rows come before beliefs"
        return Posterior(
            self.process,
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.mean, other.mean]),
            np.concatenate([self.whitened, other.whitened], axis=1),
            np.concatenate([self.variance, other.variance]),
        )

    def believe(self, index: int) -> None:
        """What would be known had this row been observed at its mean."""
        given = self.process.given
        same = given.variance * _matern(_distances(self.rows[index : index + 1], self.rows, given.weights))[0]
        covariance = same - self.whitened[:, index] @ self.whitened
        for step in self.steps:
            covariance -= step[index] * step
        step = covariance / np.sqrt(self.variance[index] + given.noise)
        self.steps.append(step)
        self.variance = np.maximum(self.variance - step**2, 1e-10)
