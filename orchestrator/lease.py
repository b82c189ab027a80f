"""One driver owns a study: a lease in the study's own storage that dies with the driver."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout


class Lease(Protocol):
    """Held from its making until `release` or the end of the process, however it ends."""

    def release(self) -> None: ...


class FileLease:
    """An operating-system lock on a file beside the journal; the kernel drops it when its process dies."""

    def __init__(self, path: Path) -> None:
        """ValueError names the process that holds it."""
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

    def release(self) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _read_owner(self) -> str:
        return self._owner.read_text() if self._owner.exists() else "its process is unknown"


class PostgresLease:
    """An advisory lock of a PostgreSQL session; the server drops it when the connection ends."""

    def __init__(self, url: str, study: str) -> None:
        """ValueError where another session holds it."""
        import psycopg

        self._connection = psycopg.connect(libpq_url(url), autocommit=True)
        key = int.from_bytes(hashlib.sha256(study.encode()).digest()[:8], "big", signed=True)
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        if row is None or not row[0]:
            self._connection.close()
            raise ValueError(f"study {study!r}: another search runs it; wait for it or follow it with `igcv status`")

    def release(self) -> None:
        self._connection.close()


def libpq_url(url: str) -> str:
    """SQLAlchemy's URL (postgresql+psycopg://…) as libpq takes it."""
    scheme, separator, rest = url.partition("://")
    return scheme.split("+")[0] + separator + rest
