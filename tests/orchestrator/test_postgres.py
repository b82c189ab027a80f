"""The study in a real PostgreSQL: what Optuna's own reader finds, outages, lost answers, and drivers that were overtaken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import create_engine, event, text

from orchestrator import lease as leases
from orchestrator.frozen import template
from orchestrator.lease import LeaseLostError, PostgresLease
from orchestrator.opening import OpenSearch, Prepared, open_search, prepare
from orchestrator.postgres import PostgresStorage
from orchestrator.sampler.space import distributions
from orchestrator.storage_address import sqlalchemy_url
from orchestrator.study import Study, open_storage
from orchestrator.trials import Candidate, Trial
from tests.orchestrator.conftest import make_experiment
from tests.orchestrator.making import failure, metrics, report
from tests.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def where(postgres: PostgresServer, request: pytest.FixtureRequest) -> str:
    return postgres.create(f"test{abs(hash(request.node.nodeid))}"[:40])


@pytest.fixture
def prepared(tmp_path: Path, where: str) -> Prepared:
    return prepare(make_experiment(tmp_path, storage=where))


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def opened(prepared: Prepared, said: list[str]) -> Iterator[OpenSearch]:
    search = open_search(prepared, said.append)
    yield search
    search.lease.release()


def candidates(prepared: Prepared, count: int) -> list[Candidate]:
    drawn = prepared.feasible.sample(np.random.default_rng(0), 50)
    return [c for c in map(prepared.catalogue.admit, drawn) if c is not None][:count]


def record(opened: OpenSearch, count: int) -> list[Trial]:
    found = candidates(opened.prepared, count)
    return opened.study.record_all(found, distributions(opened.prepared.catalogue.space))


def finish(opened: OpenSearch, trial: Trial, phase: str) -> None:
    trial.begin("w1", 1.0)
    trial.curve = [report(1, 0.4), report(2, 0.6)]
    trial.metrics = metrics(2, 0.6) if phase == "complete" else None
    trial.failure = failure() if phase == "failed" else None
    trial.turn(phase, 2.0)  # type: ignore[arg-type]
    with opened.study.grouped():
        opened.study.keep(trial, None)
        opened.study.keep(trial, trial.curve[0])
        opened.study.tell(trial)


def database(opened: OpenSearch) -> PostgresStorage:
    assert isinstance(opened.study.storage, PostgresStorage)
    return opened.study.storage


def test_optuna_finds_what_it_would_have_written_itself(opened: OpenSearch, where: str) -> None:
    (candidate,) = candidates(opened.prepared, 1)
    known = distributions(opened.prepared.catalogue.space)
    theirs = optuna.create_study(
        storage=sqlalchemy_url(where), directions=["maximize", "minimize"], study_name="theirs"
    )
    theirs.add_trial(template(candidate, known, {"mark": 1}))
    ours = opened.study.record(candidate, known, {"mark": 1})
    (expected,), (found,) = theirs.trials, optuna.load_study(storage=sqlalchemy_url(where), study_name="small").trials
    assert ours.number == 0
    for part in ("number", "state", "params", "distributions", "user_attrs", "intermediate_values", "values"):
        assert getattr(found, part) == getattr(expected, part), part
    assert found.datetime_start is not None
    assert expected.datetime_start is not None
    assert abs((found.datetime_start - expected.datetime_start).total_seconds()) < 60


def test_told_trials_are_whole_and_found_again_after_a_restart(opened: OpenSearch, where: str) -> None:
    trials = record(opened, 5)
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4]
    for trial, phase in zip(trials, ("complete", "pruned", "failed"), strict=False):
        finish(opened, trial, phase)
    trials[3].begin("w1", 5.0)
    opened.study.keep(trials[3], None)
    opened.study.keep(trials[3], report(1, float("inf")))
    opened.study.keep(trials[3], report(2, 0.3))
    opened.lease.release()
    study = optuna.load_study(storage=sqlalchemy_url(where), study_name="small")
    names = ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "RUNNING"]
    assert [trial.state.name for trial in study.trials] == names
    assert study.trials[0].values == [0.6, study.trials[0].user_attrs["macs"]]
    assert study.trials[1].values is None
    assert study.trials[1].intermediate_values == {1: 0.4, 2: 0.6}
    assert study.metric_names == ["accuracy", "macs"]
    again = open_search(prepare(opened.prepared.experiment), print)
    assert [trial.phase for trial in again.trials] == ["complete", "pruned", "failed", "training", "queued"]
    assert [trial.candidate for trial in again.trials] == [trial.candidate for trial in trials]
    assert again.trials[3].epochs == 2
    again.lease.release()


def test_a_whole_trial_costs_two_transactions_and_few_statements(opened: OpenSearch) -> None:
    statements: list[str] = []
    event.listen(database(opened).engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    commits: list[object] = []
    event.listen(database(opened).engine, "commit", commits.append)
    (trial,) = record(opened, 1)
    made = len(statements)
    finish(opened, trial, "complete")
    assert len(commits) == 2
    assert made <= 5, statements
    assert len(statements) - made <= 5, statements


def test_an_outage_is_waited_for_and_told_of_once(
    opened: OpenSearch, postgres: PostgresServer, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = record(opened, 2)
    said.clear()
    postgres.stop()
    restart = threading.Timer(1.0, postgres.start)
    restart.start()
    finish(opened, first, "complete")
    restart.join()
    finish(opened, second, "failed")
    assert [text.split(" (")[0].rpartition(" does")[2] for text in said[:1]] == [" not answer"]
    assert "answers again" in said[1]
    assert len(said) == 2
    assert not any(PASSWORD in text or "s3cret" in text for text in said)
    assert opened.study.waited > 0
    assert [t.state for t in opened.study.storage.get_all_trials(opened.study.id)] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
    ]


@pytest.mark.parametrize("committed", [True, False])
def test_an_answer_that_was_lost_doubles_no_trial(
    opened: OpenSearch, committed: bool, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, cut = database(opened).engine, list[int]()
    commit = engine.dialect.do_commit

    def lose(connection: Any) -> None:
        """The connection ends at the commit: after the server has carried it out, or before."""
        raw = connection.driver_connection
        if not cut:
            cut.append(raw.info.backend_pid)
            if committed:
                raw.commit()
            _terminate(engine.url.render_as_string(hide_password=False), cut[0])
            raw.execute("SELECT 1")
        commit(connection)

    monkeypatch.setattr(engine.dialect, "do_commit", lose)
    trials = record(opened, 3)
    assert cut
    assert [trial.number for trial in trials] == [0, 1, 2]
    found = opened.study.storage.get_all_trials(opened.study.id)
    assert [frozen.number for frozen in found] == [0, 1, 2]
    assert len({frozen.user_attrs["plan_key"] for frozen in found}) == 3
    cut.clear()
    finish(opened, trials[0], "complete")
    assert cut
    assert opened.study.storage.get_all_trials(opened.study.id)[0].state is TrialState.COMPLETE
    assert sum("answers again" in text for text in said) == 2


def test_a_second_driver_is_refused_and_told_who_holds_the_study(opened: OpenSearch, prepared: Prepared) -> None:
    with pytest.raises(ValueError, match=rf"another search runs it \(process {opened.lease.driver['pid']} on .*since"):
        open_search(prepare(prepared.experiment), print)


def test_a_driver_that_was_overtaken_writes_nothing_any_more(opened: OpenSearch, where: str) -> None:
    first = record(opened, 2)[0]
    lease = opened.lease
    assert isinstance(lease, PostgresLease)
    _terminate(where, lease._connection.info.backend_pid)
    other = open_search(prepare(opened.prepared.experiment), print)
    with pytest.raises(LeaseLostError, match=f"process {other.lease.driver['pid']} on"):
        finish(opened, first, "complete")
    with pytest.raises(LeaseLostError):
        opened.study.record(first.candidate, distributions(opened.prepared.catalogue.space))
    states = [frozen.state for frozen in other.study.storage.get_all_trials(other.study.id)]
    assert states == [TrialState.RUNNING] * 2
    finish(other, other.trials[1], "complete")
    other.lease.release()


def test_a_lease_is_taken_again_when_its_connection_ends(
    opened: OpenSearch, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS_BETWEEN_CHECKS", 0.0)
    lease = opened.lease
    assert isinstance(lease, PostgresLease)
    before = lease._connection.info.backend_pid
    _terminate(where, before)
    opened.study.hold()
    assert lease._connection.info.backend_pid != before
    with pytest.raises(ValueError, match="another search runs it"):
        open_search(prepare(opened.prepared.experiment), print)
    _terminate(where, lease._connection.info.backend_pid)
    other = open_search(prepare(opened.prepared.experiment), print)
    with pytest.raises(LeaseLostError):
        opened.study.hold()
    other.lease.release()


def test_tables_of_an_older_optuna_are_named_with_the_cure(where: str) -> None:
    open_storage(where, print)
    _execute(where, "UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    for say in (print, None):
        with pytest.raises(ValueError, match=r"older Optuna.*optuna storage upgrade") as error:
            open_storage(where, say)
        assert "s3cret" not in str(error.value)


def test_what_cannot_be_reached_is_said_in_one_line_without_the_password(postgres: PostgresServer) -> None:
    for address in (
        postgres.url("postgres", "wr0ng-secret"),
        postgres.url("nowhere"),
        "postgresql://u:s3cret@127.0.0.1:9/d",
        "postgresql://u:s3cret@127.0.0.1:nine/d",
    ):
        for call in (lambda: open_storage(address), lambda: PostgresLease(address, "small")):  # noqa: B023
            with pytest.raises(ValueError, match="storage postgresql") as error:
                call()
            assert "secret" not in str(error.value)
            assert "\n" not in str(error.value)


def test_a_reader_needs_no_table_and_changes_nothing(where: str) -> None:
    with pytest.raises(ValueError, match="no study"):
        Study.open(open_storage(where), "small")


def _terminate(where: str, pid: int) -> None:
    _execute(where, f"SELECT pg_terminate_backend({pid}, 5000)")


def _execute(where: str, statement: str) -> None:
    engine = create_engine(sqlalchemy_url(where))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
