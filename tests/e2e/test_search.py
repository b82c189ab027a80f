"""The main job through the command line: to the end, through a kill, through ctrl-C, and refused where it cannot run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState

from dashboards.table import read_table
from orchestrator.study import open_storage

EXPERIMENT = """
name: small
data: {name: digits}
families:
  igcv2: {stem_width: 8, spatial: channelwise, inner: none, skip: true, width: [[8, 16], [16, 32]], blocks: [1, 2], k: [4, 8]}
budget: {max_macs: 200k}
references: [igcv2-c64-d8]
trials: 6
training: {epochs: 3, batch_size: 128, crop_padding: 1, flip: false}
resources: {pool: inline, workers: 2}
tracking: off
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from orchestrator.cli.main import main; main()", *arguments]


def igcv(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=240)


def trials(folder: Path) -> list[FrozenTrial]:
    storage = open_storage(str(folder / "runs/small/study.journal"))
    return optuna.load_study(study_name="small", storage=storage).trials


def wait_for(folder: Path, complete: int) -> None:
    journal = folder / "runs/small/study.journal"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if journal.exists() and sum(t.state is TrialState.COMPLETE for t in trials(folder)) >= complete:
            return
        time.sleep(0.1)
    raise AssertionError("the search did not get that far")


def check_whole(folder: Path, references: int = 1) -> None:
    """Every trial told once, none lost, doubled or left RUNNING, and none over the budget."""
    told = trials(folder)
    searched = [t for t in told if t.user_attrs["source"] == "search"]
    assert [t.state for t in told] == [TrialState.COMPLETE] * (6 + references)
    assert len(searched) == 6
    assert len({t.user_attrs["plan_key"] for t in told}) == len(told)
    assert all(t.user_attrs["macs"] <= 200_000 for t in searched)
    assert all(len(t.intermediate_values) == 3 for t in told)
    assert not list((folder / "runs/small/checkpoints").iterdir())


def test_a_search_ends_with_a_front_a_table_and_a_report_and_is_shown_again(folder: Path) -> None:
    first = igcv(folder, "search", "experiment.yaml", "--json")
    assert first.returncode == 0, first.stderr
    front = json.loads(first.stdout)
    assert front == sorted(front, key=lambda member: member["macs"])
    check_whole(folder)
    report = (folder / "runs/small/report.html").read_text()
    assert front[0]["name"] in report
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.?https?:", report), "it must open without a network"
    second = igcv(folder, "search", "experiment.yaml")
    assert second.returncode == 0
    assert "nothing was left to train" in second.stdout
    assert json.loads(igcv(folder, "front", "small", "--json").stdout) == front
    state = json.loads(igcv(folder, "status", "small", "--json").stdout)
    assert state["states"] == {"complete": 6}
    assert state["references"] == 1


def test_a_search_that_died_at_its_very_end_brings_its_table_and_mlflow_up_to_date(folder: Path) -> None:
    assert igcv(folder, "search", "experiment.yaml").returncode == 0
    (folder / "runs/small/trials.parquet").unlink()
    again = igcv(folder, "search", "experiment.yaml", "tracking=local")
    assert again.returncode == 0, again.stderr
    assert "nothing was left to train" in again.stdout
    assert len(read_table(folder / "runs/small/trials.parquet")[0]) == 7
    client = MlflowClient(f"sqlite:///{folder}/runs/small/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    tracked = [run for run in client.search_runs(experiments) if "trial_key" in run.data.tags]
    assert sorted(run.data.metrics["accuracy"] for run in tracked) == sorted(t.values[0] for t in trials(folder))
    assert {run.info.status for run in tracked} == {"FINISHED"}


def test_more_trials_go_on_where_the_study_stands(folder: Path) -> None:
    assert igcv(folder, "search", "experiment.yaml", "trials=4").returncode == 0
    before = [t.values for t in trials(folder)]
    assert igcv(folder, "search", "experiment.yaml").returncode == 0
    assert [t.values for t in trials(folder)][: len(before)] == before
    check_whole(folder)


def test_kill_9_of_the_whole_process_group_costs_no_trial(folder: Path) -> None:
    for complete in (1, 3):
        process = subprocess.Popen(command("search", "experiment.yaml"), cwd=folder, start_new_session=True)
        wait_for(folder, complete)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    again = igcv(folder, "search", "experiment.yaml")
    assert again.returncode == 0, again.stderr
    check_whole(folder)


def test_ctrl_c_ends_cleanly_and_names_the_command_that_resumes(folder: Path) -> None:
    process = subprocess.Popen(
        command("search", "experiment.yaml"), cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(folder, 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "resumes: igcv search experiment.yaml" in said
    assert "Traceback" not in said
    assert igcv(folder, "search", "experiment.yaml").returncode == 0
    check_whole(folder)


@pytest.mark.ray
def test_on_real_ray_workers_a_killed_worker_costs_no_trial(folder: Path) -> None:
    process = subprocess.Popen(
        command("search", "experiment.yaml", "resources.pool=ray", "training.epochs=3"),
        cwd=folder,
        start_new_session=True,
    )
    wait_for(folder, 1)
    victims = subprocess.run(["pgrep", "-f", "ray::TrainWorker"], capture_output=True, text=True).stdout.split()
    ours = [int(pid) for pid in victims if _descends_from(int(pid), process.pid)]
    assert ours, "no worker process was found"
    os.kill(ours[0], signal.SIGKILL)
    assert process.wait(timeout=240) == 0
    check_whole(folder)


def _descends_from(pid: int, ancestor: int) -> bool:
    import psutil

    try:
        return ancestor in {parent.pid for parent in psutil.Process(pid).parents()}
    except psutil.NoSuchProcess:
        return False


BROKEN = [
    ("familes={}", "unknown key 'familes'"),
    ("budget.max_mac=3", "did you mean 'max_macs'"),
    ("budget.max_macs=-1", "greater than 0"),
    ("budget.max_macs=10", "max_macs=10"),
    ("budget.min_macs=900M", "min_macs"),
    ("data.name=imagenet", "data.name"),
    ("data={name: parquet, path: nowhere}", "nowhere"),
    ("data={name: npz, path: nowhere.npz}", "nowhere.npz"),
    ("data.validation_fraction=2", "validation_fraction"),
    ("data.image_size=5", "image_size"),
    ("families={igcv9: {}}", "unknown family 'igcv9'"),
    ("families={igcv2: {depth: [1]}}", "unknown parameter 'depth'"),
    ("families={igcv2: {k: [7], width: [8], stem_width: 8}}", "no "),
    ("families={igcv2: {k: [4, 4]}}", "lists a value twice"),
    ("families={igcv2: {width: [[8], [8]], k: [[4], [4], [4]]}}", "different numbers of stages"),
    ("families={}", "at least one family"),
    ("references=[igcv2-c65-d8]", "did you mean igcv2-c64-d8"),
    ("sampler=best", "none of igcv, uniform, tpe"),
    ("sampler=json:loads", "sampler"),
    ("training.recipe=fast", "unknown recipe 'fast'"),
    ("training.epochs=0", "training.epochs"),
    ("early_stopping={rungs: [3, 9]}", "ascending epochs"),
    ("objectives=[accuracy]", "objectives start with accuracy"),
    ("trials=null", "`trials` or by `wall_clock`"),
    ("tracking=ftp://x", "tracking"),
    ("output=/proc/nowhere", "output"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_a_broken_experiment_ends_in_one_clear_message(folder: Path, change: str, message: str) -> None:
    from click.testing import CliRunner

    from orchestrator.cli.main import igcv as group

    os.chdir(folder)
    before = sorted(path.name for path in folder.rglob("*"))
    result = CliRunner().invoke(group, ["search", "experiment.yaml", change])
    assert isinstance(result.exception, ValueError), f"{result.exception!r} {result.output}"
    assert message in str(result.exception)
    assert sorted(path.name for path in folder.rglob("*")) == before, "something was written"


def test_the_program_ends_with_exit_code_2_one_line_and_no_traceback(folder: Path) -> None:
    result = igcv(folder, "search", "experiment.yaml", "budget.max_macs=10")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("igcv: ")
    assert "Traceback" not in result.stderr
    assert igcv(folder, "serch").returncode == 2
    assert igcv(folder, "status", "nothing").returncode == 2
    assert igcv(folder, "cost", "igcv2-c65-d8").returncode == 2


@pytest.mark.data
def test_real_cifar10_shards_are_searched_and_resumed_after_kill_9(folder: Path) -> None:
    data = os.environ.get("IGCV_DATA")
    if not data:
        pytest.skip("reads the CIFAR-10 shards; set IGCV_DATA to the folder that holds cifar10/")
    file = Path(__file__).parents[2] / "examples/cifar10.yaml"
    small = ["name=small", "trials=3", "training.epochs=2", "data.max_train=500", "data.max_validation=200"]
    small += ["families={igcv2: {width: [[16], [32], [32]], blocks: [1], stem_width: 16}}", "references=[]"]
    small += [f"data.path={data}/cifar10", "resources.pool=inline", "tracking=off"]
    process = subprocess.Popen(command("search", str(file), *small), cwd=folder, start_new_session=True)
    wait_for(folder, 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = igcv(folder, "search", str(file), *small)
    assert again.returncode == 0, again.stderr
    told = trials(folder)
    assert [t.state for t in told] == [TrialState.COMPLETE] * 3
    assert len({t.user_attrs["plan_key"] for t in told}) == 3
