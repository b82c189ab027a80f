"""How much a trial that pauses at a rung may still add to the front, guessed from its first epochs and its costs.

A Bayesian linear regression tells the final log error, with its uncertainty, from the exact costs, the family and the
accuracies so far; it is made of the trials of the same study that were trained to the end. Trials are ordered by expected
hypervolume improvement for each second of training. Guesses stay inside this file: none ever enters the front.
Source: extrapolated learning curves for stopping are those of Domhan et al. (2015) and Klein et al. (2017); regression on
early accuracies and architecture features follows Baker et al., "Accelerating Neural Architecture Search using Performance
Prediction" (2018). The order by improvement of the hypervolume for each second is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.sampler.acquisition import expected_gain, first_dominated

Floats = npt.NDArray[np.float64]

LEAST_FINALS = 4  # trials that were trained to the end, before anything is guessed
MOST_FINALS = 512  # of which the model is made, the latest
LEAST_GAIN = 2e-4  # of the hypervolume: a trial that is expected to add less is not trained on
NOISE = 0.5  # of a training, in deviations of the final log errors
SLOPES, CURVED, FAMILY = 0.5, 0.12, 0.2  # prior deviations: of a linear term, of a product, of a family's own level
TREND = -0.8  # of the final log error for a deviation of the last accuracy, before anything is known
LEAST_DEVIATION = 0.01  # of log errors, where all that is known are nearly the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What is known of a trial. costs: the objectives; size: what else tells of it; accuracies: epoch by epoch."""

    costs: tuple[float, ...]
    size: tuple[float, ...]
    family: str
    accuracies: tuple[float, ...]
    seconds: float  # of an epoch


class Extrapolation:
    """Orders partly trained networks. reference: the worst (error, *costs) that counts; NaN: the dearest trained."""

    def __init__(self, reference: tuple[float, ...]) -> None:
        self._reference = reference
        self._finals: dict[int, Partial] = {}

    def finish(self, trial: int, partial: Partial) -> None:
        """The trial was trained to the end: its last accuracy is final."""
        self._finals[trial] = partial

    def order(self, epoch: int, waiting: Mapping[int, Partial]) -> list[int] | None:
        """Those of `waiting` that may still add to the front, the most promising first; None while too little is known."""
        known = sorted(self._finals)
        if len(known) < LEAST_FINALS or not waiting:
            return None
        finals = [self._finals[trial] for trial in known]
        trials = sorted(waiting)
        partials = [waiting[trial] for trial in trials]
        mean, deviation = _final_log_errors(finals[-MOST_FINALS:], partials, epoch)
        gain = self._gain(finals, partials, mean, deviation)
        seconds = np.array([max(partial.seconds, 1e-9) for partial in partials])
        order = np.lexsort((trials, -gain / seconds))
        return [trials[index] for index in order if gain[index] > LEAST_GAIN]

    def _gain(self, finals: list[Partial], partials: list[Partial], mean: Floats, deviation: Floats) -> Floats:
        """Expected improvement (n,) as a share of the hypervolume that the finals hold."""
        costs = np.array([partial.costs for partial in finals], dtype=np.float64)
        errors = np.array([1.0 - partial.accuracies[-1] for partial in finals])
        reference = np.array(self._reference, dtype=np.float64)
        reference[1:] = np.where(np.isnan(reference[1:]), 1.1 * costs.max(axis=0), reference[1:])
        boxes = first_dominated(errors, costs, reference)
        gain = expected_gain(mean, deviation, np.array([partial.costs for partial in partials]), boxes, reference)
        held = float(np.sum((reference[0] - boxes.levels) * np.prod(boxes.upper - boxes.lower, axis=1)))
        return gain / held if held > 0 else np.where(gain > 0, np.inf, 0.0)


def _final_log_errors(finals: list[Partial], partials: list[Partial], epoch: int) -> tuple[Floats, Floats]:
    """Mean and deviation (n,) of the partials' final log errors, after `epoch` epochs of each."""
    features, spread, trend = _features([*finals, *partials], epoch)
    y = np.log(np.maximum([1.0 - partial.accuracies[-1] for partial in finals], 1e-4))
    level, unit = float(y.mean()), max(float(y.std()), LEAST_DEVIATION)
    expected = features @ trend
    target = (y - level) / unit - expected[: len(finals)]
    x, ahead = features[: len(finals)] * spread, features[len(finals) :] * spread
    inverse = np.linalg.inv(x.T @ x / NOISE**2 + np.eye(x.shape[1]))
    weights = inverse @ (x.T @ target) / NOISE**2
    residual = target - x @ weights
    noise = max(NOISE**2, float(residual @ residual) / len(finals))
    deviation = np.sqrt(noise + np.einsum("ij,jk,ik->i", ahead, inverse, ahead))
    return level + unit * (expected[len(finals) :] + ahead @ weights), unit * deviation


def _features(partials: list[Partial], epoch: int) -> tuple[Floats, Floats, Floats]:
    """Rows of terms (n, terms), and the deviations and means of their weights' prior (terms,)."""
    terms = list(_terms(partials, epoch))
    spread = np.array([deviation for _, deviation, _ in terms])
    return np.column_stack([values for values, _, _ in terms]), spread, np.array([mean for _, _, mean in terms])


def _terms(partials: list[Partial], epoch: int) -> Iterator[tuple[Floats, float, float]]:
    sizes = [_standard(column) for column in np.log(np.array([partial.size for partial in partials]) + 1.0).T]
    accuracies = np.array([partial.accuracies[:epoch] for partial in partials])
    last, lately = _standard(accuracies[:, -1]), _standard(accuracies[:, -3:].mean(axis=1))
    yield np.ones(len(partials)), 1.0, 0.0
    for place, size in enumerate(sizes):
        yield size, SLOPES, 0.0
        for other in sizes[place:]:
            yield size * other, CURVED, 0.0
    for family in sorted({partial.family for partial in partials}):
        member = np.array([float(partial.family == family) for partial in partials])
        yield member, FAMILY, 0.0
        yield member * sizes[0], CURVED, 0.0
    yield last, SLOPES, TREND
    yield last * sizes[0], CURVED, 0.0
    yield lately, SLOPES, 0.0


def _standard(values: Floats) -> Floats:
    deviation = float(values.std())
    return (values - values.mean()) / deviation if deviation > 0 else np.zeros(len(values))
