"""The run of a whole study, below which its trials' runs stand: found by its tags, and kept in step with the rows."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from dashboards.publish import study_markdown
from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import front_page
from orchestrator.tracking.differences import StoredRun, changed_tags
from orchestrator.tracking.records import STATUS, TEXT_LIMIT, Point, Status, identity, study_curve, study_record
from orchestrator.tracking.store import Store

NOTE_TAG = "mlflow.note.content"
CURVE_TAG = "found"  # trainings that the study's curve counts; always written after them
PATIENCE = 20.0  # while running, curve and description take at most one part in so many of the time


class ParentRun:
    """The parent run of one study in one store."""

    def __init__(self, store: Store, facts: StudyFacts, environment: Mapping[str, str]) -> None:
        self.store = store
        self.facts = facts
        self.environment = {f"environment.{name}": value for name, value in environment.items()}
        self.run = self._find() or self._create()
        self._told_due = 0.0

    def update(self, rows: Collection[TrialRow], *, running: bool) -> None:
        """Counts, the study's curve, and whether it runs, has ended (FINISHED) or was stopped before (KILLED)."""
        record = study_record(self.facts, Counter(row.state for row in rows), _span(rows))
        points, note = self._told(rows) if not running or time.monotonic() >= self._told_due else ([], {})
        known = int(self.run.tags.get(CURVE_TAG, "0"))
        marks = {CURVE_TAG: str(known + len(points))} if points else {}
        tags = changed_tags({**record.tags, **self.environment, **marks, **note}, self.run)
        params = {key: value for key, value in record.params.items() if key not in self.run.params}
        if points or params or tags:
            self.store.write(self.run, [point for group in points for point in group], params, tags)
        if not self.run.has_data:
            self.store.put_data(self.run, record.data)
        self._set_status("RUNNING" if running else _outcome(rows), record.end_ms)

    def put_file(self, path: Path) -> None:
        """A file of the whole study as an artifact of the same name; one that did not change is not written again."""
        digest, mark = hashlib.sha256(path.read_bytes()).hexdigest()[:16], f"artifact.{path.name}"
        if self.run.tags.get(mark) != digest:
            self.store.put_file(self.run.artifact_uri, path)
            self.store.write(self.run, (), {}, {mark: digest})

    def _find(self) -> StoredRun | None:
        wanted = identity(self.facts, "study")
        return next((run for run in self.store.runs("study") if not changed_tags(wanted, run)), None)

    def _create(self) -> StoredRun:
        now = time.time()
        record = study_record(self.facts, {}, (now, now))
        return self.store.create(record.name, record.start_ms, identity(self.facts, "study"))

    def _note(self, rows: Collection[TrialRow]) -> str:
        """What MLflow's page shows as the run's description."""
        link = f"[The front]({front_page(self.store.experiment_id)}), the most accurate network first. "
        link += "The report lies among the artifacts.\n\n"
        ordered = sorted(rows, key=lambda row: row.number)
        return link + study_markdown(ordered, self.facts, TEXT_LIMIT - len(link))

    def _told(self, rows: Collection[TrialRow]) -> tuple[list[tuple[Point, ...]], dict[str, str]]:
        """The study's curve after what was written of it, and the description."""
        began = time.monotonic()
        points = study_curve(list(rows), self.facts)[int(self.run.tags.get(CURVE_TAG, "0")) :]
        note = {NOTE_TAG: self._note(rows)}
        self._told_due = time.monotonic() + PATIENCE * (time.monotonic() - began)
        return points, note

    def _set_status(self, status: Status, end_ms: int) -> None:
        if status == "RUNNING":
            if self.run.status != status:
                self.store.reopen(self.run)
        elif (self.run.status, self.run.end_ms) != (status, end_ms):
            self.store.end(self.run, status, end_ms)


def _outcome(rows: Collection[TrialRow]) -> Status:
    return "KILLED" if any(STATUS[row.state] == "RUNNING" for row in rows) else "FINISHED"


def _span(rows: Collection[TrialRow]) -> tuple[float, float]:
    """When the first trial started and the last one ended; the present where there is none."""
    started = [row.started_at for row in rows if row.started_at is not None]
    ended = [row.ended_at for row in rows if row.ended_at is not None]
    now = time.time()
    return min(started, default=now), max(ended, default=min(started, default=now))
