"""The address of a study's storage: from the environment, as each library takes it, and shown without its password."""

from __future__ import annotations

import pytest

from orchestrator.lease import unreachable
from orchestrator.storage_address import check_storage, expand, libpq_url, sqlalchemy_url


def test_an_address_may_stand_in_a_variable_whole_or_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGCV_STORAGE", "postgresql://u:p@h/d")
    monkeypatch.setenv("IGCV_PASSWORD", "p")
    assert expand("env:IGCV_STORAGE") == "postgresql://u:p@h/d"
    assert expand("env:IGCV_STORAGE#small") == "postgresql://u:p@h/d#small"
    assert expand("postgresql://u:${IGCV_PASSWORD}@h/d") == "postgresql://u:p@h/d"
    assert check_storage("journal") == "journal"
    with pytest.raises(ValueError, match="variable NOWHERE is not set"):
        expand("env:NOWHERE")


@pytest.mark.parametrize("storage", ["mysql://u:hidden@h/d", "sqlite:///x.db", "jurnal", "https://h:hidden@x/d"])
def test_a_search_s_storage_is_a_journal_or_postgresql(storage: str) -> None:
    with pytest.raises(ValueError, match="or in PostgreSQL") as error:
        check_storage(storage)
    assert "hidden" not in str(error.value)


def test_each_library_gets_the_address_as_it_takes_it() -> None:
    assert libpq_url("postgresql+psycopg://u@h/d") == "postgresql://u@h/d"
    assert sqlalchemy_url("postgresql://u:a{b}@h/d") == "postgresql+psycopg://u:a%7Bb%7D@h/d"
    assert sqlalchemy_url("sqlite:///x.db") == "sqlite:///x.db"


def test_what_is_said_of_a_storage_hides_its_password() -> None:
    said = unreachable("postgresql://u:p/4?@h/d", ValueError("cannot parse postgresql://u:p/4?@h/d\nat once"))
    assert "p/4" not in said
    assert "postgresql://u:***@h/d" in said
    assert "PGPASSWORD" in said
    assert "\n" not in said
