"""A study brought into a real MLflow store: all of it, only what differs, and the same whichever way it came there."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from dashboards.front import front_rows
from dashboards.publish import study_markdown
from dashboards.table import TrialRow
from orchestrator.tracking import bulk, sync
from orchestrator.tracking.address import artifact_root, sqlite_file
from orchestrator.tracking.store import Store
from orchestrator.tracking.sync import Changes, Synchroniser, sync_study
from tests.orchestrator.tracking.contents import contents, metrics, tags
from tests.orchestrator.tracking.making import PLAN, facts, failed, mixed, pruned, row, training


def folder_of(uri: str) -> Path:
    file = sqlite_file(uri)
    assert file is not None
    return file.parent


def synced(uri: str, rows: list[TrialRow], **options: bool) -> Changes:
    changes = sync_study(uri, folder_of(uri), rows, facts(), **options)
    assert not changes.refused
    return changes


def test_a_store_of_another_mlflow_is_told_of_with_the_cure(uri: str) -> None:
    synced(uri, [row(0)])
    with closing(sqlite3.connect(folder_of(uri) / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '728d730b5ebd'")
        database.commit()
    code = "import sys; from tests.orchestrator.tracking.test_sync import sync_again; sync_again(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True)
    assert re.search("ValueError: MLflow's database .* `mlflow db upgrade URI`", done.stderr), done.stderr


def sync_again(uri: str) -> None:
    """In another process: MLflow keeps the stores of this one open."""
    synced(uri, [row(0)])


def synchroniser(uri: str) -> Synchroniser:
    return Synchroniser(Store.connect(uri, "digits", artifact_root(uri, folder_of(uri))), facts())


def front_of(rows: list[TrialRow]) -> set[str]:
    return {member.key for member in front_rows(rows, facts().objectives)}


def run_of(client: MlflowClient, key: str) -> str:
    found = client.search_runs([experiment_of(client)], f"tags.trial_key = '{key}'")
    assert len(found) == 1
    return str(found[0].info.run_id)


def experiment_of(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    return str(experiment.experiment_id)


def test_a_second_time_changes_nothing(uri: str) -> None:
    rows = mixed(12)
    assert synced(uri, rows).created == 13
    before = contents(uri)
    changes = synced(uri, rows)
    assert (changes.created, changes.changed, changes.same) == (0, 0, 13)
    assert contents(uri) == before


def test_many_runs_at_once_leave_what_the_client_leaves(
    make_store: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*mixed(15), training(40, 3)]
    at_once, one_by_one = make_store("at-once"), make_store("one-by-one")
    monkeypatch.setattr(sync, "WORTH_IT", 1)
    synced(at_once, rows)
    monkeypatch.setattr(sync, "WORTH_IT", 10**9)
    synced(one_by_one, rows)
    assert contents(at_once) == contents(one_by_one)
    for uri in (at_once, one_by_one):
        assert sorted(path.name for path in folder_of(uri).rglob("*.json")).count("plan.json") >= len(rows)


def test_a_database_that_takes_no_rows_at_once_is_written_by_the_client(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "WORTH_IT", 1)
    monkeypatch.setattr(bulk, "TABLES", (*bulk.TABLES, "a_table_of_a_later_version"))
    synced(uri, mixed(4))
    assert len(contents(uri)["runs"]) == 6


def test_a_study_followed_as_it_runs_is_the_study_rebuilt(make_store: Callable[[str], str]) -> None:
    live, rebuilt = make_store("live"), make_store("rebuilt")
    ends = mixed(9)
    following = synchroniser(live)
    for number, end in enumerate(ends):
        following.apply([replace(training(number, 0), state="queued", started_at=None, name=end.name)])
        for epochs in (1, 3):
            if end.epochs:
                following.apply([replace(end, state="training", epochs=end.epochs[:epochs], accuracy=None)])
        following.apply([end])
        following.parent.update(following.rows.values(), running=True)
    following.finish([])
    synced(rebuilt, ends)
    was, now = contents(live), contents(rebuilt)
    was["models"] = {key: parts for key, parts in was["models"].items() if ("tag", "front", "true") in parts}
    assert was == now


def test_states_are_statuses_and_one_filter_shows_the_front(uri: str) -> None:
    rows = [row(0), row(1), pruned(2), failed(3), training(4, 2)]
    synced(uri, rows, running=True)
    client = MlflowClient(uri)
    runs = {run.data.tags.get("trial_key"): run for run in client.search_runs([experiment_of(client)])}
    assert [runs[each.key].info.status for each in rows] == ["FINISHED", "FINISHED", "KILLED", "FAILED", "RUNNING"]
    assert runs[None].info.status == "RUNNING"
    shown = client.search_runs([experiment_of(client)], "tags.front = 'true'")
    assert {run.data.tags["trial_key"] for run in shown} == front_of(rows)
    assert {run.data.tags["mlflow.parentRunId"] for key, run in runs.items() if key} == {runs[None].info.run_id}


def test_a_stopped_study_is_killed_and_one_that_goes_on_runs_again(uri: str) -> None:
    synced(uri, [row(0), training(1, 2)])
    assert contents(uri)["runs"]["study"][1] == "KILLED"
    synced(uri, [row(0), training(1, 2)], running=True)
    assert contents(uri)["runs"]["study"][1] == "RUNNING"
    synced(uri, [row(0), row(1)])
    assert contents(uri)["runs"]["study"][1:4:2] == ["FINISHED", round(1000 * (row(1).ended_at or 0))]


def test_the_curve_is_whole_after_many_epochs(uri: str) -> None:
    """More points than MLflow takes at once."""
    synced(uri, [row(0, epochs=1200)])
    assert metrics(uri, "digits/0", "validation_accuracy") == [
        (each.epoch, each.accuracy) for each in row(0, 1200).epochs
    ]


def test_the_front_s_tags_move_with_it_and_nothing_else_is_written(uri: str) -> None:
    better = replace(row(1), key="digits/9", number=9, accuracy=0.99, macs=1, plan_key="9")
    following = synchroniser(uri)
    following.apply([row(0), row(1)])
    assert tags(uri)["digits/0"]["front"] == "true"
    before = contents(uri)
    following.apply([better])
    after = tags(uri)
    assert [after[key]["front"] for key in ("digits/0", "digits/1", "digits/9")] == ["false", "false", "true"]
    for table in ("metrics", "params"):
        assert [cells for cells in contents(uri)[table] if cells[0] != "digits/9"] == before[table]


def test_members_of_the_front_are_models_and_leave_it_as_tags_say(uri: str) -> None:
    following = synchroniser(uri)
    following.apply([row(0), row(1)])
    following.apply([replace(row(1), key="digits/9", number=9, accuracy=0.99, macs=1, plan_key="9")])
    models = contents(uri)["models"]
    assert ("tag", "front", "false") in models["digits/0"]
    assert ("tag", "front", "true") in models["digits/9"]
    assert ("accuracy", row(0).accuracy, round(1000 * (row(0).ended_at or 0)), 0) in models["digits/0"]
    client = MlflowClient(uri)
    found = client.search_logged_models([experiment_of(client)], "tags.front = 'true' AND metrics.macs < 10")
    assert [model.source_run_id for model in found] == [run_of(client, "digits/9")]
    assert Path(found[0].artifact_location, "plan.json").read_text() == PLAN


def test_the_front_is_registered_with_aliases_once(uri: str) -> None:
    rows = mixed(10)
    assert synced(uri, rows, register=True).registered == len(front_of(rows))
    assert synced(uri, rows, register=True).registered == 0
    client = MlflowClient(uri)
    best = max((each for each in rows if each.key in front_of(rows)), key=lambda each: each.accuracy or 0)
    version = client.get_model_version_by_alias("digits", "most-accurate")
    assert version.tags["trial_key"] == best.key
    assert version.run_id == run_of(client, best.key)


def test_a_run_that_somebody_removed_comes_back(uri: str) -> None:
    rows = mixed(4)
    following = synchroniser(uri)
    following.apply(rows)
    before = contents(uri)
    client = MlflowClient(uri)
    client.delete_run(run_of(client, "digits/1"))
    following.apply([replace(rows[1], images_per_second=1.0)])
    assert not following.changes.refused
    following.apply([rows[1]])
    assert contents(uri)["runs"] == before["runs"]


def test_a_run_that_was_made_twice_is_one_again(uri: str) -> None:
    """An answer that was lost on its way makes the tracker create a run again."""
    rows = mixed(3)
    following = synchroniser(uri)
    following.apply(rows)
    del following.runs["digits/0"]
    following.apply([rows[0]])
    client = MlflowClient(uri)
    assert len(client.search_runs([experiment_of(client)], "tags.trial_key = 'digits/0'")) == 2
    synced(uri, rows)
    assert run_of(client, "digits/0")


def test_a_study_begun_anew_under_its_name_replaces_runs_and_drops_others(uri: str) -> None:
    synced(uri, mixed(8))
    anew = [replace(row(0), parameters={"igcv2.width": 77}), row(1)]
    changes = synced(uri, anew)
    assert (changes.created, changes.removed) == (1, 7)
    client = MlflowClient(uri)
    assert client.get_run(run_of(client, "digits/0")).data.params["igcv2.width"] == "77"
    assert len(client.search_runs([experiment_of(client)], run_view_type=ViewType.DELETED_ONLY)) == 8


def test_studies_of_one_name_and_other_experiments_do_not_touch(uri: str) -> None:
    synced(uri, mixed(3))
    other = replace(facts(), experiment_hash="fedcba")
    sync_study(uri, folder_of(uri), [row(5)], other)
    client = MlflowClient(uri)
    assert len(client.search_runs([experiment_of(client)])) == (1 + 4) + (1 + 1)


def test_the_report_the_table_and_the_plans_are_artifacts(uri: str) -> None:
    for name in ("report.html", "trials.parquet"):
        (folder_of(uri) / name).write_text(f"<h1>{name}</h1>")
    synced(uri, [row(0), failed(1)])
    client = MlflowClient(uri)
    study = client.search_runs([experiment_of(client)], "tags.kind = 'study'")[0]
    assert {file.path for file in client.list_artifacts(study.info.run_id)} == {"report.html", "trials.parquet"}
    files = {file.path for file in client.list_artifacts(run_of(client, "digits/1"))}
    assert files == {"plan.json", "failure.txt"}


def test_a_new_report_replaces_the_old_one_and_the_same_one_is_left(uri: str) -> None:
    report = folder_of(uri) / "report.html"
    report.write_text("old")
    synced(uri, [row(0)])
    kept = next((folder_of(uri) / "artifacts").rglob("report.html"))
    kept.write_text("untouched")
    synced(uri, [row(0)])
    assert kept.read_text() == "untouched"
    report.write_text("new")
    synced(uri, [row(0)])
    assert kept.read_text() == "new"


def test_the_data_set_and_the_environment_are_logged(uri: str) -> None:
    sync_study(uri, folder_of(uri), [row(0)], facts(), environment={"torch": "2.15.0"})
    client = MlflowClient(uri)
    study = client.search_runs([experiment_of(client)], "tags.kind = 'study'")[0]
    assert [each.dataset.name for each in study.inputs.dataset_inputs] == ["digits"]
    assert study.data.tags["environment.torch"] == "2.15.0"


def test_an_experiment_in_the_trash_is_the_user_s_to_bring_back(uri: str) -> None:
    synced(uri, [row(0)])
    client = MlflowClient(uri)
    client.delete_experiment(experiment_of(client))
    with pytest.raises(ValueError, match="mlflow experiments restore"):
        sync_study(uri, folder_of(uri), [row(0)], facts())


def test_a_folder_that_takes_no_files_costs_no_run(uri: str) -> None:
    (folder_of(uri) / "artifacts").write_text("a file where a folder should be")
    changes = sync_study(uri, folder_of(uri), [row(0), pruned(1)], facts())
    assert any(text.startswith("plan.json") for text in changes.refused)
    assert metrics(uri, "digits/0", "accuracy") == [(0, row(0).accuracy)]
    assert contents(uri)["runs"]["digits/1"][1] == "KILLED"
    assert "plan_key" not in tags(uri)["digits/0"]


def test_what_mlflow_refuses_is_told_and_the_rest_is_written(uri: str) -> None:
    bad = replace(row(0), parameters={"a*key?that=MLflow&refuses": 1})
    changes = sync_study(uri, folder_of(uri), [bad, row(1)], facts())
    assert [text.split(":")[0] for text in changes.refused] == [bad.name]
    assert contents(uri)["runs"]["digits/1"][1] == "FINISHED"


def test_hostile_text_stays_text(uri: str) -> None:
    text = "<img src=x onerror=alert(1)>'; DROP TABLE runs; --"
    rows = [replace(row(0), name=text, worker=text), replace(failed(1), failure_message=text, key="it's/1")]
    synced(uri, rows)
    assert tags(uri)["digits/0"]["mlflow.runName"] == text
    assert tags(uri)["it's/1"]["failure"] == text
    assert synced(uri, rows).same == 2


def test_the_study_is_described_and_hostile_text_in_it_is_no_markup(uri: str) -> None:
    bad = "<script>alert(1)</script>[x](javascript:alert(1))"
    rows = [replace(each, name=bad, family=bad) for each in mixed(6)]
    changes = sync_study(uri, folder_of(uri), rows, replace(facts(), data=bad, families=(bad,)))
    note = tags(uri)["study"]["mlflow.note.content"]
    assert not changes.refused
    assert "searchFilter=tags.front%20%3D%20%27true%27" in note
    assert "**What was found.**" in note
    assert "<" not in note
    assert "[x](" not in note
    assert note.count("](") - note.count("\\](") == 1  # the link to the front


def test_a_long_description_is_cut_at_a_line() -> None:
    rows = [row(number, macs=number + 1, accuracy=0.1 + number / 1000, name="n" * 100) for number in range(200)]
    text = study_markdown(rows, facts(), 3000)
    assert 2500 < len(text) <= 3000
    assert text.endswith("|")
