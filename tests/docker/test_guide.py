"""The guide from laptop to cluster: its experiment is one, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS
from orchestrator.experiment import load_experiment

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/from-laptop-to-cluster.md").read_text()


def test_its_experiment_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGCV_STORAGE", "postgresql://igcv@127.0.0.1/igcv")
    block, buckets = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "digits.yaml").write_text(block)
    experiment = load_experiment(tmp_path / "digits.yaml")
    assert Path(experiment.output).is_absolute()
    assert experiment.checkpoints is not None
    (tmp_path / "digits.yaml").write_text(re.sub(r"^checkpoints:.*\n", "", block, flags=re.MULTILINE) + buckets)
    experiment = load_experiment(tmp_path / "digits.yaml")
    assert experiment.checkpoints == "s3://my-bucket/checkpoints?region=eu-central-1"
    assert experiment.data.path == "gs://my-bucket/sets/animals"


def test_commands_and_files_that_it_names_are_there() -> None:
    commands = set(re.findall(r"^(?:.*/)?igcv (\w+)", GUIDE, re.MULTILINE))
    assert {"submit", "jobs", "doctor", "front"} <= commands <= set(COMMANDS)
    files = set(re.findall(r"\b(?:docker|examples)/[\w./-]*\w", GUIDE)) - {"docker/.env"}
    assert len(files) > 5
    for file in files:
        assert (ROOT / file).exists(), file
