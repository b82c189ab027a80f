"""The trained weights of a study: the last checkpoints of the front's members and of the references, and no others.

A member's goes when the member leaves the front, so the disk holds no more than one front.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orchestrator.trials import Trial
from workers.places import Place

Point = tuple[float, ...]  # minimised
FOLDER = "weights"


def weights_file(study_folder: Path, number: int) -> Path:
    """Where the weights of a trial lie, if they were kept."""
    return study_folder / FOLDER / f"trial-{number:06d}.pt"


class FrontWeights:
    """Follows the front; `trials` are those that ended before. costs: the objectives beside accuracy."""

    def __init__(self, study_folder: Path, costs: tuple[str, ...], trials: Iterable[Trial]) -> None:
        self._study_folder = study_folder
        self._costs = costs
        self._front: dict[int, Point] = {}
        self._references: set[int] = set()
        for trial in trials:
            self._admit(trial)
        kept = {self._file(number) for number in (*self._front, *self._references)}
        for file in (study_folder / FOLDER).glob("trial-*.pt"):
            if file not in kept:
                file.unlink(missing_ok=True)

    def take(self, trial: Trial, place: Place, name: str) -> None:
        """The trial ended: its checkpoint is moved here where it is on the front, and those it dominates go.

        OSError where it cannot be had now; that it is on the front is known then.
        """
        before = set(self._front)
        wanted = self._admit(trial)
        for number in before - set(self._front):
            self._file(number).unlink(missing_ok=True)
        if wanted:
            place.move(name, self._file(trial.number))

    def _admit(self, trial: Trial) -> bool:
        """Whether its weights are wanted; the front changes with it."""
        costs = [trial.cost(name) for name in self._costs]
        if trial.accuracy is None:
            return False
        if trial.candidate.source == "reference":
            self._references.add(trial.number)
            return True
        point = (1.0 - trial.accuracy, *(cost for cost in costs if cost is not None))
        if any(_dominates(other, point) for number, other in self._front.items() if number != trial.number):
            return False
        self._front = {number: other for number, other in self._front.items() if not _dominates(point, other)}
        self._front[trial.number] = point
        return True

    def _file(self, number: int) -> Path:
        return weights_file(self._study_folder, number)


def _dominates(one: Point, other: Point) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
