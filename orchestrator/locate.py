"""Finding a study by what a person types: its name, its folder, or STORAGE_URL#name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashboards.parts import has_table, read_study
from dashboards.table import StudyFacts, TrialRow
from orchestrator.storage_address import ENVIRONMENT, expand, is_database
from orchestrator.study import JOURNAL_NAME
from orchestrator.tracking.address import redact

RUNS = Path("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a study is kept: its storage, its name there, and its folder, if it has one on this machine."""

    storage: str
    name: str
    folder: Path | None


def locate(study: str) -> Found:
    """ValueError lists the studies there are."""
    if is_database(study) or study.startswith(ENVIRONMENT):
        url, separator, name = expand(study).rpartition("#")
        if not separator or not name:
            raise ValueError(f"{redact(study)}: a study in a database is STORAGE_URL#name, and the name is missing")
        folder = RUNS / name
        return Found(storage=url, name=name, folder=folder if folder.is_dir() else None)
    folder = _folder(study)
    return Found(storage=str(folder / JOURNAL_NAME), name=folder.resolve().name, folder=folder)


def read_rows(study: str) -> tuple[list[TrialRow], StudyFacts]:
    """The trial table of a study, of its folder, or of a table's file. A study in a database is read there."""
    if study.endswith(".parquet") and Path(study).is_file():
        from dashboards.table import read_table

        return read_table(study)
    found = locate(study)
    if is_database(found.storage) or not has_table(found.folder or Path(found.storage).parent):
        from orchestrator.reading import read_stored

        return read_stored(found.storage, found.name)
    assert found.folder is not None
    return read_study(found.folder)


def _folder(study: str) -> Path:
    for folder in (Path(study), RUNS / study):
        if (folder / JOURNAL_NAME).is_file() or has_table(folder):
            return folder
    known = sorted(path.parent.name for path in RUNS.glob(f"*/{JOURNAL_NAME}"))
    raise ValueError(
        f"no study {study!r}, neither as a folder nor under {RUNS}/; there are: {', '.join(known) or 'none'}"
    )
