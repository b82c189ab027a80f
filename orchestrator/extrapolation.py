"""How much a trial that pauses at a rung may still add to the front, guessed from its first epochs, costs and architecture.

A chain of Bayesian linear regressions, each for a step from one epoch to a later one, the last to the end, tells the next
log error from the exact costs, the family, the architecture and the log errors so far. Each is made of all trials of the
same study that took its step, so that those few that were trained to the end, chosen for their promise, do not speak for
those that were not. What a trial may become follows along the chain with its uncertainty, and trials are ordered by expected
hypervolume improvement for each second of training. Guesses stay inside this file: none ever enters the front.
Source: extrapolated learning curves for stopping are those of Domhan et al. (2015) and Klein et al. (2017); regression on
early accuracies and architecture features follows Baker et al., "Accelerating Neural Architecture Search using Performance
Prediction" (2018). A likelihood of curves that were cut off factors into such a chain: Rubin, "Inference and Missing Data"
(1976) and Anderson (1957). The order by improvement of the hypervolume for each second is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from orchestrator.sampler.acquisition import expected_gain, first_dominated
from search_spaces.space import Architecture

Floats = npt.NDArray[np.float64]
Traits = Callable[[Architecture], Floats]

LEAST_FINALS = 4  # trials that were trained to the end, before anything is guessed
MOST_KNOWN = 512  # of those that took a step, the latest, its regression is made
LEAST_GAIN = 2e-4  # of the hypervolume: a trial that is expected to add less is not trained on
NOISE = 0.5  # of a training, in deviations of the log errors at one epoch
SLOPES, CURVED, FAMILY = 0.4, 0.12, 0.2  # prior deviations: of a linear term, of a product, of a family's own level
TRAIT = 0.03  # prior deviation of each trait of the architecture
TREND = 0.6  # of a log error for a deviation of the one before, before anything is known
LEAST_DEVIATION = 0.01  # of log errors, where all that is known are nearly the same
LEAST_ERROR = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What is known of a trial. costs: the objectives; size: what else tells of it; accuracies: epoch by epoch."""

    costs: tuple[float, ...]
    size: tuple[float, ...]
    architecture: Architecture
    accuracies: tuple[float, ...]
    seconds: float  # of an epoch

    def log_error(self, epoch: int) -> float:
        return float(np.log(max(1.0 - self.accuracies[epoch - 1], LEAST_ERROR)))


def no_traits(_: Architecture) -> Floats:
    """Of architectures only their costs and families are compared."""
    return np.zeros(0)


class Extrapolation:
    """Orders partly trained networks. reference: the worst (error, *costs) that counts; NaN: the dearest trained.

    epochs: the rungs' and the last; the steps of the chain also end in the middle between two rungs. traits: numbers of a
    common scale (columns,) that tell architectures apart.
    """

    def __init__(self, reference: tuple[float, ...], epochs: Sequence[int], traits: Traits = no_traits) -> None:
        self._reference = reference
        middles = ((one + other) // 2 for one, other in pairwise(epochs[:-1]))
        self._epochs = tuple(sorted({*epochs, *middles}))
        self._traits_of = traits
        self._known: dict[int, Partial] = {}
        self._traits: dict[int, Floats] = {}

    def enter(self, trial: int, partial: Partial) -> None:
        """So much is known of a trial now; less than is known already is no news."""
        if trial not in self._known:
            self._traits[trial] = self._traits_of(partial.architecture)
        if trial not in self._known or len(partial.accuracies) > len(self._known[trial].accuracies):
            self._known[trial] = partial

    def leave(self, trial: int) -> None:
        """Forgets a trial that failed later."""
        self._known.pop(trial, None)
        self._traits.pop(trial, None)

    def order(self, epoch: int, waiting: Iterable[int]) -> list[int] | None:
        """Those of `waiting`, known to this epoch, that may still add to the front, the most promising first.

        None while too little is known.
        """
        trials = sorted(trial for trial in waiting if trial in self._known)
        finals = self._reached(self._epochs[-1])
        if len(finals) < LEAST_FINALS or not trials:
            return None
        mean, deviation = self._final_log_errors(epoch, trials)
        partials = [self._known[trial] for trial in trials]
        gain = self._gain([self._known[trial] for trial in finals], partials, mean, deviation)
        seconds = np.array([max(partial.seconds, 1e-9) for partial in partials])
        order = np.lexsort((trials, -gain / seconds))
        return [trials[index] for index in order if gain[index] > LEAST_GAIN]

    def _reached(self, epoch: int) -> list[int]:
        return [trial for trial in sorted(self._known) if len(self._known[trial].accuracies) >= epoch]

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

    def _final_log_errors(self, epoch: int, trials: list[int]) -> tuple[Floats, Floats]:
        """Mean and deviation (n,) of the last log errors of trials that are known to `epoch`."""
        place = self._epochs.index(epoch)
        told, ahead = self._epochs[: place + 1], self._epochs[place + 1 :]
        taken = [self._reached(each)[-MOST_KNOWN:] for each in ahead]
        everyone = sorted({*trials, *(trial for some in taken for trial in some)})
        rows = {trial: row for row, trial in enumerate(everyone)}
        terms, spread = _terms([self._known[trial] for trial in everyone], [self._traits[trial] for trial in everyone])
        errors = _Errors([self._known[trial] for trial in everyone], self._epochs)
        asked = [rows[trial] for trial in trials]
        mean = errors.of(asked, told)
        covariance = np.zeros((len(trials), len(told), len(told)))
        for some, each in zip(taken, ahead, strict=True):
            at = [rows[trial] for trial in some]
            before = self._epochs[: mean.shape[1]]
            known = np.column_stack([terms[at], errors.of(at, before)])
            step = _Step(known, errors.of(at, (each,))[:, 0], np.append(spread, np.full(len(before), SLOPES)))
            guess, doubt, shared = step.guess(np.column_stack([terms[asked], mean]), covariance)
            mean = np.column_stack([mean, guess])
            covariance = _grown(covariance, doubt, shared)
        level, unit = errors.scale(self._epochs[-1])
        return level + unit * mean[:, -1], unit * np.sqrt(covariance[:, -1, -1])


class _Errors:
    """Log errors at some epochs, each epoch's in deviations from its mean over those that reached it."""

    def __init__(self, partials: Sequence[Partial], epochs: Sequence[int]) -> None:
        self._columns: dict[int, Floats] = {}
        self._scales: dict[int, tuple[float, float]] = {}
        for epoch in epochs:
            raw = np.array(
                [each.log_error(epoch) if len(each.accuracies) >= epoch else np.nan for each in partials],
                dtype=np.float64,
            )
            there = raw[~np.isnan(raw)]
            level, unit = float(there.mean()), max(float(there.std()), LEAST_DEVIATION)
            self._columns[epoch], self._scales[epoch] = (raw - level) / unit, (level, unit)

    def of(self, rows: Sequence[int], epochs: Sequence[int]) -> Floats:
        """(rows, epochs)."""
        return np.column_stack([self._columns[epoch][rows] for epoch in epochs])

    def scale(self, epoch: int) -> tuple[float, float]:
        """The mean and the deviation that were taken out."""
        return self._scales[epoch]


class _Step:
    """A Bayesian linear regression of the log errors at one epoch on terms, of which the last is the log error before.

    known (n, terms); values (n,); spread (terms,): deviations of the weights' prior, which expects TREND of the last.
    """

    def __init__(self, known: Floats, values: Floats, spread: Floats) -> None:
        trend = np.zeros(len(spread))
        trend[-1] = TREND
        scaled, rest = known * spread, values - known @ trend
        inverse = np.linalg.inv(scaled.T @ scaled / NOISE**2 + np.eye(len(spread)))
        weights = inverse @ (scaled.T @ rest) / NOISE**2
        residual = rest - scaled @ weights
        self._noise = max(NOISE**2, float(residual @ residual) / len(values))
        self._weights = trend + weights * spread
        self._doubt = inverse * np.outer(spread, spread)

    def guess(self, terms: Floats, covariance: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean (m,), variance (m,) and covariance with the errors before (m, k), where those have `covariance` (m, k, k)."""
        on_errors = self._weights[-covariance.shape[1] :]
        shared = covariance @ on_errors
        doubt = self._noise + ((terms @ self._doubt) * terms).sum(axis=1)
        return terms @ self._weights, doubt + shared @ on_errors, shared


def _grown(covariance: Floats, doubt: Floats, shared: Floats) -> Floats:
    """With one more row and column (m, k + 1, k + 1)."""
    wider = np.concatenate([covariance, shared[:, None, :]], axis=1)
    return np.concatenate([wider, np.column_stack([shared, doubt])[:, :, None]], axis=2)


def _terms(partials: Sequence[Partial], traits: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Rows of terms (n, terms), and the deviations of their weights' prior (terms,)."""
    terms = list(_sizes_and_families(partials))
    columns = [_standard(column) for column in np.array(traits).T]
    spread = [deviation for _, deviation in terms] + [TRAIT] * len(columns)
    return np.column_stack([*(values for values, _ in terms), *columns]), np.array(spread)


def _sizes_and_families(partials: Sequence[Partial]) -> Iterator[tuple[Floats, float]]:
    sizes = [_standard(column) for column in np.log(np.array([partial.size for partial in partials]) + 1.0).T]
    families = [partial.architecture.family for partial in partials]
    yield np.ones(len(partials)), 1.0
    for place, size in enumerate(sizes):
        yield size, SLOPES
        for other in sizes[place:]:
            yield size * other, CURVED
    for family in sorted(set(families)):
        member = np.array([float(each == family) for each in families])
        yield member, FAMILY
        yield member * sizes[0], CURVED


def _standard(values: Floats) -> Floats:
    deviation = float(values.std())
    return (values - values.mean()) / deviation if deviation > 0 else np.zeros(len(values))
