"""Where a study is tracked, and what is said of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tracking.address import VIEW, artifact_root, open_command, page, redact, tracking_uri


def test_local_is_a_file_in_the_study_s_folder(tmp_path: Path) -> None:
    uri = tracking_uri("local", tmp_path / "my study")
    assert uri == f"sqlite:///{tmp_path}/my study/mlflow.db"
    assert artifact_root(uri, Path("elsewhere")) == f"{tmp_path}/my study/artifacts"


def test_off_is_none() -> None:
    assert tracking_uri("off", Path("runs/digits")) is None


@pytest.mark.parametrize(
    "uri", ["http://host:5000", "https://host", "sqlite:////data/x.db", "postgresql+psycopg://h/db"]
)
def test_an_address_is_kept(uri: str) -> None:
    assert tracking_uri(uri, Path("runs/digits")) == uri


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "on", "", "ftp://host/x"])
def test_what_mlflow_does_not_take_is_refused_with_what_it_takes(uri: str) -> None:
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        tracking_uri(uri, Path("runs/digits"))


def test_a_refusal_hides_the_password() -> None:
    with pytest.raises(ValueError, match="MLflow store") as error:
        tracking_uri("ftp://me:hidden@host/x", Path("runs/digits"))
    assert "hidden" not in str(error.value)


def test_a_server_chooses_its_artifact_root_and_a_database_has_the_study_s_folder(tmp_path: Path) -> None:
    assert artifact_root("http://host:5000", tmp_path) is None
    assert artifact_root("postgresql://host/db", tmp_path) == str(tmp_path / "artifacts")


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_no_password_is_printed(password: str) -> None:
    secret = f"<{password}>"
    text = redact(f"connecting to postgresql://me:{secret}@host/db failed: no route to host")
    assert secret not in text
    assert "me:***@host/db failed: no route to host" in text


def test_secrets_in_a_query_are_struck_out() -> None:
    assert redact("http://host/?password=abc&x=1") == "http://host/?password=***&x=1"


def test_a_port_is_no_password() -> None:
    assert redact("http://host:5000/a and mail me@host") == "http://host:5000/a and mail me@host"


def test_open_command_names_the_store_and_its_artifacts(tmp_path: Path) -> None:
    uri = tracking_uri("local", tmp_path / "a b")
    assert uri is not None
    command = open_command(uri)
    assert f"'sqlite:///{tmp_path}/a b/mlflow.db'" in command
    assert f"'{tmp_path}/a b/artifacts'" in command


def test_a_server_is_opened_by_its_address() -> None:
    assert open_command("http://me:hidden@host:5000") == "http://me:***@host:5000"


def test_page_leaves_credentials_out() -> None:
    assert page("http://me:hidden@host:5000/", "3", "abc") == f"http://host:5000/#/experiments/3/runs/abc{VIEW}"
    assert page("sqlite:////x/mlflow.db", "1") == f"http://127.0.0.1:5000/#/experiments/1{VIEW}"
