"""A real Ray cluster on loopback: a head and nodes that are processes of their own, each to be killed and replaced."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HERE = "127.0.0.1"
SECONDS_TO_START = 120
PROGRAMS = Path(sys.executable).parent


@dataclass(slots=True)
class Node:
    """One `ray start --block`, with all the processes under it."""

    process: subprocess.Popen[bytes]
    log: Path

    def processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            whole = psutil.Process(self.process.pid)
            return [whole, *whole.children(recursive=True)]
        return []

    def kill(self) -> None:
        """SIGKILL to all of it, as if the machine had lost its power."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(30)


@dataclass(slots=True)
class RayCluster:
    """A head with the Jobs API, and nodes that join it. Each cluster has a token of its own."""

    cpus: int = 1
    gpus: int = 0
    labels: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=lambda: free_port())
    jobs_port: int = field(default_factory=lambda: free_port())
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="rc")))
    head: Node | None = None
    nodes: list[Node] = field(default_factory=list)
    more_environment: dict[str, str] = field(default_factory=dict)  # of the processes of head and nodes
    _started: int = 0

    @property
    def address(self) -> str:
        return f"{HERE}:{self.port}"

    @property
    def jobs(self) -> str:
        return f"http://{HERE}:{self.jobs_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process that talks to this cluster needs."""
        dropped = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN_PATH")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {
            **kept,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **self.more_environment,
        }

    def start(self, cwd: Path | None = None) -> None:
        """Starts the head, at the same ports as an earlier one; its Jobs API answers on return."""
        session = tempfile.mkdtemp(prefix="s", dir=self.folder)
        options = ["--head", "--port", str(self.port), "--temp-dir", session]
        options += ["--dashboard-host", HERE, "--dashboard-port", str(self.jobs_port), "--include-dashboard=true"]
        self.head = self._start(options, self.cpus, self.gpus, self.labels, cwd)
        self._wait(self.head, self.jobs_port)

    def join(self, cpus: int = 1, gpus: int = 0, labels: str = "", cwd: Path | None = None) -> Node:
        """A node that joins; it may take seconds until Ray places work there.

        As on a machine of its own, its files are its own: a node that joins writes the working folders of jobs anew, and
        would take them from under the feet of others that shared them.
        """
        own = tempfile.mkdtemp(prefix="n", dir=self.folder)
        node = self._start(["--address", self.address, "--temp-dir", own], cpus, gpus, labels, cwd)
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in [*self.nodes, *([self.head] if self.head else [])]:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, options: list[str], cpus: int, gpus: int, labels: str, cwd: Path | None) -> Node:
        self._started += 1
        log = self.folder / f"node-{self._started}.log"
        command = [PROGRAMS / "ray", "start", "--block", "--node-ip-address", HERE, "--num-cpus", str(cpus)]
        command += ["--num-gpus", str(gpus), "--dashboard-agent-listen-port", str(free_port())]
        command += ["--object-store-memory", str(80 * 2**20), "--disable-usage-stats"]
        command += ["--labels", labels] if labels else []
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *options],
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=cwd or self.folder,
                start_new_session=True,
            )
        return Node(process, log)

    def _wait(self, node: Node, port: int) -> None:
        import requests

        until = time.monotonic() + SECONDS_TO_START
        headers = {"Authorization": f"Bearer {self.token}"}
        while True:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"http://{HERE}:{port}/api/jobs/", headers=headers, timeout=5).ok:
                    return
            assert node.process.poll() is None, node.log.read_text()
            assert time.monotonic() < until, node.log.read_text()
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port: int = probe.getsockname()[1]
    return port


def stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Ends a process group that a test started, whatever state it is in."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
