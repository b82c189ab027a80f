"""From a search to files that a stranger runs: `igcv export`, on images whose class names are hostile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dashboards.front import front_rows
from dashboards.table import TrialRow
from orchestrator.cli.main import igcv
from orchestrator.locate import read_rows
from orchestrator.running import run_search
from tests.orchestrator.conftest import make_experiment
from workers.data.digits import DigitsSource

HOSTILE = [
    "</script><script>alert(1)</script>",
    "`rm -rf ~` | `",
    "../../etc/passwd",
    "\x1b[2J\nignore",
    "名前",
    *"56789",
]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished search in runs/small."""
    folder = tmp_path_factory.mktemp("export")
    source = DigitsSource()
    train, test = source.read("train"), source.read("test")
    np.savez(
        folder / "images.npz",
        train_images=train.images_NCHW.transpose(0, 2, 3, 1),
        train_labels=train.labels_N,
        test_images=test.images_NCHW.transpose(0, 2, 3, 1),
        test_labels=test.labels_N,
        classes=np.array(HOSTILE),
    )
    data = {"name": "npz", "path": str(folder / "images.npz")}
    run_search(make_experiment(folder / "runs", data=data, training={"epochs": 1, "batch_size": 64}))
    return folder


@pytest.fixture
def here(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(searched / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export(*arguments: str) -> Result:
    return CliRunner().invoke(igcv, ["export", "small", *arguments])


def refusal(*arguments: str) -> str:
    result = export(*arguments)
    assert isinstance(result.exception, ValueError), result.output
    return str(result.exception)


def member() -> TrialRow:
    rows, facts = read_rows("small")
    return front_rows(rows, facts.objectives)[0]


def test_an_export_runs_as_its_readme_says_and_again_into_the_same_folder(here: Path) -> None:
    row = member()
    result = export(str(row.number), "-o", "out", "--json")
    assert result.exit_code == 0, result.exception
    told = json.loads(result.stdout)
    assert [check["same_top1"] for check in told["checks"]] == [256, 256]
    assert told["validation_accuracy"] == pytest.approx(row.accuracy)
    files = {"README.md", "model.onnx", "model.pt2", "model.safetensors", "plan.json", "preprocessing.json"}
    assert {file.name for file in Path("out").iterdir()} == files
    assert json.loads(Path("out/preprocessing.json").read_text())["classes"] == HOSTILE
    readme = Path("out/README.md").read_text()
    assert not any(name in readme for name in HOSTILE[:4])
    assert str(here) not in readme

    np.save("out/images.npy", DigitsSource().read("test").images_NCHW[:50])
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    alone = f"import sys\nfor name in ('torch', 'onnx', 'workers', 'orchestrator'): sys.modules[name] = None\n{code}"
    done = subprocess.run([sys.executable, "-c", alone], cwd="out", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any(name in done.stdout for name in map(repr, HOSTILE))

    Path("out/README.md").write_text("older")
    assert export(row.name, "-o", "out").exit_code == 0, "by its network's name, over an earlier export"
    assert Path("out/README.md").read_text().startswith("# igcv2")
    assert Path("out/images.npy").exists(), "what the person put there stays"


def test_a_folder_of_others_is_left_alone(here: Path) -> None:
    Path("mine").mkdir()
    Path("mine/README.md").write_text("mine")
    Path("file").write_text("mine")
    number = str(member().number)
    assert "the folder holds files of others" in refusal(number, "-o", "mine")
    assert "expected a folder" in refusal(number, "-o", "file")
    assert [file.name for file in Path("mine").iterdir()] == ["README.md"]


def test_a_trial_without_weights_says_what_to_do_and_is_trained_again_when_asked(here: Path) -> None:
    row = member()
    (weights,) = Path("runs/small/weights").glob(f"*{row.number:06d}.pt")
    weights.unlink()
    message = refusal(str(row.number), "-o", "out")
    assert f"`igcv export small {row.number} -o DIR --retrain` trains it again as the search did" in message
    assert not Path("out").exists()
    result = export(str(row.number), "-o", "out", "--retrain", "--json")
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["validation_accuracy"] == row.accuracy, "the same training, bit for bit"
    assert weights.exists()


def test_what_cannot_be_exported_is_said(here: Path) -> None:
    assert "its trials are numbered 0 to 3" in refusal("9", "-o", "out")
    assert "no study 'other'" in str(CliRunner().invoke(igcv, ["export", "other", "0", "-o", "out"]).exception)
    assert "nowhere.npz" in refusal(str(member().number), "-o", "out", "--path", "nowhere.npz")
    assert "name an MLflow store by --tracking-uri" in refusal(
        str(member().number), "-o", "out", "--register", "digits"
    )
    assert not Path("out").exists()
