"""The study in Optuna: the one truth of a search. With `postgres`, the only file of the search that imports optuna.

A trial is written once, RUNNING, before it is launched; while it runs its `progress` and its curve are kept; before it
is told, everything else is written, for a told trial is immutable. One that ended early is told PRUNED without values.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from orchestrator.candidates import Catalogue
from orchestrator.frozen import TOLD, epoch_json, objective, progress, template, thaw
from orchestrator.journal import GroupingJournal, check_free_space, mend_journal, remove_dead_lock
from orchestrator.lease import FileLease, Lease, PostgresLease, unreachable
from orchestrator.storage_address import is_database, is_postgres, sqlalchemy_url
from orchestrator.tracking.address import redact
from orchestrator.trials import Candidate, Trial
from workers.records import EpochReport

DIRECTIONS = {"accuracy": StudyDirection.MAXIMIZE}  # every other objective is minimised
JOURNAL_NAME = "study.journal"
NO_TABLE = "42P01"  # PostgreSQL's SQLSTATE


def open_storage(where: str, say: Callable[[str], None] | None = None) -> BaseStorage:
    """The storage at a journal's path or a database URL. Only a lease's holder may pass `say`, and so write.

    ValueError where a database does not answer, or was set up by another version of Optuna.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if is_database(where):
        return _open_database(where, say)
    journal = Path(where)
    if say is not None:
        for message in mend_journal(journal) + remove_dead_lock(journal):
            say(message)
    return GroupingJournal(where)


def claim(where: str, study: str) -> Lease:
    """The study's lease. ValueError where another driver holds it."""
    if is_postgres(where):
        return PostgresLease(where, study)
    folder = Path(where).parent
    folder.mkdir(parents=True, exist_ok=True)
    check_free_space(folder)
    return FileLease(Path(where + ".lease"))


@contextmanager
def reachable(where: str) -> Iterator[None]:
    """A database's error inside as the user's fault, with what to do and without the password."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        said = getattr(cause, "orig", None) or error
        if getattr(said, "sqlstate", None) == NO_TABLE:
            raise ValueError(f"storage {redact(where)}: no study is kept there yet") from None
        raise ValueError(unreachable(where, said)) from None


def _open_database(where: str, say: Callable[[str], None] | None) -> BaseStorage:
    """A writer's makes its tables where they are missing; a reader's may hold them for long, and changes nothing."""
    with reachable(where):
        try:
            if say is not None and is_postgres(where):
                from orchestrator.postgres import PostgresStorage

                return PostgresStorage(where, say)
            return RDBStorage(
                sqlalchemy_url(where), {"pool_pre_ping": True}, skip_table_creation=is_postgres(where) and say is None
            )
        except RuntimeError as error:  # Optuna's check of the tables' version
            raise ValueError(_other_version(where, str(error))) from None
        except ValueError as error:  # a port that is no number
            raise ValueError(unreachable(where, error)) from None


def _other_version(where: str, words: str) -> str:
    if "storage upgrade" not in words:
        return f"storage {redact(where)}: {words}"
    return (
        f"storage {redact(where)}: its tables were set up by an older Optuna; stop every search on it, back it up, and run "
        "`optuna storage upgrade --storage STORAGE_URL`"
    )


class Study:
    """One study, opened by the driver that holds its lease, or by a reader."""

    def __init__(self, storage: BaseStorage, name: str, objectives: tuple[str, ...]) -> None:
        self.storage = storage
        self.name = name
        self.objectives = objectives
        self.id = storage.get_study_id_from_name(name)
        self._ids: dict[int, int] = {}  # trial number -> Optuna's trial id
        self._kept: dict[int, set[int]] = {}  # trial number -> epochs of its curve that are written
        self._lease: Lease | None = None

    @classmethod
    def open_or_create(cls, storage: BaseStorage, name: str, fixed: dict[str, Any]) -> Study:
        """Opens the study, or makes it. ValueError names the keys in which it differs from `fixed`."""
        objectives = tuple(fixed["objectives"])
        directions = [DIRECTIONS.get(objective, StudyDirection.MINIMIZE) for objective in objectives]
        _quietly_create(storage, name, directions)
        study = cls(storage, name, objectives)
        if "experiment" not in study.attributes() and not storage.get_all_trials(study.id, deepcopy=False):
            study.set_attribute("experiment", fixed)  # new, or its driver died while it made the study
            optuna.load_study(study_name=name, storage=storage).set_metric_names(list(objectives))
        _check_same(name, study.attributes().get("experiment"), fixed)
        return study

    @classmethod
    def open(cls, storage: BaseStorage, name: str) -> Study:
        """Opens an existing study for reading. ValueError lists the studies there are."""
        names = [study.study_name for study in storage.get_all_studies()]
        if name not in names:
            raise ValueError(f"no study {name!r} here; there are: {', '.join(names) or 'none'}")
        attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(name))
        if "experiment" not in attributes:
            raise ValueError(f"study {name!r} was not made by this program: it has no attribute 'experiment'")
        return cls(storage, name, tuple(attributes["experiment"]["objectives"]))

    def attributes(self) -> dict[str, Any]:
        return self.storage.get_study_user_attrs(self.id)

    def set_attribute(self, key: str, value: Any) -> None:
        self.storage.set_study_user_attr(self.id, key, value)

    def describe(self, **attributes: Any) -> None:
        """Sets those of the study's attributes that differ."""
        known = self.attributes()
        for key, value in attributes.items():
            if known.get(key) != _plain(value):
                self.set_attribute(key, value)

    def take_over(self, lease: Lease) -> None:
        """Only the lease's holder can write from now on. A journal's lock is enough; a database is told who it is."""
        self._lease = lease
        if hasattr(self.storage, "fence"):
            self.storage.fence(self.id, lease.driver)

    def hold(self) -> None:
        """To be called often while the study is written. LeaseLostError where another driver has taken it over."""
        if self._lease is not None:
            self._lease.keep()

    @property
    def waited(self) -> float:
        """Seconds for which the storage was away, all in all."""
        return float(self.storage.patience.seconds) if hasattr(self.storage, "patience") else 0.0

    def grouped(self) -> AbstractContextManager[None]:
        """A block whose writes reach the disk together, at its end."""
        group: AbstractContextManager[None] = (
            self.storage.grouped() if hasattr(self.storage, "grouped") else nullcontext()
        )
        return group

    def record(
        self,
        candidate: Candidate,
        distributions: Mapping[str, BaseDistribution],
        marks: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Writes a new trial, RUNNING and queued, in one step; only then may it be launched. marks: more attributes."""
        return self.record_all([candidate], distributions, marks)[0]

    def record_all(
        self,
        candidates: Sequence[Candidate],
        distributions: Mapping[str, BaseDistribution],
        marks: Mapping[str, Any] | None = None,
    ) -> list[Trial]:
        """The same of several, in one step."""
        templates = [template(candidate, distributions, marks or {}) for candidate in candidates]
        made = self._create(templates) if templates else []
        self._ids |= {number: trial_id for trial_id, number in made}
        return [
            Trial(number=number, candidate=candidate) for candidate, (_, number) in zip(candidates, made, strict=True)
        ]

    def _create(self, templates: list[FrozenTrial]) -> list[tuple[int, int]]:
        """The id and the number of each."""
        if hasattr(self.storage, "create_trials"):
            made: list[tuple[int, int]] = self.storage.create_trials(self.id, templates)
            return made
        ids = [self.storage.create_new_trial(self.id, template_trial=template) for template in templates]
        return [(trial_id, self.storage.get_trial_number_from_id(trial_id)) for trial_id in ids]

    def keep(self, trial: Trial, report: EpochReport | None) -> None:
        """Writes an epoch of a running trial, or where it stands."""
        trial_id = self._ids[trial.number]
        if report is not None:
            self._keep_epoch(trial, report)
            return
        self.storage.set_trial_user_attr(trial_id, "phase", trial.phase)
        self.storage.set_trial_user_attr(trial_id, "progress", progress(trial))

    def tell(self, trial: Trial) -> None:
        """Writes all that is known of an ended trial, then its state; afterwards nothing can change it."""
        trial_id = self._ids[trial.number]
        for report in trial.curve:  # also those that were checkpointed, but whose report an interruption swallowed
            self._keep_epoch(trial, report)
        self.storage.set_trial_user_attr(trial_id, "progress", progress(trial))
        self.storage.set_trial_user_attr(trial_id, "epochs", [epoch_json(report) for report in trial.curve])
        if trial.metrics is not None:
            metrics = {
                name: value for name, value in asdict(trial.metrics).items() if name not in ("curve", "key", "measured")
            }
            self.storage.set_trial_user_attr(trial_id, "metrics", metrics)
        if trial.failure is not None:
            self.storage.set_trial_user_attr(trial_id, "failure", asdict(trial.failure))
        self.storage.set_trial_user_attr(trial_id, "phase", trial.phase)
        values = [objective(trial, name) for name in self.objectives] if trial.phase == "complete" else None
        self.storage.set_trial_state_values(trial_id, TOLD[trial.phase], values)
        self._kept.pop(trial.number, None)

    def _keep_epoch(self, trial: Trial, report: EpochReport) -> None:
        kept = self._kept.setdefault(trial.number, set())
        if report.epoch not in kept and math.isfinite(report.accuracy):
            self.storage.set_trial_intermediate_value(self._ids[trial.number], report.epoch, report.accuracy)
            kept.add(report.epoch)

    def marks(self) -> dict[int, dict[str, Any]]:
        """The attributes of every trial, by its number."""
        return {frozen.number: frozen.user_attrs for frozen in self.storage.get_all_trials(self.id, deepcopy=False)}

    def load(self, catalogue: Catalogue, kind: str | None = None, skip: Container[int] = ()) -> list[Trial]:
        """Every trial that this program wrote, as it stood; `catalogue` learns what was seen.

        kind: a search's have none. skip: numbers of those that need not be read again.
        """
        trials = []
        for frozen in self.storage.get_all_trials(self.id, deepcopy=False):
            if frozen.number in skip:
                continue
            if "plan_key" in frozen.user_attrs and frozen.user_attrs.get("kind") == kind:
                self._ids[frozen.number] = frozen._trial_id
                if not frozen.state.is_finished():
                    self._kept[frozen.number] = set(frozen.intermediate_values)
                trials.append(thaw(frozen, catalogue))
                catalogue.seen.add(frozen.user_attrs["plan_key"])
        return trials


def _quietly_create(storage: BaseStorage, name: str, directions: list[StudyDirection]) -> None:
    if name not in (study.study_name for study in storage.get_all_studies()):
        storage.create_new_study(directions, name)


def _check_same(name: str, kept: dict[str, Any] | None, fixed: dict[str, Any]) -> None:
    if kept is None:
        raise ValueError(f"study {name!r} was not made by this program: it has no attribute 'experiment'")
    different = [key for key in fixed if _plain(kept.get(key)) != _plain(fixed[key])]
    if different:
        changes = "; ".join(f"{key}: {kept.get(key)!r} in the study, {fixed[key]!r} now" for key in different)
        raise ValueError(
            f"study {name!r} was made by another experiment, so its results cannot be compared ({changes}). "
            "Restore these keys, or give the experiment another `name`"
        )


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples as lists, keys as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def created_at(storage: BaseStorage, study_id: int) -> float:
    """When the study's first trial was written (now where it has none), in seconds since the epoch."""
    times = [trial.datetime_start for trial in storage.get_all_trials(study_id, deepcopy=False) if trial.datetime_start]
    return min(times).timestamp() if times else datetime.now(UTC).timestamp()
