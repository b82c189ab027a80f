"""Finding a study by what a person types: its name, its folder, or STORAGE_URL#name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashboards.parts import read_study
from dashboards.table import StudyFacts, TrialRow
from orchestrator.study import JOURNAL_NAME

RUNS = Path("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a study is kept: its storage, its name there, and its folder, if it has one on this machine."""

    storage: str
    name: str
    folder: Path | None


def locate(study: str) -> Found:
    """ValueError lists the studies there are."""
    if "://" in study:
        url, separator, name = study.rpartition("#")
        if not separator or not name:
            raise ValueError(f"{study}: a study in a database is STORAGE_URL#name, and the name is missing")
        folder = RUNS / name
        return Found(storage=url, name=name, folder=folder if folder.is_dir() else None)
    folder = _folder(study)
    return Found(storage=str(folder / JOURNAL_NAME), name=folder.resolve().name, folder=folder)


def read_rows(study: str) -> tuple[list[TrialRow], StudyFacts]:
    """The trial table of a study, of its folder, or of a table's file."""
    if study.endswith(".parquet") and Path(study).is_file():
        from dashboards.table import read_table

        return read_table(study)
    found = locate(study)
    if found.folder is None:
        raise ValueError(f"{study}: there is no trial table for it on this machine")
    return read_study(found.folder)


def _folder(study: str) -> Path:
    for folder in (Path(study), RUNS / study):
        if (folder / JOURNAL_NAME).is_file() or (folder / "trials.parquet").is_file():
            return folder
    known = sorted(path.parent.name for path in RUNS.glob(f"*/{JOURNAL_NAME}"))
    raise ValueError(
        f"no study {study!r}, neither as a folder nor under {RUNS}/; there are: {', '.join(known) or 'none'}"
    )
