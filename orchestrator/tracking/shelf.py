"""Runs of one kind in step with records: for what is no trial of a search, evaluations and single trainings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from orchestrator.tracking.differences import StoredRun, changed_tags, difference, is_another
from orchestrator.tracking.records import LATE_TAGS, MARKS, RunRecord
from orchestrator.tracking.store import Refused, Store


class RunShelf:
    """The runs of a store that have these tags (`kind` among them), by their tag `trial_key`. Put twice changes nothing."""

    def __init__(self, store: Store, tags: Mapping[str, str]) -> None:
        self.store = store
        self.runs: dict[str, StoredRun] = {}
        for run in store.runs(tags["kind"]):
            if not changed_tags(tags, run) and self.runs.setdefault(run.tags.get("trial_key", ""), run) is not run:
                store.delete(run)  # a second one, left by an answer that was lost

    def put(self, record: RunRecord) -> StoredRun:
        """Makes the store's run say what the record says."""
        run = self.runs.get(record.key)
        if run is not None and is_another(record, run):
            self.store.delete(self.runs.pop(record.key))
            run = None
        if run is None:
            run = self.runs[record.key] = create_run(self.store, record)
        write_difference(self.store, record, run, self._put_text)
        return run

    def _put_text(self, run: StoredRun, name: str, text: str) -> bool:
        try:
            self.store.put_text(run.artifact_uri, name, text)
        except Refused:
            return False  # the run does without it
        return True


def create_run(store: Store, record: RunRecord) -> StoredRun:
    """A new run of the record's, without the tags that are written last."""
    early = {key: value for key, value in record.tags.items() if key not in LATE_TAGS}
    return store.create(record.name, record.start_ms, early)


def write_difference(
    store: Store, record: RunRecord, run: StoredRun, put_text: Callable[[StoredRun, str, str], bool]
) -> None:
    """Writes what the run lacks of the record. put_text: whether an artifact was written; without it, its mark is not."""
    missing = difference(record, run, round(1000 * time.time()))
    unwritten = {MARKS[name] for name, text in missing.texts.items() if not put_text(run, name, text)}
    tags = {key: value for key, value in missing.tags.items() if key not in unwritten}
    if missing.points or missing.params or tags:
        store.write(run, missing.points, missing.params, tags)
    if missing.end and record.end_ms is not None:
        store.end(run, record.status, record.end_ms)
