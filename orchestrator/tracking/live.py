"""Tracking while a search runs: one thread does all of MLflow's work, and no outage of MLflow ever stops the search."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import page, redact, sqlite_file
from orchestrator.tracking.environment import environment
from orchestrator.tracking.mailbox import Batch, Mailbox
from orchestrator.tracking.store import Store, Unreachable
from orchestrator.tracking.sync import Synchroniser
from orchestrator.tracking.system import SystemMetrics

SECONDS_BETWEEN_BATCHES = 1.0  # so that epochs of many workers are written together
SECONDS_BETWEEN_SAMPLES = 10.0  # of system metrics
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two tries in an outage
CLOSE_TIMEOUT = 60.0  # seconds


class MlflowTracker:
    """Tracks a study to one store. `say` takes one line for a person; it is called from the tracker's thread."""

    def __init__(self, uri: str, artifact_root: str | None, facts: StudyFacts, say: Callable[[str], None]) -> None:
        self._study = facts.study
        self._say = say
        self._mailbox = Mailbox()
        self._writer = Writer(uri, artifact_root, facts, self._mailbox, say)
        self._writer.start()

    def update(self, rows: Iterable[TrialRow]) -> None:
        self._mailbox.put(rows)

    def run_id(self, key: str) -> str | None:
        synchroniser = self._writer.synchroniser
        run = synchroniser.runs.get(key) if synchroniser else None
        return run.run_id if run else None

    def study_page(self) -> str | None:
        synchroniser = self._writer.synchroniser
        if synchroniser is None:
            return None
        store = synchroniser.store
        return page(store.uri, store.experiment_id, synchroniser.parent.run.run_id)

    def close(self, report: Path, table: Path, timeout: float = CLOSE_TIMEOUT) -> bool:
        self._mailbox.close([report, table])
        self._writer.join(timeout)
        arrived = self._writer.done and not self._mailbox.dropped
        self._writer.abandoned = True
        if not arrived:
            self._say(f"MLflow does not have all of this study yet; `igcv track {self._study}` brings it up to date")
        return arrived


class Writer(threading.Thread):
    """Takes batches out of a mailbox until the last one is written; an outage gives its batch back and waits."""

    def __init__(
        self, uri: str, artifact_root: str | None, facts: StudyFacts, mailbox: Mailbox, say: Callable[[str], None]
    ) -> None:
        super().__init__(name="mlflow", daemon=True)
        self.synchroniser: Synchroniser | None = None
        self.done = False  # everything arrived
        self.abandoned = False  # nobody waits any more
        self._uri = uri
        self._artifact_root = artifact_root
        self._facts = facts
        self._mailbox = mailbox
        self._say = say
        self._system = SystemMetrics(SECONDS_BETWEEN_SAMPLES)
        self._in_outage = False
        self._told_refusal = False
        self._environment: Mapping[str, str] = {}
        self._rows: dict[str, TrialRow] = {}  # what the synchronisers of all connections know

    def run(self) -> None:
        pause = FIRST_PAUSE
        try:
            while not self.done and not self.abandoned:
                pause = FIRST_PAUSE if self._step() else min(2 * pause, LONGEST_PAUSE)
                self._mailbox.rest(SECONDS_BETWEEN_BATCHES if pause == FIRST_PAUSE else pause)
        except ValueError as error:  # a person must act first
            self._say(redact(str(error)))
        except Exception as error:  # the search outlives whatever its tracking meets
            self._say(redact(f"tracking to MLflow ended: {error!r}"))

    def _step(self) -> bool:
        """Writes what waits; False in an outage."""
        batch = self._mailbox.take(SECONDS_BETWEEN_SAMPLES)
        try:
            self._write(batch)
        except (Unreachable, OSError) as error:  # such as a folder for temporary files that is gone for a moment
            self._tell_outage(error)
            self._mailbox.give_back(batch)
            self.synchroniser = None  # the store is read anew, for an answer may have been lost
            if batch.closing:
                time.sleep(FIRST_PAUSE)
            return False
        self._in_outage = False
        self.done = batch.closing
        return True

    def _write(self, batch: Batch) -> None:
        synchroniser = self.synchroniser or self._connect()
        synchroniser.apply(batch.rows)
        self._system.sample(synchroniser.store, synchroniser.parent.run)
        if batch.closing:
            synchroniser.finish(batch.files)
        elif batch.rows:
            synchroniser.parent.update(synchroniser.rows.values(), running=True)
        self._tell_refusals(synchroniser)

    def _connect(self) -> Synchroniser:
        file = sqlite_file(self._uri)
        if file is not None and not file.exists():
            self._say(f"setting up MLflow's store {file} (some seconds, once)")
        store = Store.connect(self._uri, self._facts.study, self._artifact_root)
        self._environment = self._environment or environment()
        self.synchroniser = Synchroniser(store, self._facts, self._environment, self._rows)
        return self.synchroniser

    def _tell_outage(self, error: Exception) -> None:
        """Once for each outage."""
        if not self._in_outage:
            self._say(f"MLflow at {redact(self._uri)} does not answer ({error}); the search goes on, MLflow catches up")
        self._in_outage = True

    def _tell_refusals(self, synchroniser: Synchroniser) -> None:
        """The first one; the others are like it."""
        refused = synchroniser.changes.refused
        if refused and not self._told_refusal:
            self._say(f"MLflow refused {refused[0]}")
            self._told_refusal = True
