"""What waits to be written to MLflow: the newest row of each trial, handed over without ever blocking the search."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dashboards.table import TrialRow

CAPACITY = 20_000  # trials; beyond it the oldest are dropped, and counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows to write. The last batch is `closing`, and brings the study's files."""

    rows: tuple[TrialRow, ...]
    closing: bool
    files: tuple[Path, ...] = ()


class Mailbox:
    """One side puts rows in, the other takes all of them at once; of one trial only the newest row waits."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._rows: dict[str, TrialRow] = {}
        self._files: tuple[Path, ...] = ()
        self._closing = False
        self._changed = threading.Condition()

    def put(self, rows: Iterable[TrialRow]) -> None:
        with self._changed:
            for row in rows:
                self._rows.pop(row.key, None)
                self._rows[row.key] = row
            self._drop_oldest()
            self._changed.notify_all()

    def close(self, files: Iterable[Path]) -> None:
        """No row comes after this."""
        with self._changed:
            self._closing, self._files = True, tuple(files)
            self._changed.notify_all()

    def take(self, timeout: float) -> Batch:
        """All that waits, as soon as something does; empty after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._rows or self._closing, timeout)
            batch = Batch(rows=tuple(self._rows.values()), closing=self._closing, files=self._files)
            self._rows = {}
            return batch

    def give_back(self, batch: Batch) -> None:
        """Takes rows that could not be written; newer ones of the same trials stay."""
        with self._changed:
            self._rows = {row.key: row for row in batch.rows} | self._rows
            self._drop_oldest()

    def rest(self, seconds: float) -> None:
        """Waits; the end of the search cuts it short."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._closing and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def _drop_oldest(self) -> None:
        while len(self._rows) > self._capacity:
            del self._rows[next(iter(self._rows))]
            self.dropped += 1
