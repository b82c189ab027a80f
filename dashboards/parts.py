"""A trial table that grows: `trials.parquet` and, while the search runs, numbered parts with the rows that changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dashboards.evaluation import with_spread
from dashboards.table import (
    FACTS_KEY,
    StudyFacts,
    TrialRow,
    facts_from_table,
    read_arrow,
    rows_from_table,
    to_table,
    write_arrow,
)

TABLE_NAME = "trials.parquet"
PARTS_NAME = "trials.parts"
MOST_PARTS = 100  # merged beyond it, so that readers never open thousands of files
_TRIES = 5


def append_part(folder: str | Path, rows: Iterable[TrialRow], facts: StudyFacts) -> Path:
    """Writes new and changed rows of a study as its next part. One writer to a folder; any number of readers."""
    parts = _parts(folder)
    if len(parts) >= MOST_PARTS:
        merge_parts(folder)
    number = int(parts[-1].stem) + 1 if parts else 1
    path = Path(folder) / PARTS_NAME / f"{number:08d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrow(path, to_table(rows, facts))
    return path


def merge_parts(folder: str | Path) -> Path:
    """Makes `trials.parquet` of the table and its parts, which are then removed, the oldest first."""
    path = Path(folder) / TABLE_NAME
    parts = _parts(folder)
    if parts:
        write_arrow(path, _read_once(path, parts, None))
    for part in parts:
        part.unlink()
    return path


def has_table(folder: str | Path) -> bool:
    """Whether a study's folder holds a trial table, or the first part of one."""
    return (Path(folder) / TABLE_NAME).is_file() or bool(_parts(folder))


def read_study_arrow(folder: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The newest row of each trial from a study's folder; safe while its writer appends and merges."""
    for _ in range(_TRIES):
        try:
            return _read_once(Path(folder) / TABLE_NAME, _parts(folder), columns)
        except FileNotFoundError:  # a part was merged between the listing and the reading
            continue
    raise ValueError(f"{folder} holds no trial table ({TABLE_NAME} or {PARTS_NAME}/)")


def read_study(folder: str | Path, columns: Sequence[str] | None = None) -> tuple[list[TrialRow], StudyFacts]:
    """The rows, in the order of their numbers, and the newest facts of a study's folder.

    Where networks were evaluated, rows have their spread over seeds.
    """
    table = read_study_arrow(folder, columns)
    return with_spread(rows_from_table(table), folder), facts_from_table(table)


def _parts(folder: str | Path) -> list[Path]:
    return sorted((Path(folder) / PARTS_NAME).glob("[0-9]*.parquet"))


def _read_once(base: Path, parts: list[Path], columns: Sequence[str] | None) -> pa.Table:
    """Parts are read before the base, so a merge in between loses nothing."""
    tables = [read_arrow(part, columns) for part in parts]
    if base.exists() or not parts:
        tables.insert(0, read_arrow(base, columns))
    facts = max((table.schema.metadata for table in reversed(tables)), key=_updated_at)
    whole = pa.concat_tables([table.replace_schema_metadata(facts) for table in tables], promote_options="default")
    return whole.filter(pa.array(_is_newest(whole.column("number").to_numpy())))


def _updated_at(metadata: dict[bytes, bytes]) -> float:
    assert FACTS_KEY in metadata
    return facts_from_table(pa.table({}, schema=pa.schema([], metadata=metadata))).updated_at or 0.0


def _is_newest(numbers: np.ndarray) -> np.ndarray:
    """True at the last row of each trial number."""
    _, from_end = np.unique(numbers[::-1], return_index=True)
    mask = np.zeros(len(numbers), dtype=bool)
    mask[len(numbers) - 1 - from_end] = True
    return mask
