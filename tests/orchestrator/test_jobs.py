"""Searches as jobs of a Ray cluster: a real head on loopback, with a token of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.jobs.package import ROOMS, packages
from orchestrator.jobs.submitting import Job, JobRequest, attempt, find, make_request, newest, read_submission, submit
from tests.ray_cluster import RayCluster

EXPERIMENT = """
name: small
families:
  igcv2: {stem_width: 8, spatial: channelwise, inner: none, skip: true, width: [[8, 16], [16, 32]], blocks: [1], k: [4, 8]}
budget: {max_macs: 200k}
training: {epochs: 1, batch_size: 128}
resources: {workers: 1}
tracking: off
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT + f"trials: 2\noutput: {tmp_path}/runs\n")
    return path


@dataclass
class FakeJobs:
    """A cluster's list of jobs; `rival` is one whose submission comes at the moment of ours."""

    there: list[Job] = field(default_factory=list)
    rival: Job | None = None
    sent: list[str] = field(default_factory=list)

    def jobs(self) -> list[Job]:
        return self.there

    def submit(self, job_id: str, request: JobRequest) -> bool:
        if self.rival is not None:
            self.there.append(self.rival)
            self.rival = None
            return False
        self.sent.append(job_id)
        return True

    def logs(self, job_id: str) -> str:
        raise AssertionError(job_id)


def job(job_id: str, status: str, study: str = "") -> Job:
    return Job(
        id=job_id,
        status=status,
        ended=status not in ("pending", "running"),
        message="",
        started_at=1.0,
        ended_at=None,
        metadata={"experiment": "small", "study": study},
    )


@pytest.mark.parametrize(
    ("there", "sent"),
    [
        ([], ["base"]),
        (["failed"], ["base-2"]),
        (["failed", "stopped", "succeeded"], ["base-4"]),
        (["running"], []),
        (["stopped", "pending"], []),
    ],
)
def test_an_ended_job_gets_a_successor_and_a_running_one_company(
    file: Path, tmp_path: Path, there: list[str], sent: list[str]
) -> None:
    experiment = read_submission(str(file), ())
    request = request_of(file, tmp_path)
    base = f"igcv-small-{experiment.digest()}"
    names = [base, *(f"{base}-{number}" for number in range(2, 9))]
    study = request.metadata["study"]
    client = FakeJobs([job(name, status, study) for name, status in zip(names, there, strict=False)])
    submitted = submit(client, experiment, request)
    assert client.sent == [name.replace("base", base) for name in sent]
    assert submitted.attached is (not sent)
    assert submitted.id == (client.sent[0] if sent else names[len(there) - 1])


def test_of_two_submissions_at_one_moment_the_second_attaches(file: Path, tmp_path: Path) -> None:
    experiment = read_submission(str(file), ())
    request = request_of(file, tmp_path)
    base = f"igcv-small-{experiment.digest()}"
    client = FakeJobs(rival=job(base, "pending", request.metadata["study"]))
    submitted = submit(client, experiment, request)
    assert (submitted.id, submitted.attached, client.sent) == (base, True, [])


def test_a_running_job_that_keeps_its_study_elsewhere_is_not_attached_to(file: Path, tmp_path: Path) -> None:
    experiment = read_submission(str(file), ())
    client = FakeJobs([job(f"igcv-small-{experiment.digest()}", "running", "/elsewhere/small")])
    with pytest.raises(ValueError, match="/elsewhere/small"):
        submit(client, experiment, request_of(file, tmp_path))


def request_of(file: Path, tmp_path: Path) -> JobRequest:
    folder = tmp_path / "data"
    folder.mkdir()
    return make_request(str(file), (), read_submission(str(file), ()), (), folder)


def test_attempts_are_told_from_other_experiments() -> None:
    assert [attempt(name, "igcv-a") for name in ("igcv-a", "igcv-a-12", "igcv-a-b", "igcv-ab", "igcv-a-b-2")] == [
        1,
        12,
        0,
        0,
        0,
    ]
    assert newest([job("igcv-a-10", "failed"), job("igcv-a-9", "failed")], "igcv-a") == job("igcv-a-10", "failed")
    assert find([job("x", "failed"), job("y", "failed")], "small").id == "y"
    with pytest.raises(ValueError, match="there are: x"):
        find([job("x", "failed")], "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("storage=postgresql://me:hunter2@db/igcv", "env:IGCV_STORAGE"),
        ("tracking=https://me:hunter2@mlflow/", "MLFLOW_TRACKING_PASSWORD"),
        ("output=runs", "output=/srv/igcv/runs"),
        ("checkpoints=ck", "checkpoints=/srv/igcv/ck"),
        ("data={name: npz, path: x.npz}", "data.path"),
        ("checkpoints=s3://key:hunter2@bucket/c", "credentials stand in this address"),
        ("resources.pool=inline", "resources.pool"),
        ("budget.max_macs=10", "max_macs=10"),
        ("trails=3", "did you mean 'trials'"),
    ],
)
def test_what_would_fail_or_leak_on_the_cluster_is_never_sent(file: Path, change: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        read_submission(str(file), (change,))
    assert "hunter2" not in str(raised.value)


def test_buckets_are_the_same_from_everywhere(file: Path) -> None:
    sent = read_submission(str(file), ("checkpoints=s3://bucket/c", "data={name: parquet, path: gs://bucket/set}"))
    assert (sent.checkpoints, sent.data.path) == ("s3://bucket/c", "gs://bucket/set")


def test_a_password_inside_the_file_is_refused_and_a_variable_is_not(file: Path) -> None:
    file.write_text(file.read_text() + "storage: postgresql://me:hunter2@db/igcv\n")
    with pytest.raises(ValueError, match="line 11") as raised:
        read_submission(str(file), ())
    assert "hunter2" not in str(raised.value)
    file.write_text(file.read_text().replace("hunter2", "${DB_PASSWORD}"))
    read_submission(str(file), ())


def test_what_is_sent_is_the_program_that_runs_or_a_wheel(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    sent = packages(None, tmp_path / "here")
    assert {path.name for path in sent} >= set(ROOMS)
    assert (tmp_path / "here/workers/trainer.py").is_file()
    assert not list(tmp_path.rglob("__pycache__"))
    wheel = tmp_path / "igcv_search-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for room in ROOMS:
            archive.writestr(f"{room}/__init__.py", '"""A room."""')
    (tmp_path / "wheel").mkdir()
    assert [path.name for path in packages(wheel, tmp_path / "wheel")] == sorted(ROOMS)
    with pytest.raises(ValueError, match="make wheel"):
        packages(Path(__file__), tmp_path / "wheel")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    made = RayCluster(cpus=2)
    try:
        made.start()
        yield made
    finally:
        made.close()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from orchestrator.cli.main import main; main()", *arguments]


def igcv(cluster: RayCluster, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, "--address", cluster.jobs),
        env={**cluster.environment, **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


def submitted(cluster: RayCluster) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(igcv(cluster, "jobs", "list", "--json").stdout)
    return found


@pytest.mark.ray
def test_two_submissions_at_one_moment_run_one_search_which_ends_with_its_study(
    cluster: RayCluster, file: Path
) -> None:
    both = [
        subprocess.Popen(
            command("submit", str(file), "--address", cluster.jobs),
            env=cluster.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted("attached to it" in error for _, error in said) == [False, True], said
    assert all("small: done; 2 networks trained" in output for output, _ in said), said
    assert [found["status"] for found in submitted(cluster)] == ["succeeded"]
    assert (file.parent / "runs/small/report.html").is_file()
    shown = igcv(cluster, "jobs", "logs", "small")
    assert "2 networks trained" in shown.stdout


@pytest.mark.ray
def test_a_stopped_search_goes_on_when_it_is_submitted_again(cluster: RayCluster, file: Path) -> None:
    long = ("name=long", "trials=40", "training.epochs=30", "seed=5")
    detached = igcv(cluster, "submit", str(file), *long, "--detach", "--json")
    assert detached.returncode == 0, detached.stderr
    first = json.loads(detached.stdout)["id"]
    follower = subprocess.Popen(
        command("submit", str(file), *long, "--address", cluster.jobs),
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = file.parent / "runs/long/study.journal"
    wait(lambda: journal.exists() and '"training"' in journal.read_text(), follower)
    assert follower.stdout is not None
    assert follower.stdout.readline(), "it shows the log"
    follower.send_signal(signal.SIGINT)
    _, said = follower.communicate(timeout=60)
    assert follower.returncode == 130
    assert "it runs on" in said
    assert f"igcv jobs stop {first}" in said
    assert igcv(cluster, "jobs", "status", "long").returncode == 0
    ended = igcv(cluster, "jobs", "stop", "long")
    assert "stopped" in ended.stderr, ended.stderr
    assert igcv(cluster, "jobs", "status", "long").returncode == 1
    second = json.loads(igcv(cluster, "submit", str(file), *long, "--detach", "--json").stdout)
    assert second == {"id": f"{first}-2", "attached": False}
    assert "stopped" in igcv(cluster, "jobs", "stop", "long").stderr


@pytest.mark.ray
def test_a_missing_a_wrong_and_an_unreadable_token_are_told_apart(cluster: RayCluster, file: Path) -> None:
    nobody = str(file.parent / "nowhere")
    wrong = igcv(cluster, "submit", str(file), RAY_AUTH_TOKEN="0" * 32)
    missing = igcv(cluster, "jobs", "list", RAY_AUTH_TOKEN="", HOME=nobody)
    unreadable = igcv(cluster, "jobs", "list", RAY_AUTH_TOKEN="", RAY_AUTH_TOKEN_PATH=nobody)
    for result, words in (
        (wrong, "is not this cluster's"),
        (missing, "none was found"),
        (unreadable, "cannot be read"),
    ):
        assert result.returncode == 2
        assert words in result.stderr
        assert "RAY_AUTH_TOKEN" in result.stderr
        assert "Traceback" not in result.stderr
    elsewhere = subprocess.run(
        command("jobs", "list", "--address", "http://127.0.0.1:9"),
        env=cluster.environment,
        capture_output=True,
        text=True,
    )
    assert elsewhere.returncode == 2
    assert "no Jobs API" in elsewhere.stderr


def wait(reached: object, process: subprocess.Popen[str]) -> None:
    assert callable(reached)
    until = time.monotonic() + 180
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.2)
