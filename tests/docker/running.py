"""Entry points of the images as a container runs them: each the first process of its own PID namespace, where that is
allowed, so that a signal nobody handles is lost as it would be there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

ENTRYPOINTS = Path(__file__).parents[2] / "docker/entrypoints"
NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
FOREIGN = ("RAY_", "PG", "POSTGRES_", "IGCV_", "MLFLOW_", "TMPDIR")  # what a container does not inherit
SECONDS = 120  # to come up, to go down, to search: far more than they take


@lru_cache(maxsize=1)
def isolates() -> bool:
    """Whether this machine lets the tests make PID namespaces."""
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


class Entry:
    """One entry point: `variables` as its container's, `folder` as its working directory and its home."""

    def __init__(self, script: str, folder: Path, variables: dict[str, str], *arguments: str) -> None:
        self.log = folder / f"{script}.log"
        self._script = script
        self._folder = folder
        own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = own | {"PATH": path, "HOME": str(folder), "OMP_NUM_THREADS": "1"} | variables
        command = [str(ENTRYPOINTS / script), *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*NAMESPACE, *command] if isolates() else command,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=self._environment,
                start_new_session=True,
            )

    def wait_until_healthy(self) -> None:
        until = time.monotonic() + SECONDS
        while (said := self.health()) is not None:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, f"{said}\n{self.log.read_text()}"
            time.sleep(0.2)

    def health(self) -> str | None:
        """What the health check says against it; None: it is well."""
        result = self.within("healthy", self._script)
        return None if result.returncode == 0 else result.stderr

    def within(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another entry point as `docker exec` would, beside this one."""
        command = [str(ENTRYPOINTS / script), *arguments]
        if isolates() and (first := self._first()) is not None:
            command = ["nsenter", "--target", str(first), "--pid", "--mount", f"--wd={self._folder}", *command]
        return subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=SECONDS
        )

    def ended(self) -> int:
        """The exit status after SIGTERM to the first process; fails where it takes no notice."""
        first = self._first() if isolates() else self._process.pid
        assert first is not None, self.log.read_text()
        os.kill(first, signal.SIGTERM)
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        """Whatever still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # unshare takes its namespace with it
            self._process.wait(SECONDS)

    def _first(self) -> int | None:
        """The process that is number 1 within."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = children.read_text().split() if children.exists() else []
        return int(pids[0]) if pids else None


def free_ports(count: int) -> list[str]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def command_lines() -> str:
    """Those of all processes of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text(errors="replace"))
        except OSError:  # it ended meanwhile
            continue
    return "\n".join(found)
