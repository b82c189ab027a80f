"""The tracker of a search: MLflow's, or none. Importing this imports no MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import artifact_root
from orchestrator.tracking.live import CLOSE_TIMEOUT, MlflowTracker


class Tracker(Protocol):
    """Where a running search's rows go."""

    def update(self, rows: Iterable[TrialRow]) -> None:
        """Takes rows that changed and returns at once. A resumed search begins with all of its rows."""

    def run_id(self, key: str) -> str | None:
        """The trial's run, where it is known already."""

    def study_page(self) -> str | None:
        """The address of the study's page, where it is known already."""

    def close(self, report: Path, table: Path, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Writes what waits, and these two files; whether all of it arrived within `timeout` seconds."""


class NoTracker:
    """`tracking: off`."""

    def update(self, rows: Iterable[TrialRow]) -> None:
        pass

    def run_id(self, key: str) -> str | None:
        return None

    def study_page(self) -> str | None:
        return None

    def close(self, report: Path, table: Path, timeout: float = CLOSE_TIMEOUT) -> bool:
        return True


def open_tracker(uri: str | None, facts: StudyFacts, say: Callable[[str], None], folder: Path | None = None) -> Tracker:
    """The tracker to the store at `uri` (None: none). `folder`, the study's, matters to databases that are no file."""
    if uri is None:
        return NoTracker()
    return MlflowTracker(uri, artifact_root(uri, folder or Path("runs") / facts.study), facts, say)
