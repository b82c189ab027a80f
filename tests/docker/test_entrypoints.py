"""The entry points of the images as plain processes on loopback: PostgreSQL, MLflow, a head, a worker, a search, the page;
checkpoints and MLflow's files lie in a bucket."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import yaml

from tests import postgres
from tests.docker.running import ENTRYPOINTS, Entry, command_lines, free_ports
from tests.s3 import CREDENTIALS, SECRET, S3Server
from workers.places import PROBE

EXPERIMENT = {
    "name": "tiny",
    "families": {
        "igcv2": {"stem_width": 8, "spatial": "channelwise", "inner": "none", "skip": True,
                  "width": [[8, 16], [16, 32]], "blocks": [1, 2], "k": [4, 8]},
    },
    "budget": {"max_macs": "200k"},
    "trials": 2,
    "training": {"epochs": 1, "batch_size": 128},
    "resources": {"workers": 1},
}  # fmt: skip
DATABASES = ENTRYPOINTS.parent / "postgres-databases.sql"

pytestmark = [
    pytest.mark.ray,
    pytest.mark.postgres,
    pytest.mark.skipif(postgres.binaries() is None, reason="no PostgreSQL"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What compose.yaml starts, but the page."""

    folder: Path
    token: str
    jobs: str
    tracking: str
    head: Entry
    worker: Entry
    mlflow: Entry
    bucket: str

    def ask(self, path: str, token: str = "") -> bytes:
        """An answer of the head's Jobs API."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with urllib.request.urlopen(urllib.request.Request(self.jobs + path, headers=headers), timeout=30) as answer:
            content: bytes = answer.read()
        return content


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short, since Ray's sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="igcv-"))
    (path / "runs").mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.PostgresServer]:
    programs = postgres.binaries()
    assert programs is not None
    server = postgres.PostgresServer(programs)
    server.start()
    server.create("igcv")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(DATABASES.read_bytes())
    yield server
    server.close()


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Entry]:
    """Started first, so that there is no study yet."""
    (port,) = free_ports(1)
    entry = Entry("dashboard", folder, {"IGCV_DASHBOARD_PORT": port})
    yield entry
    entry.kill()


@pytest.fixture(scope="module")
def cluster(folder: Path, database: postgres.PostgresServer, page: Entry, s3_server: S3Server) -> Iterator[Cluster]:
    bucket, s3 = s3_server.bucket(), {**CREDENTIALS, "AWS_ENDPOINT_URL": s3_server.url}
    token = secrets.token_hex(32)
    (folder / "token").write_text(token)
    (folder / "password").write_text(f"{postgres.PASSWORD}\n")
    gcs, jobs, agent, client, agent2, web = free_ports(6)
    server = f"{postgres.USER}@127.0.0.1:{database.port}"
    password = {"POSTGRES_PASSWORD_FILE": str(folder / "password")}
    ray = {**s3, "RAY_AUTH_TOKEN_PATH": str(folder / "token"), "IGCV_NODE_ADDRESS": "127.0.0.1", "TMPDIR": str(folder)}
    head_variables = {
        "IGCV_PORT": gcs,
        "IGCV_JOBS_PORT": jobs,
        "IGCV_AGENT_PORT": agent,
        "IGCV_CPUS": "0",
        "IGCV_STORAGE": f"postgresql://{server}/igcv",
        "IGCV_TRACKING": f"http://127.0.0.1:{web}",
        "IGCV_CHECKPOINTS": f"s3://{bucket}/checkpoints",
        "IGCV_RUNS": str(folder / "runs"),
        "RAY_ADDRESS": f"127.0.0.1:{gcs}",  # other clusters may run on this machine
    }
    store = {"IGCV_MLFLOW_STORE": f"postgresql+psycopg://{server}/mlflow", "IGCV_MLFLOW_PORT": web}
    store |= {**s3, "IGCV_MLFLOW_ARTIFACTS": f"s3://{bucket}/artifacts"}
    entries = [
        Entry("mlflow", folder, {**password, **store}, "--workers", "1"),
        Entry("head", folder, {**ray, **password, **head_variables}, "--temp-dir", str(folder / "ray"),
              "--ray-client-server-port", client),
    ]  # fmt: skip
    try:
        entries[1].wait_until_healthy()
        worker = {"IGCV_HEAD": f"127.0.0.1:{gcs}", "IGCV_AGENT_PORT": agent2, "IGCV_CPUS": "1", "IGCV_LABELS": "zone=a"}
        entries.append(Entry("worker", folder, {**ray, **worker}))
        for entry in entries:
            entry.wait_until_healthy()
        yield Cluster(
            folder=folder,
            token=token,
            jobs=f"http://127.0.0.1:{jobs}",
            tracking=f"http://127.0.0.1:{web}",
            mlflow=entries[0],
            head=entries[1],
            worker=entries[2],
            bucket=bucket,
        )
    finally:
        for entry in reversed(entries):
            entry.kill()


@pytest.mark.parametrize("script", ["head", "worker", "search"])
def test_nothing_starts_without_a_token(script: str, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}
    command = [ENTRYPOINTS / script, "experiment.yaml"]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2
    assert str(tmp_path / "none") in result.stderr
    assert "RAY_AUTH_TOKEN_PATH" in result.stderr


def test_a_worker_joins_and_the_jobs_api_wants_the_token(cluster: Cluster) -> None:
    for token in ("", "x" + cluster.token[1:]):
        with pytest.raises(urllib.error.HTTPError) as refused:
            cluster.ask("/nodes?view=summary", token)
        assert refused.value.code in (401, 403)
    nodes = json.loads(cluster.ask("/nodes?view=summary", cluster.token))["data"]["summary"]
    assert [node["raylet"]["state"] for node in nodes] == ["ALIVE", "ALIVE"]
    assert sorted(node["raylet"].get("labels", {}).get("zone", "") for node in nodes) == ["", "a"]


def test_mlflow_answers_to_its_names_alone(cluster: Cluster) -> None:
    path, port = "/api/2.0/mlflow/experiments/get?experiment_id=0", cluster.tracking.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        request = urllib.request.Request(cluster.tracking + path, headers={"Host": f"{host}:{port}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    elsewhere = urllib.request.Request(cluster.tracking + path, headers={"Host": f"elsewhere.example:{port}"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(elsewhere, timeout=30)
    assert refused.value.code == 403


def test_a_search_runs_and_everything_shows_it(
    cluster: Cluster, page: Entry, database: postgres.PostgresServer, s3_server: S3Server
) -> None:
    assert page.health() is None, "waiting for a study is no fault"
    (cluster.folder / "experiment.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    result = cluster.head.within("search", "experiment.yaml", "seed=1", "--json")
    assert result.returncode == 0, result.stderr + cluster.head.log.read_text()
    assert json.loads(result.stdout), "the front is empty"
    page.wait_until_healthy()
    assert (cluster.folder / "runs/tiny/trials.parquet").exists()
    with psycopg.connect(database.url("igcv")) as connection:
        assert connection.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone() == (2,)
    with psycopg.connect(database.url("mlflow")) as connection:
        assert connection.execute("SELECT count(*) FROM metrics WHERE key = 'accuracy'").fetchone() != (0,)
    kept = [key for key in s3_server.keys(cluster.bucket) if not key.endswith(PROBE)]
    assert {Path(key).name for key in kept} >= {"report.html", "trials.parquet"}
    assert {key.partition("/")[0] for key in kept} == {"artifacts"}, "no checkpoint is left behind"


def test_secrets_stand_in_no_command_line_and_no_log(cluster: Cluster, page: Entry) -> None:
    told = command_lines() + "".join(
        entry.log.read_text() for entry in (cluster.head, cluster.worker, cluster.mlflow, page)
    )
    assert "mlflow" in told
    for path in (cluster.folder / "ray").rglob("*.*"):
        told += path.read_text(errors="replace") if path.is_file() and path.suffix in (".log", ".out", ".err") else ""
    assert postgres.PASSWORD not in told
    assert cluster.token not in told
    assert SECRET not in told


def test_a_page_that_waits_for_a_study_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    waiting = Entry("dashboard", tmp_path, {})
    try:
        while "waiting" not in waiting.log.read_text():
            assert waiting.health() is None
        assert waiting.ended() == 0
    finally:
        waiting.kill()


def test_everything_stops_when_it_is_told_to(cluster: Cluster, page: Entry) -> None:
    """The last test of the cluster. Each one is its namespace's first process, and takes the others along."""
    for entry in (page, cluster.worker, cluster.head, cluster.mlflow):
        entry.ended()
    assert "Draining" in cluster.worker.log.read_text()
    assert str(cluster.folder) not in command_lines()
