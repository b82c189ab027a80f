"""An exported trial becomes a version of a registered model, with its files, once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dashboards.front import front_rows
from orchestrator.tracking.sync import register_export
from tests.orchestrator.tracking.making import PLAN, facts, mixed
from tests.orchestrator.tracking.test_sync import folder_of, run_of


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"onnx")
    (folder / "README.md").write_text("a card")
    return folder


def test_members_and_references_become_versions_with_their_files_once(
    uri: str, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = mixed(10)
    member, reference = front_rows(rows, facts().objectives)[0], rows[-1]

    def registered(row: int) -> str:
        return register_export(uri, folder_of(uri), rows, facts(), rows[row], export, "a classifier")

    assert registered(member.number) == "1"
    assert registered(reference.number) == "2", "a network beside the front has a model too, once it is registered"
    assert registered(member.number) == "1", "a second time changes nothing"
    client = MlflowClient(uri)
    version = client.get_model_version("a classifier", "1")
    assert version.tags["trial_key"] == member.key
    assert version.run_id == run_of(client, member.key)
    assert {file.name: file.read_text() for file in Path(version.source).iterdir()} == {
        "model.onnx": "onnx",
        "README.md": "a card",
        "plan.json": PLAN,
    }
    assert len(client.search_model_versions("name = 'a classifier'")) == 2


def test_a_name_that_the_registry_does_not_take_is_said(uri: str, export: Path) -> None:
    rows = mixed(3)
    with pytest.raises(ValueError, match="MLflow at"):
        register_export(uri, folder_of(uri), rows, facts(), rows[0], export, "a/b:c")


def test_a_store_that_is_not_there_is_said(make_store: Callable[[str], str], tmp_path: Path, export: Path) -> None:
    rows = mixed(3)
    with pytest.raises(ValueError, match="MLflow at"):
        register_export("http://127.0.0.1:9", tmp_path, rows, facts(), rows[0], export, "name")
