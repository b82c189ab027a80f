"""A storm: a search on a cluster of processes that are killed one after another, at moments drawn from a seed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.chaos.program import EPOCHS, VARIABLE, epochs
from tests.orchestrator.tracking.serving import Server
from tests.postgres import PostgresServer
from tests.ray_cluster import Node, RayCluster
from tests.s3 import CREDENTIALS, S3Server

DRIVER = "orchestrator.cli.main import main; main()"
WORKER = "TrainWorker"
PATIENCE = 900.0  # seconds that a search may make no progress at all
SECONDS_TO_FIND = 60.0  # who is to be killed
EXPERIMENT = """
name: storm
families:
  igcv2:
    stem_width: 8
    spatial: channelwise
    inner: none
    skip: true
    width: [[8, 12, 16, 24], [16, 24, 32, 48]]
    blocks: [1, 2]
    k: [4, 8]
budget: {max_macs: 400k}
sampler: uniform
"""


@dataclass(slots=True)
class Storm:
    """The search, its machines, and what befell them. `weather` are the kinds of accidents, in the order drawn."""

    folder: Path
    seed: int
    trials: int
    wheel: Path
    nodes: int = 3
    epochs: int = 3
    postgres: PostgresServer | None = None
    mlflow: Server | None = None
    s3: S3Server | None = None  # checkpoints lie in a bucket of its own
    pauses: tuple[float, float, float] = (30.0, 10.0, 10.0)  # seconds without MLflow, PostgreSQL, S3
    log: list[dict[str, Any]] = field(default_factory=list)
    submissions: int = 0
    _cluster: RayCluster = field(init=False)
    _random: random.Random = field(init=False)
    _began: float = field(default_factory=time.monotonic)
    _restarts: list[threading.Thread] = field(default_factory=list)
    _bucket: str = ""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._cluster = RayCluster(cpus=0)
        self._cluster.more_environment[VARIABLE] = str(self.study / EPOCHS)
        if self.s3:
            self._cluster.more_environment |= CREDENTIALS
            self._bucket = self.s3.bucket()

    @property
    def study(self) -> Path:
        return self.folder / "runs/storm"

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._cluster.token}"}

    @property
    def storage(self) -> str:
        """Where the study is read; with a password, so it never reaches the file that is submitted."""
        return self.postgres.url("storm") if self.postgres else str(self.study / "study.journal")

    def checkpoints(self) -> list[str]:
        """The names of those that are kept."""
        return self.s3.keys(self._bucket) if self.s3 else [file.name for file in (self.study / "checkpoints").iterdir()]

    def run(self, weather: list[str]) -> None:
        """Runs the search to its end through all of the weather. AssertionError where it cannot be brought there."""
        file = self._write_experiment()
        try:
            self._start_cluster()
            self._submit(file)
            for kind in weather:
                self._until_it_worked(file)
                time.sleep(self._random.uniform(0, 2))
                self._strike(kind)
            self._until_it_succeeded(file)
            self._note("ended", "")
            self._catch_up()
        finally:
            for thread in self._restarts:
                thread.join()
            self._cluster.close()

    def _write_experiment(self) -> Path:
        file = self.folder / "storm.yaml"
        settings = {
            "trials": self.trials,
            "output": str(self.folder / "runs"),
            "training": {"epochs": self.epochs, "batch_size": 256, "crop_padding": 1, "flip": False},
            "resources": {"cpus_per_worker": 1, "max_losses": 6},
            "tracking": self.mlflow.url if self.mlflow else "off",
            "storage": "env:STORM_STORAGE" if self.postgres else "journal",
        }
        if self.s3:
            settings["checkpoints"] = self.s3.address(f"{self._bucket}/checkpoints")
        file.write_text(EXPERIMENT + "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items()))
        return file

    def _start_cluster(self) -> None:
        if self.postgres:
            self._cluster.more_environment["STORM_STORAGE"] = self.storage
        self._cluster.start()
        for _ in range(self.nodes):
            self._cluster.join()

    # The search

    def _submit(self, file: Path) -> None:
        """As a person would: once more where it did not get through."""
        command = [sys.executable, "-c", f"from {DRIVER}", "submit", str(file), "--detach", "--wheel", str(self.wheel)]
        for _ in range(5):
            done = subprocess.run(
                [*command, "--address", self._cluster.jobs],
                env=self._cluster.environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            if done.returncode == 0:
                break
            time.sleep(2)
        assert done.returncode == 0, done.stderr
        self.submissions += 1
        self._note("submitted", done.stdout.strip())

    def _jobs(self) -> list[dict[str, Any]] | None:
        """All jobs, the newest last; a new head knows none. None where no head answers."""
        try:
            answer = requests.get(f"{self._cluster.jobs}/api/jobs/", headers=self._headers, timeout=20)
        except requests.RequestException:
            return None
        return sorted(answer.json(), key=lambda job: float(job["start_time"])) if answer.ok else None

    def _look_after(self, file: Path) -> bool:
        """Submits again what died, and starts nodes again that ended by themselves; whether it has succeeded."""
        for node in [node for node in self._cluster.nodes if node.process.poll() is not None]:
            self._cluster.nodes.remove(node)
            node.kill()
            self._note("node ended", " ".join(node.log.read_text().split())[-400:])
            self._cluster.join()
        jobs = self._jobs()
        if jobs is None or (jobs and jobs[-1]["status"] in ("PENDING", "RUNNING")):
            return False
        if jobs and jobs[-1]["status"] == "SUCCEEDED":
            return True
        words = " ".join((jobs[-1].get("message") or "").split())[-400:] if jobs else "the head knows no job"
        self._note("found dead", words)
        self._submit(file)
        return False

    def _until_it_worked(self, file: Path) -> None:
        """Until an epoch more is finished, or nothing is left to do."""
        before = epochs(self.study).total()
        self._wait(lambda: self._look_after(file) or epochs(self.study).total() > before)

    def _until_it_succeeded(self, file: Path) -> None:
        self._wait(lambda: self._look_after(file))

    def _catch_up(self) -> None:
        """Does what the search told a person to do, where MLflow was away, or too slow, when it ended."""
        for thread in self._restarts:
            thread.join()
        jobs = self._jobs()
        assert jobs, "the head that ran the last job knows it"
        url = f"{self._cluster.jobs}/api/jobs/{jobs[-1]['submission_id']}/logs"
        logs: str = requests.get(url, headers=self._headers, timeout=60).json()["logs"]
        (self.folder / "driver.log").write_text(logs)
        if self.mlflow is None or "does not have all of this study yet" not in logs:
            return
        command = [sys.executable, "-c", f"from {DRIVER}", "track", str(self.study), "--tracking-uri", self.mlflow.url]
        done = subprocess.run(command, env=self._cluster.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        self._note("tracked", "MLflow was behind when the search ended; `igcv track`, as its log said")

    def _wait(self, reached: Callable[[], bool]) -> None:
        done, moved_at = epochs(self.study).total(), time.monotonic()
        while not reached():
            if (now_done := epochs(self.study).total()) != done:
                done, moved_at = now_done, time.monotonic()
            assert time.monotonic() - moved_at < PATIENCE, f"no progress: {self.log}, {self._jobs()}"
            time.sleep(0.5)

    # The weather

    def _strike(self, kind: str) -> None:
        strikes: dict[str, Callable[[], str | None]] = {
            "worker": self._kill_worker,
            "node": self._kill_node,
            "driver": self._kill_driver,
            "head": self._kill_head,
            "mlflow": self._stop_mlflow,
            "postgres": self._stop_postgres,
            "s3": self._stop_s3,
        }
        until = time.monotonic() + SECONDS_TO_FIND
        while not (what := strikes[kind]()) and time.monotonic() < until and not self._has_ended():
            time.sleep(0.2)  # it is being started again after the accident before
        self._note(kind, what or "nothing was there to be killed")

    def _has_ended(self) -> bool:
        jobs = self._jobs()
        return jobs is not None and bool(jobs) and jobs[-1]["status"] == "SUCCEEDED"

    def _kill_worker(self) -> str | None:
        return self._kill(self._cluster.nodes, WORKER)

    def _kill_driver(self) -> str | None:
        return self._kill([self._cluster.head] if self._cluster.head else [], DRIVER, "search")

    def _kill(self, nodes: list[Node], *words: str) -> str | None:
        """SIGKILL to one of the processes whose command line holds the words."""
        found = [process for node in nodes for process in node.processes() if _says(process, words)]
        if not found:
            return None
        victim = self._random.choice(found)
        victim.kill()
        return f"process {victim.pid}"

    def _kill_node(self) -> str | None:
        node = self._cluster.nodes.pop(self._random.randrange(len(self._cluster.nodes)))
        node.kill()
        self._cluster.join()
        return f"node of process {node.process.pid}; another joins"

    def _kill_head(self) -> str | None:
        """The nodes of a lost head end too, by themselves after a while; here at once. All come back."""
        assert self._cluster.head is not None
        self._cluster.head.kill()
        for node in self._cluster.nodes:
            node.kill()
        self._cluster.nodes.clear()
        self._start_cluster()
        return "the head and with it all nodes; others start"

    def _stop_mlflow(self) -> str | None:
        return self._pause(self.mlflow, self.pauses[0])

    def _stop_postgres(self) -> str | None:
        return self._pause(self.postgres, self.pauses[1])

    def _stop_s3(self) -> str | None:
        return self._pause(self.s3, self.pauses[2])

    def _pause(self, server: Server | PostgresServer | S3Server | None, seconds: float) -> str | None:
        """Ends a server now; it starts again later, while the storm goes on."""
        if server is None:
            return None
        for thread in self._restarts:
            thread.join()
        server.stop()
        thread = threading.Thread(target=lambda: (time.sleep(seconds), server.start()))
        thread.start()
        self._restarts.append(thread)
        return f"away for {seconds:g} s"

    def _note(self, what: str, detail: str) -> None:
        self.log.append({"at": round(time.monotonic() - self._began, 1), "what": what, "detail": detail})
        print(f"{self.log[-1]['at']:8.1f} s  {what:<10} {detail}", file=sys.stderr, flush=True)


def _says(process: psutil.Process, words: tuple[str, ...]) -> bool:
    try:
        line = " ".join(process.cmdline()) + process.name()
    except psutil.Error:
        return False
    return all(word in line for word in words) and not line.startswith(("/bin/sh", "sh "))
