"""`igcv doctor`: each fault is found, named and given its cure; nothing is written; no secret is shown."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.doctor.cluster import check_cluster
from orchestrator.doctor.data import look
from orchestrator.doctor.finding import Finding, Findings
from orchestrator.doctor.here import check_here
from orchestrator.experiment import Experiment
from orchestrator.study import open_storage
from tests.orchestrator.conftest import make_experiment
from tests.postgres import PASSWORD, PostgresServer
from tests.ray_cluster import RayCluster
from tests.s3 import S3Server

ROOT = Path(__file__).parents[2]


def states(findings: Findings) -> dict[str, str]:
    return {finding.check: finding.state for finding in findings.found}


def checked(experiment: Experiment) -> Findings:
    findings = Findings()
    check_cluster(experiment, check_here(experiment, findings), findings)
    return findings


def message(findings: Findings, check: str) -> str:
    return next(finding.message for finding in findings.found if finding.check == check)


def test_a_sound_experiment_passes_and_nothing_is_written(tmp_path: Path) -> None:
    findings = checked(make_experiment(tmp_path / "runs"))
    assert set(states(findings).values()) == {"ok"}, findings.found
    assert {"experiment", "data", "storage", "tracking", "output", "cluster"} <= set(states(findings))
    assert "1,437" in message(findings, "data") or "images to train on" in message(findings, "data")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"data": {"name": "npz", "path": "/nowhere.npz"}}, "data", "/nowhere.npz"),
        ({"budget": {"max_macs": 10}}, "experiment", "max_macs=10"),
        ({"output": "/proc/nowhere"}, "output", "not writable"),
        ({"checkpoints": "/proc/nowhere"}, "checkpoints", "not writable"),
        ({"storage": "mysql://me:hunter2@db/igcv"}, "storage", "postgresql://"),
        ({"storage": "postgresql://me:hunter2@127.0.0.1:9/igcv"}, "storage", "check that the server runs"),
        ({"storage": "env:IGCV_NO_SUCH_VARIABLE"}, "storage", "IGCV_NO_SUCH_VARIABLE"),
        ({"tracking": "http://me:hunter2@127.0.0.1:9"}, "tracking", "no MLflow server answers"),
        ({"tracking": "ftp://x"}, "tracking", "neither"),
        ({"resources": {"gpus_per_worker": 1.5}}, "resources", "whole GPUs"),
    ],
)
def test_each_fault_is_named_and_the_other_checks_go_on(
    tmp_path: Path, change: dict[str, object], check: str, words: str
) -> None:
    experiment = make_experiment(tmp_path)
    findings = checked(Experiment.model_validate({**experiment.model_dump(), **change}))
    assert states(findings)[check] == "fail", findings.found
    assert words in message(findings, check)
    assert len(findings.found) >= 5
    assert "hunter2" not in str(findings.found)


def test_a_bucket_is_written_to_and_left_as_it_was(tmp_path: Path, s3: S3Server) -> None:
    bucket = s3.bucket()
    findings = checked(make_experiment(tmp_path, checkpoints=s3.address(f"{bucket}/c")))
    assert states(findings)["checkpoints"] == "ok", findings.found
    assert not s3.keys(bucket)
    findings = checked(make_experiment(tmp_path, checkpoints=s3.address("nobody-made-this/c")))
    assert states(findings)["checkpoints"] == "fail"
    assert "NO_SUCH_BUCKET" in message(findings, "checkpoints")


def test_a_study_of_another_experiment_is_found_before_it_is_opened(tmp_path: Path) -> None:
    from orchestrator.opening import open_search, prepare

    experiment = make_experiment(tmp_path)
    opened = open_search(prepare(experiment), print)
    assert "runs this study" in "".join(finding.message for finding in checked(experiment).found)
    opened.lease.release()
    assert states(checked(experiment))["storage"] == "ok"
    before = (experiment.folder / "study.journal").read_bytes()
    findings = checked(make_experiment(tmp_path, seed=1))
    assert states(findings)["storage"] == "fail"
    assert "seed" in message(findings, "storage")
    assert (experiment.folder / "study.journal").read_bytes() == before


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (404, "ok", "answers"),
        (401, "fail", "MLFLOW_TRACKING_USERNAME"),
        (403, "fail", "--allowed-hosts"),
        (500, "fail", "500"),
    ],
)
def test_what_a_tracking_server_says(tmp_path: Path, status: int, state: str, words: str) -> None:
    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/version" else status)
            self.end_headers()
            self.wfile.write(b"3.17.2")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        findings = checked(make_experiment(tmp_path, tracking=f"http://127.0.0.1:{server.server_address[1]}"))
        server.shutdown()
    assert states(findings)["tracking"] == state
    assert words in message(findings, "tracking")


def test_other_labels_are_other_data(experiment: Experiment) -> None:
    whole = look(experiment.data.spec(), None)
    other = look(experiment.data.model_copy(update={"max_train": 100}).spec(), None)
    assert whole == look(experiment.data.spec(), None)
    assert whole.fingerprint != other.fingerprint


def test_messages_hold_no_password() -> None:
    findings = Findings()
    findings.fail("storage", "postgresql://me:hunter2@db/igcv\n does not answer")
    shown = "postgresql://me:***@db/igcv does not answer"
    assert findings.found == [Finding(check="storage", state="fail", message=shown)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    made = RayCluster(cpus=2, gpus=2, labels="kind=a")
    try:
        made.start(ROOT)
        yield made
    finally:
        made.close()


def doctor(
    cluster: RayCluster, file: Path, *arguments: str, **environment: str
) -> tuple[int, dict[str, dict[str, str]]]:
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", "doctor", str(file), "--json"]
    result = subprocess.run(
        [*command, *arguments],
        env={**cluster.environment, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert "Traceback" not in result.stderr, result.stderr
    found = json.loads(result.stdout)
    return result.returncode, {finding["check"].partition(" ")[0]: finding for finding in found}


@pytest.mark.ray
def test_a_cluster_is_looked_at_from_its_own_nodes(cluster: RayCluster, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    text = make_experiment(tmp_path / "runs", resources={}).model_dump_json(exclude_none=True)
    file.write_text(text)  # JSON is YAML
    there = f"resources.address={cluster.address}"
    code, found = doctor(cluster, file, there, "resources.labels={kind: b}", "resources.gpus_per_worker=1")
    assert code == 1
    assert found["workers"]["state"] == "fail"
    assert "kind=a" in found["workers"]["message"]
    code, found = doctor(cluster, file, there, "resources.labels={kind: a}", "resources.gpus_per_worker=0.5")
    assert (code, found["workers"]["state"], found["node"]["state"]) == (0, "ok", "ok"), found
    assert "2 fit" in found["workers"]["message"]
    code, found = doctor(cluster, file, there, RAY_AUTH_TOKEN="0" * 32)
    assert code == 1
    assert "RAY_AUTH_TOKEN" in found["cluster"]["message"]
    code, found = doctor(cluster, file, "--address", cluster.jobs)
    assert code == 0, found
    assert {found[check]["state"] for check in ("submission", "jobs", "data", "cluster", "workers", "node")} == {"ok"}
    assert not (tmp_path / "runs").exists()


def test_a_database_is_written_to_only_where_nobody_sees_it(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.create("doctor")
    findings = checked(make_experiment(tmp_path, storage=url))
    assert "its tables will be made" in message(findings, "storage")
    open_storage(url, print)
    findings = checked(make_experiment(tmp_path, storage=url))
    assert "the study small will be made" in message(findings, "storage")
    findings = checked(make_experiment(tmp_path, storage=postgres.url("doctor", "hunter2")))
    assert states(findings)["storage"] == "fail"
    assert "password" in message(findings, "storage")
    assert PASSWORD not in str(findings.found)
    assert "hunter2" not in str(findings.found)
    assert not list(tmp_path.iterdir())
