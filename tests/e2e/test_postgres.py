"""A search whose study is in a real PostgreSQL: shown by a machine that has the address alone, killed, cut off, fought
over; and its secrets, which are found nowhere afterwards. The workers sleep instead of training."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import optuna
import psutil
import psycopg
import pytest
from click.testing import CliRunner
from optuna.trial import FrozenTrial, TrialState

from orchestrator.cli.main import igcv
from orchestrator.storage_address import sqlalchemy_url
from tests.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
TOKEN = "t0ken-that-nobody-may-see"
EXPERIMENT = """
name: small
data: {name: digits}
families:
  igcv2: {stem_width: 8, spatial: channelwise, inner: none, skip: true, width: [[8, 16], [16, 32]], blocks: [1, 2], k: [4, 8]}
budget: {max_macs: 200k}
trials: 6
training: {epochs: 3, batch_size: 128, crop_padding: 1, flip: false}
resources: {pool: inline, workers: 2}
storage: env:IGCV_STORAGE
tracking: env:IGCV_TRACKING
"""


class Machine:
    """A folder with the experiment and an environment with the secrets: all that a machine has of a study."""

    def __init__(self, folder: Path, where: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.where = where
        secrets = {"IGCV_STORAGE": where, "MLFLOW_TRACKING_TOKEN": TOKEN, "RAY_AUTH_TOKEN": TOKEN}
        self.environment = os.environ | secrets | {"IGCV_TRACKING": "off", "PYTHONPATH": str(ROOT)}
        (folder / "experiment.yaml").write_text(EXPERIMENT)

    def start(self, *arguments: str, nap: float = 0.1) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.napping", *arguments],
            cwd=self.folder,
            env=self.environment | {"NAP_SECONDS": str(nap)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def igcv(self, *arguments: str) -> str:
        """What it prints; it must succeed."""
        process = self.start(*arguments)
        printed, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        return printed

    def show(self, *arguments: str) -> str:
        """The same in this process, for commands that only read."""
        environment = {"IGCV_STORAGE": self.where}
        with contextlib.chdir(self.folder):
            shown = CliRunner().invoke(igcv, list(arguments), env=environment, catch_exceptions=False)
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    def trials(self) -> list[FrozenTrial]:
        return optuna.load_study(study_name="small", storage=sqlalchemy_url(self.where)).trials

    def wait_for(self, state: str, search: subprocess.Popen[str]) -> None:
        """Until the search has a trial in this state."""
        until = time.monotonic() + 120
        while not self._count(state):
            assert search.poll() is None, search.communicate()
            assert time.monotonic() < until, "the search did not get that far"
            time.sleep(0.1)

    def check_whole(self, count: int = 6) -> None:
        """Every trial told once, none lost, doubled or left RUNNING."""
        told = self.trials()
        assert [trial.state for trial in told] == [TrialState.COMPLETE] * count
        assert [trial.number for trial in told] == list(range(count))
        assert len({trial.user_attrs["plan_key"] for trial in told}) == count
        assert all(len(trial.intermediate_values) == 3 for trial in told)

    def _count(self, state: str) -> int:
        with psycopg.connect(self.where) as connection:
            try:
                row = connection.execute("SELECT count(*) FROM trials WHERE state::text = %s", [state]).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
        return int(row[0]) if row else 0


@pytest.fixture
def machine(postgres: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    return Machine(tmp_path / "first", postgres.create(f"e2e{abs(hash(request.node.nodeid))}"))


def test_a_machine_that_has_the_address_alone_shows_the_study_and_goes_on_with_it(
    machine: Machine, tmp_path: Path
) -> None:
    printed = machine.igcv("search", "experiment.yaml", "trials=4")
    assert re.search(r"study +postgresql://searcher:\*\*\*@127\.0\.0\.1:\d+/e2e\d+#small", printed)
    front = json.loads(machine.show("front", "small", "--json"))
    other = Machine(tmp_path / "other", machine.where)
    study = "env:IGCV_STORAGE#small"
    assert json.loads(other.show("front", study, "--json")) == front
    assert json.loads(other.show("status", study, "--json"))["states"] == {"complete": 4}
    other.show("report", study, "-o", "report.html")
    assert front[0]["name"] in (other.folder / "report.html").read_text()
    other.igcv("search", "experiment.yaml")
    other.check_whole()
    with pytest.raises(ValueError, match="no study 'large' here; there are: small"):
        other.show("status", "env:IGCV_STORAGE#large")


def test_a_killed_driver_s_lease_lapses_with_it_and_a_second_driver_is_refused(machine: Machine) -> None:
    first = machine.start("search", "experiment.yaml", nap=60.0)
    machine.wait_for("RUNNING", first)
    said = _said(machine, "search", "experiment.yaml")
    assert f"another search runs it (process {first.pid} on {os.uname().nodename}" in said
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    machine.igcv("search", "experiment.yaml")
    machine.check_whole()


def test_of_two_submissions_at_the_same_moment_one_runs(machine: Machine) -> None:
    drivers = [machine.start("search", "experiment.yaml", "trials=3") for _ in range(2)]
    said = [driver.communicate(timeout=240)[1] for driver in drivers]
    codes = sorted(driver.returncode for driver in drivers)
    if codes != [0, 0]:  # one was over before the other asked
        assert codes == [0, 2], said
        assert "another search runs it" in said[[driver.returncode for driver in drivers].index(2)]
    machine.check_whole(3)


def test_a_search_outlives_an_outage_of_its_database(machine: Machine, postgres: PostgresServer) -> None:
    process = machine.start("search", "experiment.yaml", nap=0.6)
    machine.wait_for("COMPLETE", process)
    postgres.stop()
    time.sleep(5.0)
    assert process.poll() is None
    postgres.start()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert said.count("does not answer") == 1
    assert said.count("answers again") == 1
    machine.check_whole()


def test_a_dashboard_of_the_address_follows_the_study(machine: Machine) -> None:
    machine.igcv("search", "experiment.yaml", "trials=1")
    page = machine.start("dashboard", "env:IGCV_STORAGE#small", "--port", "0")
    assert page.stdout is not None
    address = page.stdout.readline().strip()
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.status == 200
    page.send_signal(signal.SIGTERM)
    assert page.wait(60) == 0


def test_passwords_and_tokens_are_found_nowhere(machine: Machine, tmp_path: Path, postgres: PostgresServer) -> None:
    """Every file, every process and every table of the study, of its runs in MLflow, and every word that was said."""
    store = machine.folder / "tracked"
    machine.environment["IGCV_TRACKING"] = f"sqlite:///{store}/mlflow.db"
    process = machine.start("search", "experiment.yaml", "trials=3", nap=0.5)
    machine.wait_for("COMPLETE", process)
    seen = [" ".join(each.cmdline()) for each in psutil.process_iter() if _is_readable(each)]
    printed, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    refused = [_said(machine, "status", f"{machine.where}x#small"), _said(machine, "status", f"{machine.where}#large")]
    texts = [*seen, *refused, printed, said, machine.show("status", "env:IGCV_STORAGE#small")]
    machine.show("report", "env:IGCV_STORAGE#small", "-o", "report.html")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "trials.parquet", "report.html"} <= {path.name for path in files}
    texts += [path.read_bytes().decode("latin-1") for path in files]
    texts += list(_everything(machine.where))
    texts.append(postgres.log.read_text())
    for secret in (PASSWORD, machine.where.split(":")[2].split("@")[0], TOKEN):
        assert not [text[:200] for text in texts if secret in text]


def _is_readable(process: psutil.Process) -> bool:
    try:
        return bool(process.cmdline())
    except psutil.Error:
        return False


def _said(machine: Machine, *arguments: str) -> str:
    """The message of a command that must be refused."""
    process = machine.start(*arguments)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    return said


def _everything(where: str) -> Iterator[str]:
    """Every row of every table, as text."""
    with psycopg.connect(where) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert ("study_user_attributes",) in tables
        for (table,) in tables:
            for row in connection.execute(f'SELECT t::text FROM "{table}" AS t'):
                yield row[0]
