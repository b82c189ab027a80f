"""The study: recorded before launched, whole when told, the same after a restart, and readable by Optuna's own tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from orchestrator.candidates import Catalogue
from orchestrator.experiment import Experiment
from orchestrator.opening import OpenSearch, Prepared, open_search, prepare
from orchestrator.sampler.space import distributions
from orchestrator.study import Study, open_storage
from orchestrator.trials import Trial
from tests.orchestrator.conftest import make_experiment
from tests.orchestrator.making import failure, metrics, report


def record(opened: OpenSearch, count: int) -> list[Trial]:
    prepared = opened.prepared
    drawn = prepared.feasible.sample(np.random.default_rng(0), 50)
    candidates = [c for c in map(prepared.catalogue.admit, drawn) if c is not None]
    return opened.study.record_all(candidates[:count], distributions(prepared.catalogue.space))


def optuna_study(experiment: Experiment) -> optuna.Study:
    storage = open_storage(str(experiment.folder / "study.journal"))
    return optuna.load_study(study_name=experiment.name, storage=storage)


def finish(opened: OpenSearch, trial: Trial, phase: str) -> None:
    trial.begin("w1", 1.0)
    trial.curve = [report(1, 0.4), report(2, 0.6)]
    for one in trial.curve:
        opened.study.keep(trial, one)
    trial.metrics = metrics(2, 0.6) if phase == "complete" else None
    trial.failure = failure() if phase == "failed" else None
    trial.turn(phase, 2.0)  # type: ignore[arg-type]
    opened.study.tell(trial)


def test_a_trial_is_in_the_study_before_it_is_launched(prepared: Prepared) -> None:
    opened = open_search(prepared, print)
    (trial,) = record(opened, 1)
    (frozen,) = optuna_study(prepared.experiment).trials
    assert frozen.state is TrialState.RUNNING
    assert frozen.user_attrs["phase"] == "queued"
    assert frozen.user_attrs["macs"] == trial.candidate.cost.macs
    assert frozen.params["family"] == "igcv2"
    opened.lease.release()


def test_only_a_complete_trial_has_values_and_a_stopped_one_keeps_its_curve(prepared: Prepared) -> None:
    opened = open_search(prepared, print)
    for trial, phase in zip(record(opened, 3), ("complete", "pruned", "failed"), strict=True):
        finish(opened, trial, phase)
    study = optuna_study(prepared.experiment)
    complete, pruned, failed = study.trials
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert complete.values == [0.6, complete.user_attrs["macs"]]
    assert pruned.values is None
    assert pruned.intermediate_values == {1: 0.4, 2: 0.6}
    assert failed.user_attrs["failure"]["kind"] == "nan"
    assert study.metric_names == ["accuracy", "macs"]
    assert [t.number for t in study.best_trials] == [complete.number]
    opened.lease.release()


def test_a_restart_finds_every_trial_as_it_stood(prepared: Prepared) -> None:
    opened = open_search(prepared, print)
    before = record(opened, 4)
    finish(opened, before[0], "complete")
    finish(opened, before[1], "failed")
    before[2].begin("w1", 5.0)
    before[2].curve = [report(1, 0.3)]
    opened.study.keep(before[2], None)
    opened.study.keep(before[2], before[2].curve[0])
    opened.lease.release()

    again = open_search(prepare(prepared.experiment), print)
    assert [t.phase for t in again.trials] == ["complete", "failed", "training", "queued"]
    assert [t.candidate for t in again.trials] == [t.candidate for t in before]
    assert again.trials[0].curve == [report(1, 0.4), report(2, 0.6)] or again.trials[0].epochs == 2
    assert again.trials[0].accuracy == 0.6
    assert again.trials[1].failure == before[1].failure
    assert again.trials[2].epochs == 1
    assert again.trials[2].attempts == 1
    assert {t.candidate.plan_key for t in before} == again.prepared.catalogue.seen
    again.lease.release()


@pytest.mark.parametrize(("phase", "waits"), [("complete", "lost"), ("failed", "lost"), ("pruned", "paused")])
def test_a_journal_cut_anywhere_in_a_trial_s_end_leaves_no_zombie(
    prepared: Prepared, tmp_path: Path, phase: str, waits: str
) -> None:
    journal = prepared.experiment.folder / "study.journal"
    opened = open_search(prepared, print)
    (trial,) = record(opened, 1)
    begun = len(journal.read_bytes().splitlines())
    with opened.study.grouped():
        finish(opened, trial, phase)
    opened.lease.release()
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) > begun + 4
    found = []
    for end in range(begun, len(lines) + 1):
        journal.write_bytes(b"".join(lines[:end]))
        again = open_search(prepare(prepared.experiment), print)
        (thawed,) = again.trials
        found.append(thawed.phase)
        again.lease.release()
    assert found[-1] == phase
    assert found[-2] == waits, "all but the state is written"
    assert set(found[:-2]) <= {"queued", waits}


def test_trials_recorded_together_reach_the_disk_in_one_append(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_search(prepared, print)
    appends: list[int] = []
    append = JournalFileBackend.append_logs
    monkeypatch.setattr(
        JournalFileBackend, "append_logs", lambda self, logs: (appends.append(len(logs)), append(self, logs))[1]
    )
    trials = record(opened, 4)
    assert appends == [1, 3], "the first of all is alone"
    opened.lease.release()
    kept = optuna_study(prepared.experiment).trials
    assert [(t.number, t.user_attrs["plan_key"]) for t in kept] == [(t.number, t.candidate.plan_key) for t in trials]


def test_writes_of_one_group_reach_the_disk_in_one_append(prepared: Prepared) -> None:
    journal = prepared.experiment.folder / "study.journal"
    opened = open_search(prepared, print)
    first, second = record(opened, 2)
    before = journal.stat().st_size
    with opened.study.grouped():
        finish(opened, first, "complete")
        finish(opened, second, "pruned")
        assert journal.stat().st_size == before
    opened.lease.release()
    assert [t.state for t in optuna_study(prepared.experiment).trials] == [TrialState.COMPLETE, TrialState.PRUNED]


def test_what_was_seen_is_never_admitted_again(prepared: Prepared) -> None:
    opened = open_search(prepared, print)
    (trial,) = record(opened, 1)
    architecture = trial.candidate.architecture
    assert architecture is not None
    assert prepared.catalogue.admit(architecture) is None
    opened.lease.release()
    again = open_search(prepare(prepared.experiment), print)
    assert again.prepared.catalogue.admit(architecture) is None
    again.lease.release()


def test_nothing_over_the_budget_is_admitted(prepared: Prepared) -> None:
    tight = Catalogue(space=prepared.catalogue.space, budget=type(prepared.catalogue.budget)(max_macs=1))
    drawn = prepared.feasible.sample(np.random.default_rng(0), 20)
    assert [tight.admit(architecture) for architecture in drawn] == [None] * 20


def test_an_experiment_that_differs_is_refused_and_the_key_is_named(tmp_path: Path) -> None:
    open_search(prepare(make_experiment(tmp_path)), print).lease.release()
    for key, value in (("seed", 5), ("objectives", ["accuracy", "params"]), ("budget", {"max_macs": "300k"})):
        with pytest.raises(ValueError, match=f"made by another experiment.*{key}: "):
            open_search(prepare(make_experiment(tmp_path, **{key: value})), print)
    open_search(prepare(make_experiment(tmp_path, trials=99)), print).lease.release()


def test_a_study_is_owned_by_one_driver(prepared: Prepared) -> None:
    opened = open_search(prepared, print)
    with pytest.raises(ValueError, match="another search runs this study"):
        open_search(prepare(prepared.experiment), print)
    opened.lease.release()


def test_a_study_of_someone_else_is_refused(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path)
    experiment.folder.mkdir(parents=True)
    storage = open_storage(str(experiment.folder / "study.journal"))
    foreign = optuna.create_study(storage=storage, study_name="small", directions=["maximize", "minimize"])
    foreign.add_trial(optuna.trial.create_trial(values=[0.1, 2]))
    with pytest.raises(ValueError, match="not made by this program"):
        open_search(prepare(experiment), print)


def test_opening_for_reading_lists_what_there_is(prepared: Prepared) -> None:
    open_search(prepared, print).lease.release()
    storage = open_storage(str(prepared.experiment.folder / "study.journal"))
    assert Study.open(storage, "small").objectives == ("accuracy", "macs")
    with pytest.raises(ValueError, match="there are: small"):
        Study.open(storage, "other")
