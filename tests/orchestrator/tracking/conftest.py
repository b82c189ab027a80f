"""Real MLflow stores: an SQLite file that was set up once, copied for each test."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.tracking.address import ARTIFACTS_NAME, STORE_NAME, tracking_uri
from orchestrator.tracking.store import Store


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow sets it up, which takes some seconds."""
    folder = tmp_path_factory.mktemp("template")
    uri = tracking_uri("local", folder)
    assert uri is not None
    Store.connect(uri, "template", str(folder / ARTIFACTS_NAME))
    return folder / STORE_NAME


@pytest.fixture
def make_store(template: Path, tmp_path: Path) -> Callable[[str], str]:
    """Makes an empty store in a new folder of this name; returns its URI."""

    def make(name: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copyfile(template, folder / STORE_NAME)
        uri = tracking_uri("local", folder)
        assert uri is not None
        return uri

    return make


@pytest.fixture
def uri(make_store: Callable[[str], str]) -> str:
    return make_store("runs")
