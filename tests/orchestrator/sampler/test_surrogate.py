"""The Gaussian process against scikit-learn's, its gradient against differences, and beliefs against observations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from orchestrator.sampler.surrogate import JITTER, Data, Floats, GaussianProcess, Hyperparameters, _loss, fit, prior

COLUMNS = 3
GIVEN = Hyperparameters(np.log([0.7, 0.2, 1.5, 1.3, 0.02]))


def data(count: int = 30, seed: int = 0) -> Data:
    """Values of a smooth function, some of them means over three seeds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, COLUMNS))
    y = np.sin(x[:, 0]) + 0.3 * x[:, 1] + 0.1 * rng.normal(size=count)
    return Data(
        x=x,
        y=(y - y.mean()) / y.std(),
        shares=np.where(np.arange(count) % 3 == 0, 1 / 3, 1.0),
        variances=np.where(np.arange(count) % 5 == 0, 0.1, 0.0),
    )


def rows(count: int, seed: int = 9) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, COLUMNS))


def test_means_and_deviations_are_those_of_scikit_learn() -> None:
    known = data()
    kernel = ConstantKernel(GIVEN.variance, "fixed") * Matern(1 / np.sqrt(GIVEN.weights), "fixed", nu=2.5)
    peer = GaussianProcessRegressor(kernel, alpha=known.noise(GIVEN), optimizer=None).fit(known.x, known.y)
    mean, deviation = peer.predict(rows(20), return_std=True)
    process = GaussianProcess(known, GIVEN, shift=-2.0, scale=0.5)
    posterior = process.at(rows(20))
    np.testing.assert_allclose(posterior.mean, -2.0 + 0.5 * mean, atol=1e-9)
    np.testing.assert_allclose(process.mean(rows(20)), posterior.mean, atol=1e-9)
    np.testing.assert_allclose(posterior.deviation, 0.5 * deviation, atol=1e-6)


def test_the_gradient_is_that_of_the_loss() -> None:
    mean, deviation = prior(np.array([False, False, True]))
    known = data()
    _, gradient = _loss(GIVEN.logs, known, mean, deviation)
    differences = approx_fprime(GIVEN.logs, lambda logs: _loss(logs, known, mean, deviation)[0], 1e-6)
    np.testing.assert_allclose(gradient, differences, rtol=1e-3, atol=1e-4)


def test_fitting_finds_the_column_that_matters_and_the_noise() -> None:
    found = fit(data(200), np.zeros(COLUMNS, dtype=bool))
    assert found.weights[0] > 3 * found.weights[2]
    assert 0.003 < found.noise < 0.1, "0.01 over the variance of the values"


def test_posteriors_of_two_sets_of_rows_join_to_that_of_both() -> None:
    process = GaussianProcess(data(), GIVEN, shift=1.0, scale=2.0)
    both = process.at(rows(20))
    joined = process.at(rows(20)[:13]).joined(process.at(rows(20)[13:]))
    for posterior in (both, joined):
        posterior.believe(4)
        posterior.believe(16)
    np.testing.assert_allclose(joined.mean, both.mean, atol=1e-12)
    np.testing.assert_allclose(joined.deviation, both.deviation, atol=1e-9)
    with pytest.raises(AssertionError, match="before beliefs"):
        joined.joined(both)


def test_believing_is_observing_what_was_expected() -> None:
    """Both ways of it: rows of the process itself, and one after another within a posterior."""
    known, pending, candidates = data(), rows(2, seed=3), rows(10)
    process = GaussianProcess(known, GIVEN, shift=0.0, scale=1.0)
    more = Data(
        x=np.concatenate([known.x, pending]),
        y=np.concatenate([known.y, process.mean(pending)]),
        shares=np.append(known.shares, [1.0, 1.0]),
        variances=np.append(known.variances, [0.0, 0.0]),
    )
    observed = GaussianProcess(more, GIVEN, shift=0.0, scale=1.0).at(candidates)
    believed = process.believing(pending).at(candidates)
    np.testing.assert_allclose(believed.mean, observed.mean, atol=1e-7)
    np.testing.assert_allclose(believed.deviation, observed.deviation, atol=1e-7)
    stepwise = process.at(np.concatenate([candidates, pending]))
    stepwise.believe(10)
    stepwise.believe(11)
    np.testing.assert_allclose(stepwise.deviation[:10], observed.deviation, atol=np.sqrt(JITTER))
