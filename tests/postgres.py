"""A real PostgreSQL server on loopback: its own folder, a random port, a password; it can be killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from tests.ray_cluster import free_port

USER = "searcher"
PASSWORD = "s3cret/{0}:%@pass"  # every character that a URL, a format string or an ini file might trip over
DEBIAN = Path("/usr/lib/postgresql")
SECONDS_TO_START = 60


def binaries() -> Path | None:
    """The folder of initdb and postgres: on the path, or the newest of Debian's packages."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def owner() -> str | None:
    """Whom the server runs as: PostgreSQL refuses root. None: whoever runs the tests."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


class PostgresServer:
    """One server; `url(NAME)` is a new database's address, with the password in it."""

    def __init__(self, programs: Path, settings: tuple[str, ...] = ("fsync=off",)) -> None:
        self._programs = programs
        self._settings = settings
        self._user = owner()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="igcv-postgres-"))
        self.log = self.folder / "log"
        self._make()

    def start(self) -> None:
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *self._settings]
        options = [part for setting in settings for part in ("-c", setting)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                **self._as_owner(),  # type: ignore[call-overload]
            )
        until = time.monotonic() + SECONDS_TO_START
        while not self._is_up():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """At once: every connection is cut, as if the machine had gone."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: immediate shutdown
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Makes an empty database; its URL."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (self.folder, secret):
                shutil.chown(path, self._user)
        subprocess.run(
            [
                *(self._programs / "initdb", "-D", self.folder / "data", "-U", USER, f"--pwfile={secret}"),
                *("--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            **self._as_owner(),  # type: ignore[call-overload]
        )
        secret.unlink()

    def _as_owner(self) -> dict[str, object]:
        where: dict[str, object] = {"cwd": self.folder}
        return where if self._user is None else {**where, "user": self._user, "extra_groups": []}

    def _is_up(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
