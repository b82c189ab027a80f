"""What a proposer is to be told: only what changed since it was last asked, however long the study is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.sampler.proposer import Observation
from orchestrator.trials import Trial
from search_spaces.space import Architecture


class Ledger:
    """Follows trials. A trial that is queued, training or lost is pending; one that paused or stopped has only a curve.

    warm: what earlier studies have shown. references: the reference networks that are points of the space, by name.
    measured: the objectives that only workers can tell.
    """

    def __init__(
        self,
        warm: Iterable[Observation] = (),
        references: Mapping[str, Architecture] | None = None,
        measured: Sequence[str] = (),
    ) -> None:
        self._measured = measured
        self._news: dict[Architecture, Observation] = {one.architecture: one for one in warm}
        self._references = dict(references or {})
        self._pending: dict[int, Architecture] = {}

    def changed(self, trial: Trial) -> None:
        """Takes note of where a trial stands now. References that are no points of the space teach nothing."""
        reference = trial.candidate.source == "reference"
        architecture = self._references.get(trial.candidate.name) if reference else trial.candidate.architecture
        if architecture is None:
            return
        if trial.phase in ("queued", "training", "lost"):
            self._pending[trial.number] = architecture
            return
        self._pending.pop(trial.number, None)
        curve = tuple(report.accuracy for report in trial.curve)
        if trial.accuracy is not None or (curve and trial.phase != "failed"):
            costs = [trial.cost(name) for name in self._measured]
            self._news[architecture] = Observation(
                architecture=architecture,
                accuracy=trial.accuracy,
                curve=curve,
                reference=reference,
                measured=() if None in costs else tuple(cost for cost in costs if cost is not None),
            )

    def take(self) -> tuple[tuple[Observation, ...], tuple[Architecture, ...]]:
        """(observed, pending) for `Proposer.propose`; what is handed out is not handed out again."""
        news = tuple(self._news.values())
        self._news.clear()
        return news, tuple(self._pending.values())
