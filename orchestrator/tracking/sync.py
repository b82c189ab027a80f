"""Brings an MLflow store to what a study's rows say, writing only what differs: done twice, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dashboards.front import front_rows
from dashboards.parts import TABLE_NAME
from dashboards.table import StudyFacts, TrialRow
from orchestrator.tracking.address import artifact_root, is_server, redact
from orchestrator.tracking.bulk import WORTH_IT, insert_runs, new_run
from orchestrator.tracking.differences import StoredRun, changed_tags, difference, is_another
from orchestrator.tracking.models import ModelShelf
from orchestrator.tracking.parent import ParentRun
from orchestrator.tracking.records import RunRecord, front_aliases, identity, model_record, run_record
from orchestrator.tracking.shelf import create_run, write_difference
from orchestrator.tracking.store import Refused, Store, Unreachable

BULK_SIZE = 500  # runs in one transaction
REPORT_NAME = "report.html"


@dataclass(slots=True, kw_only=True)
class Changes:
    """How many runs were touched, how many models registered, and what MLflow would not take."""

    created: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0
    registered: int = 0
    refused: list[str] = field(default_factory=list)


def sync_study(
    uri: str,
    folder: Path,
    rows: Sequence[TrialRow],
    facts: StudyFacts,
    *,
    running: bool = False,
    register: bool = False,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Changes:
    """Makes the store at `uri` hold the whole study, the folder's report and table included, and nothing else of it.

    `running` says that a driver is at work. ValueError where the store does not answer; a new call goes on from there.
    """
    with _told(uri):
        store = Store.connect(uri, facts.study, artifact_root(uri, folder))
        synchroniser = Synchroniser(store, facts, environment)
        synchroniser.remove_others(row.key for row in rows)
        synchroniser.learn(rows)
        for start in range(0, len(rows), BULK_SIZE):
            synchroniser.apply(rows[start : start + BULK_SIZE])
            if progress is not None:
                progress(min(start + BULK_SIZE, len(rows)), len(rows))
        synchroniser.finish([folder / REPORT_NAME, folder / TABLE_NAME], running=running)
        if register:
            synchroniser.register()
    changes = synchroniser.changes
    changes.same = len(synchroniser.runs) - changes.created - changes.changed
    return changes


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """An outage, or a refusal of the whole study, as the user's fault: with what to do."""
    try:
        yield
    except (Unreachable, Refused) as error:
        raise ValueError(f"MLflow at {redact(uri)}: {error}; what was written stays, and a new call goes on") from error


def register_export(
    uri: str, folder: Path, rows: Sequence[TrialRow], facts: StudyFacts, row: TrialRow, export: Path, name: str
) -> str:
    """Puts an exported trial's files to its model, and makes that a version of the registered model `name`.

    The study's runs are brought up to date first; a second time changes nothing. Returns the version. ValueError where
    the store does not answer, or does not take the name.
    """
    sync_study(uri, folder, rows, facts)
    with _told(uri):
        synchroniser = Synchroniser(Store.connect(uri, facts.study, artifact_root(uri, folder)), facts)
        synchroniser.learn(rows)
        synchroniser.put_model(row)
        files = sorted(file for file in export.iterdir() if file.is_file())
        return synchroniser.shelf.register_with_files(name, row.key, files)


class Synchroniser:
    """A store's runs of one study, found once by their tags and then kept in step with rows."""

    def __init__(
        self,
        store: Store,
        facts: StudyFacts,
        environment: Mapping[str, str] | None = None,
        rows: dict[str, TrialRow] | None = None,
    ) -> None:
        """`rows` are those that an earlier synchroniser of this study knew."""
        self.store = store
        self.facts = facts
        self.changes = Changes()
        self.parent = ParentRun(store, facts, environment or {})
        self.runs = self._find_runs()
        self.shelf = ModelShelf(store)
        self.front = frozenset(key for key, run in self.runs.items() if run.tags.get("front") == "true")
        self._knows_front = False  # only what the store has of it
        self.rows = {} if rows is None else rows  # without plans, curves and texts

    def learn(self, rows: Iterable[TrialRow]) -> frozenset[str]:
        """Takes note of rows; returns the keys that enter or leave the front with them. Writes nothing."""
        before, any_complete = self.front, not self._knows_front
        for row in rows:
            self.rows[row.key] = replace(row, plan=None, epochs=(), stints=(), failure_traceback=None)
            any_complete = any_complete or row.state == "complete"
        if any_complete:
            members = front_rows(list(self.rows.values()), self.facts.objectives)
            self.front, self._knows_front = frozenset(row.key for row in members), True
        return before ^ self.front

    def apply(self, rows: Sequence[TrialRow]) -> None:
        """Writes rows as they now stand, and moves the front with them. Safe to repeat after any error."""
        moved = self.learn(rows) - {row.key for row in rows}
        self._insert_new(rows)
        tasks = [(row.name, partial(self._write, row)) for row in rows]
        tasks += [(f"the front's tag of {key}", partial(self._mark, key)) for key in sorted(moved)]
        if again := [(name, task) for name, task in tasks if self._refusal(task)]:
            self.runs = self._find_runs()  # somebody removed a run, or made one
            for name, task in again:
                self._complain(name, self._refusal(task))

    def finish(self, files: Sequence[Path], *, running: bool = False) -> None:
        """The parent run, and as its artifacts those of the files that there are."""
        self.parent.update(self.rows.values(), running=running)
        for path in files:
            if path.exists():
                self._complain(path.name, self._refusal(partial(self.parent.put_file, path)))

    def remove_others(self, keys: Iterable[str]) -> None:
        """Moves the runs of trials that the study does not have to MLflow's trash."""
        for key in self.runs.keys() - set(keys):
            self.store.delete(self.runs.pop(key))
            self.shelf.remove(key)
            self.changes.removed += 1

    def register(self) -> None:
        """Makes the front's members versions of a registered model named like the study, with aliases."""
        members = [self.rows[key] for key in sorted(self.front) if key in self.rows]
        self.changes.registered = self.shelf.register(self.facts.study, front_aliases(members))

    def put_model(self, row: TrialRow) -> None:
        """Makes a trial's model, on the front or not. The trial has a run."""
        record = self._record(row)
        assert record is not None, "a trial that ended was begun"
        self.shelf.put(model_record(row, record, self.facts.study, row.key in self.front), self.runs[row.key], row.plan)

    def _find_runs(self) -> dict[str, StoredRun]:
        """By trial key. A second run of one trial, left by an answer that was lost, goes to the trash."""
        wanted = identity(self.facts, "trial")
        runs: dict[str, StoredRun] = {}
        for run in self.store.runs("trial"):
            if not changed_tags(wanted, run) and runs.setdefault(run.tags.get("trial_key", ""), run) is not run:
                self.store.delete(run)
        return runs

    def _refusal(self, task: Callable[[], None]) -> str | None:
        try:
            task()
        except Refused as error:
            return str(error)
        return None

    def _complain(self, what: str, refusal: str | None) -> None:
        if refusal is not None:
            self.changes.refused.append(f"{what}: {refusal}")

    def _record(self, row: TrialRow) -> RunRecord | None:
        return run_record(row, self.facts, row.key in self.front, self.parent.run.run_id)

    def _write(self, row: TrialRow) -> None:
        """One trial's run and model."""
        if (record := self._record(row)) is None:
            return
        run = self.runs.get(record.key)
        if run is not None and is_another(record, run):
            self.store.delete(self.runs.pop(record.key))
            run = None
        if run is None:
            run = self._create(record)
        elif difference(record, run, 0):
            self.changes.changed += 1
        write_difference(self.store, record, run, self._put_text)
        self._put_model(row, record, run)

    def _create(self, record: RunRecord) -> StoredRun:
        run = self.runs[record.key] = create_run(self.store, record)
        self.changes.created += 1
        return run

    def _put_text(self, run: StoredRun, name: str, text: str) -> bool:
        """Whether the artifact was written; a run does without it where only its files are refused."""
        refusal = self._refusal(partial(self.store.put_text, run.artifact_uri, name, text))
        self._complain(f"{name} at {run.artifact_uri}", refusal)
        return refusal is None

    def _mark(self, key: str) -> None:
        """Moves a trial on or off the front; nothing else of it changed."""
        row, run = self.rows.get(key), self.runs.get(key)
        record = self._record(row) if row is not None else None
        if row is not None and record is not None and run is not None:
            if tags := changed_tags({"front": record.tags["front"]}, run):
                self.store.write(run, (), {}, tags)
            self._put_model(row, record, run)

    def _put_model(self, row: TrialRow, record: RunRecord, run: StoredRun) -> None:
        """The LoggedModel of a trial that is on the front, or once was."""
        is_front = row.key in self.front
        if is_front or row.key in self.shelf.models:
            self.shelf.put(model_record(row, record, self.facts.study, is_front), run, row.plan)

    def _insert_new(self, rows: Sequence[TrialRow]) -> None:
        """Many new runs in one transaction, where the store is a database that takes them; else they are left."""
        records = [record for row in rows if row.key not in self.runs and (record := self._record(row)) is not None]
        if is_server(self.store.uri) or len(records) < WORTH_IT:
            return
        runs = [new_run(record, self.store.artifact_location) for record in records]
        for record, run in zip(records, runs, strict=True):
            for name, text in record.texts.items():
                if not self._put_text(run, name, text):
                    return
        if insert_runs(self.store.uri, self.store.experiment_id, records, runs):
            self.runs |= {record.key: run for record, run in zip(records, runs, strict=True)}
            self.changes.created += len(runs)
