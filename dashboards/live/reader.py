"""Reads a study's trial table again when it has changed, and no more of it than a view needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc

from dashboards.evaluation import TABLE_NAME as EVALUATION_NAME
from dashboards.evaluation import with_spread
from dashboards.parts import PARTS_NAME, TABLE_NAME, read_study_arrow
from dashboards.table import StudyFacts, TrialRow, facts_from_table, light_columns, read_arrow, rows_from_table

Rows = list[TrialRow]


@dataclass(slots=True)
class StudyReader:
    """One study, in its folder or in a table's file. Safe to be called from several threads."""

    name: str
    path: Path
    _stamp: str = ""
    _known: tuple[Rows, StudyFacts] | None = None
    _lock: Lock = field(default_factory=Lock)

    def stamp(self) -> str:
        """Changes whenever the table does."""
        evaluated = self.path / EVALUATION_NAME
        files = [self.path] if self.path.is_file() else [evaluated, self.path / TABLE_NAME, *self._parts()]
        stamps = []
        for file in files:
            try:
                stamps.append(f"{file.name}:{file.stat().st_mtime_ns}")
            except FileNotFoundError:  # not written yet, or merged in between
                continue
        return " ".join(stamps[:2] + stamps[-1:]) + f" {len(stamps)}"

    def read(self) -> tuple[Rows, StudyFacts]:
        """All rows without plans, curves, stays and tracebacks, and the facts; no rows before there is a table."""
        with self._lock:
            stamp = self.stamp()
            if self._known is None or stamp != self._stamp:
                table = self._table(light_columns())
                empty: tuple[Rows, StudyFacts] = ([], StudyFacts(study=self.name))
                self._known = empty if table is None else (self._rows(table), facts_from_table(table))
                self._stamp = stamp
            return self._known

    def whole(self, numbers: Collection[int]) -> Rows:
        """The rows of these trials with everything."""
        table = self._table(None)
        if table is None:
            return []
        wanted = pa.array(sorted(numbers), type=pa.int64())
        return self._rows(table.filter(pc.is_in(table.column("number"), value_set=wanted)))

    def _rows(self, table: pa.Table) -> Rows:
        rows = rows_from_table(table)
        return rows if self.path.is_file() else with_spread(rows, self.path)

    def _table(self, columns: Sequence[str] | None) -> pa.Table | None:
        if self.path.is_file():
            return read_arrow(self.path, columns)
        if not (self.path / TABLE_NAME).exists() and not self._parts():
            return None
        return read_study_arrow(self.path, columns)

    def _parts(self) -> list[Path]:
        return sorted((self.path / PARTS_NAME).glob("[0-9]*.parquet"))


def make_readers(places: Sequence[tuple[str, Path]]) -> dict[str, StudyReader]:
    """Readers by name; studies of one name are told apart by a number."""
    readers: dict[str, StudyReader] = {}
    for name, path in places:
        unique = next(
            one for one in (name, *(f"{name} ({n})" for n in range(2, len(places) + 2))) if one not in readers
        )
        readers[unique] = StudyReader(name=unique, path=path)
    return readers
