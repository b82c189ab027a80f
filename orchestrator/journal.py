"""The journal file on disk: mending what a power cut or a full disk left behind, and appending in groups."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial

NEEDED_BYTES = 64 * 2**20  # free space below which no search starts: a journal cut short is worse than none
_CHUNK = 2**16

Record = dict[str, Any]


class GroupingBackend(BaseJournalBackend):
    """A journal file whose records of one `grouped` block go to the disk in one append: one wait for it, not ten.

    Records of other threads are not held back. A block that raises writes what it had gathered: each record is true.
    This process's threads take turns here, since Optuna's lock on the file sleeps where it finds another's.
    """

    def __init__(self, journal: str) -> None:
        self._file = JournalFileBackend(journal)
        self._held = threading.local()
        self._turn = threading.Lock()

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Holds this thread's records back until the block ends; until then it reads no news from the file either."""
        assert self._group() is None, "a group within a group"
        records: list[Record] = []
        self._held.records = records
        try:
            yield
        finally:
            self._held.records = None
            if records:
                self._append(records)

    def read_logs(self, log_number_from: int) -> Iterable[Record]:
        return () if self._group() is not None else self._file.read_logs(log_number_from)

    def append_logs(self, logs: list[Record]) -> None:
        held = self._group()
        if held is None:
            self._append(logs)
        else:
            held.extend(logs)

    def _group(self) -> list[Record] | None:
        """What this thread holds back."""
        return getattr(self._held, "records", None)

    def _append(self, logs: list[Record]) -> None:
        with self._turn:
            self._file.append_logs(logs)


class GroupingJournal(JournalStorage):
    """Optuna's journal storage, in which several trials can be made, or written to, in one append."""

    def __init__(self, journal: str) -> None:
        self._grouping = GroupingBackend(journal)
        self._has_made = False
        super().__init__(self._grouping)

    def grouped(self) -> AbstractContextManager[None]:
        """A block whose writes reach the disk together, at its end."""
        return self._grouping.grouped()

    def create_trials(self, study_id: int, templates: Sequence[FrozenTrial]) -> list[tuple[int, int]]:
        """Makes trials of these; the id and the number of each. Only the study's driver makes trials, on one thread."""
        alone = 0 if self._has_made else 1  # Optuna's storage answers with the last trial's id, so there has to be one
        self._has_made = True
        for template in templates[:alone]:
            self.create_new_trial(study_id, template_trial=template)
        with self.grouped():
            for template in templates[alone:]:
                self.create_new_trial(study_id, template_trial=template)  # its answer is of no use before the append
        made = self.get_all_trials(study_id, deepcopy=False)[-len(templates) :]
        assert [trial.params for trial in made] == [template.params for template in templates], "another driver"
        return [(trial._trial_id, trial.number) for trial in made]


def mend_journal(journal: Path) -> list[str]:
    """Moves a partial last line to a side file and cuts it; returns a message for each thing that was mended.

    Optuna reads over a partial last line, but the next append would make the journal unreadable for ever.
    """
    if not journal.exists():
        return []
    tail = _last_line(journal)
    if not tail or (tail.endswith(b"\n") and _is_record(tail)):
        return []
    if _is_record(tail):
        with journal.open("ab") as file:
            file.write(b"\n")
        return [f"{journal}: the last line had lost its end of line; put back"]
    side = journal.with_name(f"{journal.name}.partial-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
    side.write_bytes(tail)
    with journal.open("r+b") as file:
        file.truncate(journal.stat().st_size - len(tail))
        os.fsync(file.fileno())
    return [f"{journal}: a partial last line ({len(tail)} bytes) was moved to {side.name} and cut"]


def remove_dead_lock(journal: Path) -> list[str]:
    """Removes Optuna's append lock left by a killed process. Call only while holding the study's lease."""
    lock = journal.with_name(journal.name + ".lock")
    deadline = time.monotonic() + 2.0  # a living reader of Optuna's holds it for milliseconds
    while os.path.lexists(lock):
        if time.monotonic() > deadline:
            lock.unlink(missing_ok=True)
            return [f"{lock}: the lock of a dead process was removed"]
        time.sleep(0.05)
    return []


def check_free_space(folder: Path, needed: int = NEEDED_BYTES) -> None:
    """ValueError where less than `needed` bytes are free for the study."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"{folder}: {free / 2**20:.0f} MiB free, a study needs at least {needed / 2**20:.0f} MiB; "
            "free some space or set `output` to another disk"
        )


def _last_line(journal: Path) -> bytes:
    """The bytes after the last end of line but one (a journal's records are lines)."""
    with journal.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        tail = b""
        while position > 0 and b"\n" not in tail[:-1]:
            step = min(_CHUNK, position)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
    return tail[tail.rfind(b"\n", 0, max(len(tail) - 1, 0)) + 1 :]


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
