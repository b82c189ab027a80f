"""A search whose images and checkpoints lie in a bucket: through a kill, a retraining, and refused where there is none."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.study import open_storage
from tests.e2e.searched import EXPERIMENT, igcv, put_right, start, write_data
from tests.s3 import SECRET, S3Server
from workers.places import PROBE


@pytest.fixture
def folder(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With an experiment, and nothing else: its images are in the bucket that `folder.name` is written to."""
    write_data(tmp_path / "data")
    put_right(tmp_path / "data")
    bucket = s3.bucket()
    s3.put(bucket, tmp_path / "data", "images/")
    monkeypatch.setenv("IGCV_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    text = EXPERIMENT.format(data=json.dumps(s3.address(f"{bucket}/images")))
    text += f"checkpoints: {json.dumps(s3.address(f'{bucket}/checkpoints'))}\n"
    (work / "experiment.yaml").write_text(text)
    (work / "bucket").write_text(bucket)
    return work


def kept(folder: Path, s3: S3Server) -> list[str]:
    return [
        key
        for key in s3.keys((folder / "bucket").read_text())
        if not key.startswith("images/") and not key.endswith(PROBE)
    ]


def test_a_search_in_a_bucket_goes_on_after_a_kill_and_leaves_nothing_there(folder: Path, s3: S3Server) -> None:
    process = start(folder, "search", "experiment.yaml", "training.epochs=40")
    journal = folder / "runs/small/study.journal"
    while not kept(folder, s3):
        assert process.poll() is None, process.stderr and process.stderr.read()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = kept(folder, s3)
    assert left
    assert all(key.startswith("checkpoints/small/trial-") for key in left)
    done = igcv(folder, "search", "experiment.yaml", "training.epochs=40")
    assert done.exit_code == 0, done.output
    told = optuna.load_study(study_name="small", storage=open_storage(str(journal))).trials
    assert [trial.state for trial in told] == [TrialState.COMPLETE] * 4
    assert all(len(trial.intermediate_values) == 40 for trial in told)
    assert max(trial.user_attrs["progress"]["attempts"] for trial in told) == 2
    assert not kept(folder, s3)
    assert list((folder / "runs/small/weights").iterdir()), "the front's weights are on the driver's machine"
    evaluated = igcv(folder, "evaluate", "small", "--seeds", "1", "--no-references", "--epochs", "1")
    assert evaluated.exit_code == 0, evaluated.output
    assert not kept(folder, s3)
    secret = SECRET.encode()
    assert not [file for file in folder.rglob("*") if file.is_file() and secret in file.read_bytes()]
    gone = f"checkpoints={s3.address('nobody-made-this/x')}"
    again = igcv(folder, "search", "experiment.yaml", "training.epochs=40", gone)
    assert again.exit_code == 0, "a finished search needs no bucket to be shown"


def test_a_bucket_that_is_not_there_is_found_before_anything_starts(folder: Path, s3: S3Server) -> None:
    done = igcv(folder, "search", "experiment.yaml", f"checkpoints={s3.address('nobody-made-this/x')}")
    assert done.exit_code != 0
    assert "NO_SUCH_BUCKET" in str(done.exception)
    assert not list((folder / "runs").rglob("report.html"))
