"""A real MLflow server on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.ray_cluster import free_port

SECONDS_TO_START = 120
WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # three processes less to start


class Server:
    """A server that can be stopped and started again at the same port. `command` ends before its `--port`."""

    def __init__(self, command: list[str], log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [*command, "--port", str(port), "--workers", "1"]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of_a_team(cls, uri: str, files: Path, log: Path) -> "Server":
        """One that takes files over HTTP and keeps them in a folder of its own."""
        mlflow = str(Path(sys.executable).with_name("mlflow"))
        where = ["--backend-store-uri", uri, "--artifacts-destination", str(files), "--host", "127.0.0.1"]
        return cls([mlflow, "server", *where], log)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True, env=os.environ | WITHOUT_JOBS
            )
        until = time.monotonic() + SECONDS_TO_START
        while not self._is_up():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _is_up(self) -> bool:
        try:
            return self.get("/health") == b"OK"
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
