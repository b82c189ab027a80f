"""What the front's members cost in use, measured after the search: kept in the study `<name>/evaluation`.

The attribute `measured N` of that study lists the records of trial N, the newest last; a record that was made under the
same conditions (machine, threads, batch, torch) is replaced. The trial table shows the newest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from optuna.storages import BaseStorage

from dashboards.parts import append_part, merge_parts, read_study
from dashboards.table import TrialRow
from orchestrator.evaluation.repeats import evaluation_name, open_evaluation
from orchestrator.lease import Lease
from orchestrator.locate import Found
from orchestrator.storage_address import is_database
from orchestrator.study import Study
from workers.measured import MEASURED, MeasuredCost, measured_from

PREFIX = "measured "
CONDITIONS = ("device", "hardware", "threads", "batch_size", "torch")


def keep_measurements(
    found: Found, storage: BaseStorage, lease: Lease, measured: Mapping[int, MeasuredCost], now: float | None = None
) -> None:
    """Writes what was measured of trials, by their numbers, and shows it in the table. lease: of the evaluation."""
    study = open_evaluation(storage, Study.open(storage, found.name))
    study.take_over(lease)
    known = study.attributes()
    for number, record in measured.items():
        new = {"at": time.time() if now is None else now, **asdict(record)}
        others = [one for one in known.get(f"{PREFIX}{number}", []) if _conditions(one) != _conditions(new)]
        study.set_attribute(f"{PREFIX}{number}", [*others, new])
    if found.folder is not None and not is_database(found.storage):
        _show(found, measured)


def kept_measurements(storage: BaseStorage, name: str) -> dict[int, MeasuredCost]:
    """The newest record of each trial that was ever measured after the search of a study."""
    wanted = evaluation_name(name)
    if wanted not in (study.study_name for study in storage.get_all_studies()):
        return {}
    attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(wanted))
    return {
        int(key.removeprefix(PREFIX)): measured_from(
            {name: value for name, value in records[-1].items() if name != "at"}
        )
        for key, records in attributes.items()
        if key.startswith(PREFIX)
    }


def _with(row: TrialRow, measured: MeasuredCost) -> TrialRow:
    return replace(
        row,
        latency_ms=measured.latency_ms.median,
        batch_latency_ms=measured.batch_latency_ms.median,
        inference_memory_mib=measured.inference_memory_mib,
    )


def _show(found: Found, measured: Mapping[int, MeasuredCost]) -> None:
    assert found.folder is not None
    rows, facts = read_study(found.folder)
    if set(MEASURED) & set(facts.objectives):
        return  # its rows show what its search measured and was decided by
    append_part(found.folder, [_with(row, measured[row.number]) for row in rows if row.number in measured], facts)
    merge_parts(found.folder)


def _conditions(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in CONDITIONS)
