"""One driver owns a study: a lease in the study's own storage that dies with the driver."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from orchestrator.storage_address import libpq_url
from orchestrator.tracking.address import redact

SECONDS_BETWEEN_CHECKS = 5.0
NAME_LIMIT = 63  # bytes of an application's name in PostgreSQL
CONNECTION: dict[str, Any] = {  # a machine that has vanished is noticed within half a minute, on either side
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=30000 -c idle_in_transaction_session_timeout=60000",
}
_LOCK = "SELECT pg_try_advisory_lock(%s)"
_HOLDER = (
    "SELECT pid, application_name, to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') FROM pg_stat_activity "
    "WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32) | objid::bigint = %s)"
)


class Lease(Protocol):
    """Held from its making until `release` or the end of the process, however it ends."""

    driver: dict[str, Any]  # who holds it: host, pid, token

    def keep(self) -> None:
        """To be called often. LeaseLostError where another driver holds it now."""

    def release(self) -> None: ...


class LeaseLostError(ValueError):
    """Another driver has taken the study over."""

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"another search has taken this study over ({holder}) while this one had lost its storage; this one stops, and "
            "has written nothing since"
        )


class FileLease:
    """An operating-system lock on a file beside the journal; the kernel drops it when its process dies."""

    def __init__(self, path: Path) -> None:
        """ValueError names the process that holds it."""
        self.driver = _driver()
        self._lock = FileLock(path, timeout=0)
        self._owner = path.with_name(path.name + ".owner")
        try:
            self._lock.acquire()
        except Timeout:
            raise ValueError(
                f"{path.parent}: another search runs this study ({self._read_owner()}); "
                "wait for it, stop it with ctrl-C, or follow it with `igcv status`"
            ) from None
        self._owner.write_text(f"process {os.getpid()} on {os.uname().nodename}")

    def keep(self) -> None:
        pass

    def release(self) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _read_owner(self) -> str:
        return self._owner.read_text() if self._owner.exists() else "its process is unknown"


class PostgresLease:
    """An advisory lock of a PostgreSQL session; the server drops it when the connection ends.

    A connection may end while its driver lives. So every writing transaction also checks that the study still names
    this driver (`PostgresStorage.fence`), and `keep` takes the lock again.
    """

    def __init__(self, where: str, study: str) -> None:
        """ValueError names the process that holds it, or says that the database does not answer."""
        import psycopg

        self.driver = _driver()
        self._url = libpq_url(where)
        self._study = study
        self._key = int.from_bytes(hashlib.sha256(study.encode()).digest()[:8], "big", signed=True)
        self._checked_at = time.monotonic()
        try:
            self._connection = self._connect()
            holder = self._take()
        except psycopg.Error as error:
            raise ValueError(unreachable(where, error)) from None
        if holder is not None:
            self._connection.close()
            raise ValueError(
                f"study {study!r}: another search runs it ({_words(holder)}); wait for it, stop it with ctrl-C, or follow "
                f"it with `igcv status 'STORAGE_URL#{study}'`"
            )

    def keep(self) -> None:
        """At most every few seconds. While the database is away the lock is too, and nothing can be written."""
        import psycopg

        if time.monotonic() - self._checked_at < SECONDS_BETWEEN_CHECKS:
            return
        self._checked_at = time.monotonic()
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self._regain()

    def release(self) -> None:
        self._connection.close()

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(self._url, autocommit=True, application_name=self._name, **CONNECTION)

    @property
    def _name(self) -> str:
        """Says whose session it is: `igcv HOST:PID TOKEN`."""
        tail = f":{self.driver['pid']} {self.driver['token'][:8]}"
        return f"igcv {self.driver['host']}"[: NAME_LIMIT - len(tail)] + tail

    def _take(self) -> tuple[int, str, str] | None:
        """Takes the lock, or returns who holds it."""
        row = self._connection.execute(_LOCK, (self._key,)).fetchone()
        if row is not None and row[0]:
            return None
        found = self._connection.execute(_HOLDER, (self._key,)).fetchone()
        return (found[0], found[1] or "", found[2] or "") if found else (0, "", "")

    def _regain(self) -> None:
        import psycopg

        self._connection.close()
        try:
            self._connection = self._connect()
            holder = self._take()
            if holder is not None and holder[1] == self._name:  # our own session, whose end the server has not noticed
                self._connection.execute("SELECT pg_terminate_backend(%s)", (holder[0],))
                return  # the lock is taken at the next call
        except psycopg.Error:
            return  # still away
        if holder is not None:
            raise LeaseLostError(_words(holder))


def unreachable(where: str, error: Exception) -> str:
    """What a person is told of a storage that does not answer; no password, no statement."""
    words = redact(str(error)).strip().splitlines() or [type(error).__name__]
    return (
        f"storage {redact(where)}: {words[0]}; check that the server runs, the address, the user and the password "
        "(in the address, in PGPASSWORD or in ~/.pgpass)"
    )


def _driver() -> dict[str, Any]:
    return {"host": os.uname().nodename, "pid": os.getpid(), "token": uuid.uuid4().hex}


def _words(holder: tuple[int, str, str]) -> str:
    """`process 17 on HOST, since …`, from the session's name."""
    _, name, since = holder
    host, _, pid = name.removeprefix("igcv ").partition(" ")[0].rpartition(":")
    who = f"process {pid} on {host}" if host else f"session {name!r} of the server"
    return f"{who}, since {since}" if since else who
