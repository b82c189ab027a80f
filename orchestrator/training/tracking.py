"""A single training's run in MLflow, brought up to date after each epoch; an outage of MLflow never stops the training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import artifact_root, redact, sqlite_file
from orchestrator.tracking.records import study_record
from orchestrator.tracking.shelf import RunShelf
from orchestrator.tracking.store import Refused, Store, Unreachable
from orchestrator.training.records import KIND, STUDY, training_record
from orchestrator.training.wanted import Wanted

SECONDS_BETWEEN_WRITES = 2.0
SECONDS_IN_OUTAGE = 60.0


class TrainingTracker:
    """Writes at most every two seconds; `close` writes the end, and says where it could not."""

    def __init__(
        self, uri: str | None, folder: Path, wanted: Wanted, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._uri = uri
        self._folder = folder
        self._wanted = wanted
        self._environment = environment
        self._say = say
        self._shelf: RunShelf | None = None
        self._due = 0.0

    def put(self, row: TrialRow) -> None:
        if self._uri is not None and time.monotonic() >= self._due:
            error = self._write(self._uri, row)
            if error:
                self._say(f"MLflow at {redact(self._uri)}: {error}; the training goes on, MLflow catches up")
            self._due = time.monotonic() + (SECONDS_IN_OUTAGE if error else SECONDS_BETWEEN_WRITES)

    def close(self, row: TrialRow) -> None:
        if self._uri is not None and (error := self._write(self._uri, row)):
            self._say(f"MLflow at {redact(self._uri)}: {error}; the same command brings it up to date")

    def _write(self, uri: str, row: TrialRow) -> str:
        """What keeps MLflow from it; empty where nothing does."""
        try:
            shelf = self._shelf = self._shelf or self._connect(uri)
            run = shelf.put(training_record(self._wanted, row, self._environment))
            if not run.has_data:
                facts = StudyFacts(study=STUDY, data=self._wanted.data.name, class_names=self._wanted.facts.classes)
                shelf.store.put_data(run, study_record(facts, {}, (0.0, 0.0)).data)
        except (Unreachable, Refused) as error:
            self._shelf = None  # read anew, for an answer may have been lost
            return str(error)
        return ""

    def _connect(self, uri: str) -> RunShelf:
        file = sqlite_file(uri)
        if file is not None and not file.exists():
            self._say(f"setting up MLflow's store {file} (some seconds, once)")
            file.parent.mkdir(parents=True, exist_ok=True)
        store = Store.connect(uri, STUDY, artifact_root(uri, self._folder.parent))
        return RunShelf(store, {"kind": KIND, "study": STUDY})
