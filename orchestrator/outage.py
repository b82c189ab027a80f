"""Waiting for a database that is away: what was to be written is tried again until it is, and a person is told."""

from __future__ import annotations

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
    """Repeats what a database could not take. `seconds` is how long it was waited for, all in all."""

    def __init__(self, what: str, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
        self.seconds = 0.0
        self._what = what
        self._say = say
        self._sleep = sleep

    def persist(self, call: Callable[[], Answer], between: Callable[[], None]) -> Answer:
        """The call's answer, however often it takes; `between` runs before each new try and may end them by raising."""
        began = time.monotonic()
        said_at, pause = None, FIRST_PAUSE
        while True:
            try:
                if said_at is not None:
                    between()
                answer = call()
            except (SQLAlchemyError, StorageInternalError) as error:
                if not is_passing(error):
                    raise
                if said_at is None or time.monotonic() - said_at >= SECONDS_BETWEEN_WORDS:
                    said_at = time.monotonic()
                    self._say(f"{self._what} does not answer ({reason(error)}); the search waits, nothing is lost")
                self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if said_at is not None:
                waited = time.monotonic() - began
                self.seconds += waited
                self._say(f"{self._what} answers again after {waited:.0f} s; the search goes on")
            return answer
