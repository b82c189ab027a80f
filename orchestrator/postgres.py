"""A study in PostgreSQL: Optuna's own tables, written in few statements and through outages.

Optuna's storage spends two statements on each attribute and a transaction on each call; here one event's writes are one
transaction of at most five statements, and new trials are made together. All of them can be repeated: what is set is set
again, and of a transaction whose answer was lost the server is asked what became of it. Reading is left to Optuna, whose
check of the tables' version also guards what is written here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialIntermediateValueModel, TrialValueModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, text

from orchestrator.lease import CONNECTION, LeaseLostError
from orchestrator.outage import FIRST_PAUSE, Patience
from orchestrator.storage_address import sqlalchemy_url
from orchestrator.tracking.address import redact

FENCE = "driver"  # the study's attribute that names who may write

_FENCE = text("SELECT value_json FROM study_user_attributes WHERE study_id = :study AND key = :key FOR SHARE")
_LOCK_STUDY = text("SELECT study_id FROM studies WHERE study_id = :study FOR UPDATE")
_TRIALS = text(
    "INSERT INTO trials (number, study_id, state, datetime_start) "
    "SELECT (SELECT count(*) FROM trials WHERE study_id = :study) + i, :study, 'RUNNING', :now "
    "FROM generate_series(0, :count - 1) AS i RETURNING trial_id, number, txid_current()"
)
_FATE = text("SELECT txid_status(:transaction)")
_PARAMS = text(
    "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) SELECT * FROM "
    "unnest(CAST(:ids AS int[]), CAST(:names AS text[]), CAST(:values AS float8[]), CAST(:distributions AS text[]))"
)
_ATTRIBUTES = text(
    "INSERT INTO trial_user_attributes (trial_id, key, value_json) SELECT * FROM "
    "unnest(CAST(:ids AS int[]), CAST(:keys AS text[]), CAST(:values AS text[])) "
    "ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json"
)
_CURVES = text(
    "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) SELECT * FROM "
    "unnest(CAST(:ids AS int[]), CAST(:steps AS int[]), CAST(:values AS float8[]), "
    "CAST(CAST(:kinds AS text[]) AS trialintermediatevaluetype[])) ON CONFLICT (trial_id, step) DO UPDATE SET "
    "intermediate_value = excluded.intermediate_value, intermediate_value_type = excluded.intermediate_value_type"
)
_VALUES = text(
    "INSERT INTO trial_values (trial_id, objective, value, value_type) SELECT * FROM "
    "unnest(CAST(:ids AS int[]), CAST(:objectives AS int[]), CAST(:values AS float8[]), "
    "CAST(CAST(:kinds AS text[]) AS trialvaluetype[])) ON CONFLICT (trial_id, objective) DO UPDATE SET "
    "value = excluded.value, value_type = excluded.value_type"
)
_STATES = text(
    "UPDATE trials SET state = ended.state, datetime_complete = :now FROM "
    "unnest(CAST(:ids AS int[]), CAST(CAST(:states AS text[]) AS trialstate[])) AS ended(id, state) "
    "WHERE trial_id = ended.id AND trials.state IN ('RUNNING', ended.state)"
)


@dataclass(slots=True)
class Writes:
    """What one transaction sets; of one thing the last value counts."""

    attributes: dict[tuple[int, str], str] = field(default_factory=dict)  # (trial id, key) -> JSON
    curves: dict[tuple[int, int], float] = field(default_factory=dict)  # (trial id, epoch) -> accuracy
    values: dict[tuple[int, int], float] = field(default_factory=dict)  # (trial id, objective) -> value
    states: dict[int, TrialState] = field(default_factory=dict)

    def carry_out(self, connection: Connection) -> None:
        """Executes it. A state comes last: a trial that has ended is whole."""
        if self.attributes:
            ids, keys = zip(*self.attributes, strict=True)
            values = list(self.attributes.values())
            connection.execute(_ATTRIBUTES, {"ids": list(ids), "keys": list(keys), "values": values})
        if self.curves:
            connection.execute(_CURVES, self._points())
        if self.values:
            connection.execute(_VALUES, self._objectives())
        if self.states:
            states = [state.name for state in self.states.values()]
            ended = {"ids": list(self.states), "states": states, "now": _utc(datetime.now(UTC))}
            told = connection.execute(_STATES, ended).rowcount
            assert told == len(states), "a trial was told twice, and not the same"

    def _points(self) -> dict[str, Any]:
        ids, steps = zip(*self.curves, strict=True)
        stored = [TrialIntermediateValueModel.intermediate_value_to_stored_repr(v) for v in self.curves.values()]
        values, kinds = zip(*stored, strict=True)
        names = [kind.name for kind in kinds]
        return {"ids": list(ids), "steps": list(steps), "values": list(values), "kinds": names}

    def _objectives(self) -> dict[str, Any]:
        ids, objectives = zip(*self.values, strict=True)
        values, kinds = zip(*map(TrialValueModel.value_to_stored_repr, self.values.values()), strict=True)
        names = [kind.name for kind in kinds]
        return {"ids": list(ids), "objectives": list(objectives), "values": list(values), "kinds": names}


class PostgresStorage(RDBStorage):
    """The storage of the driver that writes a study. `say` is told of outages."""

    def __init__(self, where: str, say: Callable[[str], None]) -> None:
        super().__init__(sqlalchemy_url(where), {"connect_args": {**CONNECTION, "application_name": "igcv"}})
        self.patience = Patience(f"the study's storage {redact(where)}", say)
        self._held = threading.local()
        self._fence: tuple[int, str] | None = None
        self._distributions: dict[str, tuple[BaseDistribution, str]] = {}

    def fence(self, study_id: int, driver: dict[str, Any]) -> None:
        """From now on writes only while the study names this driver; an earlier one's writes end here."""
        self._fence = study_id, json.dumps(driver)
        self.set_study_user_attr(study_id, FENCE, driver)

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """A block whose writes are one transaction, at its end. A block that raises writes what it had gathered."""
        assert getattr(self._held, "writes", None) is None, "a group within a group"
        writes = self._held.writes = Writes()
        try:
            yield
        finally:
            self._held.writes = None
            self._carry_out(writes)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        assert template_trial is not None
        return self.create_trials(study_id, [template_trial])[0][0]

    def create_trials(self, study_id: int, templates: Sequence[FrozenTrial]) -> list[tuple[int, int]]:
        """Makes RUNNING trials of these, in one transaction; the id and the number of each."""
        made: list[tuple[int, int]] = []
        transaction: int | None = None

        def create() -> list[tuple[int, int]]:
            nonlocal made, transaction
            if transaction is not None and self._was_committed(transaction):
                return made
            transaction = None
            with self.engine.begin() as connection:
                self._check_fence(connection)
                connection.execute(_LOCK_STUDY, {"study": study_id})
                now = _utc(datetime.now(UTC))
                rows = connection.execute(_TRIALS, {"study": study_id, "count": len(templates), "now": now}).all()
                made = sorted((row[0], row[1]) for row in rows)
                self._fill(connection, made, templates)
                transaction = rows[0][2]  # from here on the answer to COMMIT may be lost
            return made

        return self.patience.persist(create, self.engine.dispose)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._writes() as writes:
            writes.attributes[trial_id, key] = json.dumps(value)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        with self._writes() as writes:
            writes.curves[trial_id, step] = float(intermediate_value)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        assert state.is_finished()
        with self._writes() as writes:
            writes.values.update({(trial_id, objective): float(value) for objective, value in enumerate(values or ())})
            writes.states[trial_id] = state
        return True

    @contextmanager
    def _writes(self) -> Iterator[Writes]:
        """The group's that is open in this thread, else a transaction's own."""
        held: Writes | None = getattr(self._held, "writes", None)
        if held is not None:
            yield held
            return
        writes = Writes()
        yield writes
        self._carry_out(writes)

    def _carry_out(self, writes: Writes) -> None:
        if writes == Writes():
            return

        def once() -> None:
            with self.engine.begin() as connection:
                self._check_fence(connection)
                writes.carry_out(connection)

        self.patience.persist(once, self.engine.dispose)

    def _check_fence(self, connection: Connection) -> None:
        """Locks the driver's name until the transaction ends, so that nobody takes over in between."""
        if self._fence is None:
            return
        study, driver = self._fence
        found = connection.execute(_FENCE, {"study": study, "key": FENCE}).scalar()
        if found != driver:
            raise LeaseLostError(_other(json.loads(found) if found else {}))

    def _was_committed(self, transaction: int) -> bool:
        """What became of a transaction whose end we did not hear of."""
        while True:
            with self.engine.connect() as connection:
                fate = connection.execute(_FATE, {"transaction": transaction}).scalar()
            if fate != "in progress":
                return bool(fate == "committed")
            time.sleep(FIRST_PAUSE)  # its session has not noticed yet that we are gone

    def _fill(self, connection: Connection, made: Sequence[tuple[int, int]], templates: Sequence[FrozenTrial]) -> None:
        params: list[tuple[int, str, float, str]] = []
        writes = Writes()
        for (trial_id, _), template in zip(made, templates, strict=True):
            for name, value in template.params.items():
                distribution = template.distributions[name]
                stored = float(distribution.to_internal_repr(value))
                params.append((trial_id, name, stored, self._distribution_json(name, distribution)))
            writes.attributes |= {(trial_id, key): json.dumps(item) for key, item in template.user_attrs.items()}
        if params:
            columns = [list(column) for column in zip(*params, strict=True)]
            connection.execute(_PARAMS, dict(zip(("ids", "names", "values", "distributions"), columns, strict=True)))
        writes.carry_out(connection)

    def _distribution_json(self, name: str, distribution: BaseDistribution) -> str:
        """Made once for each parameter."""
        known = self._distributions.get(name)
        if known is None or known[0] is not distribution:
            known = self._distributions[name] = distribution, distribution_to_json(distribution)
        return known[1]


def _utc(moment: datetime) -> datetime:
    """As Optuna stores it: UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _other(driver: dict[str, Any]) -> str:
    return f"process {driver.get('pid', 'unknown')} on {driver.get('host', 'an unknown machine')}"
