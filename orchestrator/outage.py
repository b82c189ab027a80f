"""Waiting for a database that is away: what was to be written is tried again until it is, and a person is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orchestrator.tracking.address import redact

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two tries
SECONDS_BETWEEN_WORDS = 60.0
# SQLSTATE classes that pass: connection, no resources, operator's intervention, system error, rolled back
PASSING = ("08", "53", "57", "58", "40")
READ_ONLY = "25006"  # a stand-by that is about to take over

Answer = TypeVar("Answer")


def is_passing(error: BaseException) -> bool:
    """Whether the database is away, or busy, so that the same may succeed later."""
    if isinstance(error, StorageInternalError):  # Optuna's wrapping
        return error.__cause__ is not None and is_passing(error.__cause__)
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return state[:2] in PASSING or state == READ_ONLY


def reason(error: BaseException) -> str:
    """The database's own words in one line, without passwords and without the statement."""
    cause: BaseException = error
    if isinstance(cause, StorageInternalError) and cause.__cause__ is not None:
        cause = cause.__cause__
    words = str(cause.orig) if isinstance(cause, DBAPIError) else str(cause)
    lines = [line.strip() for line in redact(words).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(cause).__name__


class Patience:
    """Repeats what a database could not take, for all threads together: an outage is told of once.

    `seconds` is how long the database was away, all in all.
    """

    def __init__(self, what: str, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
        self.seconds = 0.0
        self._what = what
        self._say = say
        self._sleep = sleep
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._said_at = 0.0

    def persist(self, call: Callable[[], Answer], between: Callable[[], None]) -> Answer:
        """The call's answer, however often it takes; `between` runs before each new try and may end them by raising."""
        pause = 0.0
        while True:
            began = time.monotonic()
            try:
                if pause:
                    between()
                answer = call()
            except (SQLAlchemyError, StorageInternalError) as error:
                if not is_passing(error):
                    raise
                self._is_away(began, reason(error))
                pause = min(2 * pause, LONGEST_PAUSE) or FIRST_PAUSE
                self._sleep(pause)
            else:
                if pause:
                    self._is_back()
                return answer

    def _is_away(self, since: float, why: str) -> None:
        now = time.monotonic()
        with self._lock:
            quiet = self._away_since is not None and now - self._said_at < SECONDS_BETWEEN_WORDS
            self._away_since = self._away_since or since
            if quiet:
                return
            self._said_at = now
        self._say(f"{self._what} does not answer ({why}); the search waits, nothing is lost")

    def _is_back(self) -> None:
        with self._lock:
            if self._away_since is None:  # another thread has found out
                return
            away = time.monotonic() - self._away_since
            self._away_since = None
            self.seconds += away
        self._say(f"{self._what} answers again after {away:.0f} s; the search goes on")
