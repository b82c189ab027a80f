"""The study in Optuna: the one truth of a search. The only file of the search that imports optuna.

A trial is written once, RUNNING, before it is launched; while it runs its `progress` and its curve are kept; before it
is told, everything else is written, for a told trial is immutable. One that ended early is told PRUNED without values.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.candidates import Catalogue
from orchestrator.journal import GroupingBackend, check_free_space, mend_journal, remove_dead_lock
from orchestrator.lease import FileLease, Lease, PostgresLease
from orchestrator.trials import ENDED, Candidate, Phase, Source, Stint, Trial
from search_spaces.cost import Cost
from search_spaces.networks import Value
from workers.records import EpochReport, Failure, Metrics

DIRECTIONS = {"accuracy": StudyDirection.MAXIMIZE}  # every other objective is minimised
TOLD = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
PHASES: dict[TrialState, Phase] = {state: phase for phase, state in TOLD.items()}  # type: ignore[misc]
JOURNAL_NAME = "study.journal"


def open_storage(where: str, say: Callable[[str], None] | None = None) -> BaseStorage:
    """The storage at a journal's path or a database URL. Only a lease's holder may pass `say` and so mend a journal."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if "://" in where:
        return RDBStorage(where, engine_kwargs={"pool_pre_ping": True})
    journal = Path(where)
    if say is not None:
        for message in mend_journal(journal) + remove_dead_lock(journal):
            say(message)
    return JournalStorage(GroupingBackend(where))


def claim(where: str, study: str) -> Lease:
    """The study's lease. ValueError where another driver holds it."""
    if "://" in where:
        return PostgresLease(where, study)
    folder = Path(where).parent
    folder.mkdir(parents=True, exist_ok=True)
    check_free_space(folder)
    return FileLease(Path(where + ".lease"))


class Study:
    """One study, opened by the driver that holds its lease, or by a reader."""

    def __init__(self, storage: BaseStorage, name: str, objectives: tuple[str, ...]) -> None:
        self.storage = storage
        self.name = name
        self.objectives = objectives
        self.id = storage.get_study_id_from_name(name)
        self._ids: dict[int, int] = {}  # trial number -> Optuna's trial id
        self._kept: dict[int, set[int]] = {}  # trial number -> epochs of its curve that are written

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

    def grouped(self) -> AbstractContextManager[None]:
        """A block whose writes reach a journal's disk together, at its end. A database commits each by itself."""
        backend = self.storage._backend if isinstance(self.storage, JournalStorage) else None
        return backend.grouped() if isinstance(backend, GroupingBackend) else nullcontext()

    def record(self, candidate: Candidate, distributions: dict[str, BaseDistribution]) -> Trial:
        """Writes a new trial, RUNNING and queued, in one step; only then may it be launched."""
        parameters = _parameters(candidate)
        template = create_trial(
            state=TrialState.RUNNING,
            params=parameters,
            distributions={name: distributions[name] for name in parameters},
            user_attrs={
                "name": candidate.name,
                "source": candidate.source,
                "family": candidate.family,
                "plan_key": candidate.plan_key,
                "cost": asdict(candidate.cost),
                "macs": candidate.cost.macs,
                "params": candidate.cost.params,
                "phase": "queued",
            },
        )
        trial_id = self.storage.create_new_trial(self.id, template_trial=template)
        number = self.storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return Trial(number=number, candidate=candidate)

    def keep(self, trial: Trial, report: EpochReport | None) -> None:
        """Writes an epoch of a running trial, or where it stands."""
        trial_id = self._ids[trial.number]
        if report is not None:
            self._keep_epoch(trial, report)
            return
        self.storage.set_trial_user_attr(trial_id, "phase", trial.phase)
        self.storage.set_trial_user_attr(trial_id, "progress", _progress(trial))

    def tell(self, trial: Trial) -> None:
        """Writes all that is known of an ended trial, then its state; afterwards nothing can change it."""
        trial_id = self._ids[trial.number]
        for report in trial.curve:  # also those that were checkpointed, but whose report an interruption swallowed
            self._keep_epoch(trial, report)
        self.storage.set_trial_user_attr(trial_id, "progress", _progress(trial))
        self.storage.set_trial_user_attr(trial_id, "epochs", [_epoch_json(report) for report in trial.curve])
        if trial.metrics is not None:
            metrics = {name: value for name, value in asdict(trial.metrics).items() if name not in ("curve", "key")}
            self.storage.set_trial_user_attr(trial_id, "metrics", metrics)
        if trial.failure is not None:
            self.storage.set_trial_user_attr(trial_id, "failure", asdict(trial.failure))
        self.storage.set_trial_user_attr(trial_id, "phase", trial.phase)
        values = [_objective(trial, name) for name in self.objectives] if trial.phase == "complete" else None
        self.storage.set_trial_state_values(trial_id, TOLD[trial.phase], values)
        self._kept.pop(trial.number, None)

    def _keep_epoch(self, trial: Trial, report: EpochReport) -> None:
        kept = self._kept.setdefault(trial.number, set())
        if report.epoch not in kept:
            self.storage.set_trial_intermediate_value(self._ids[trial.number], report.epoch, report.accuracy)
            kept.add(report.epoch)

    def load(self, catalogue: Catalogue) -> list[Trial]:
        """Every trial that this program wrote, as it stood; `catalogue` learns what was seen."""
        trials = []
        for frozen in self.storage.get_all_trials(self.id, deepcopy=False):
            if "plan_key" in frozen.user_attrs:
                self._ids[frozen.number] = frozen._trial_id
                if not frozen.state.is_finished():
                    self._kept[frozen.number] = set(frozen.intermediate_values)
                trials.append(_thaw(frozen, catalogue))
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


def _parameters(candidate: Candidate) -> dict[str, Value]:
    if candidate.architecture is None:
        return {}
    return {"family": candidate.family, **candidate.architecture.parameters}


def _objective(trial: Trial, name: str) -> float:
    accuracy = trial.accuracy
    assert accuracy is not None
    assert math.isfinite(accuracy)
    return accuracy if name == "accuracy" else float(getattr(trial.candidate.cost, name))


def _progress(trial: Trial) -> dict[str, Any]:
    return {
        "attempts": trial.attempts,
        "losses": trial.losses,
        "rung": trial.rung,
        "stints": [asdict(stint) for stint in trial.stints],
    }


def _epoch_json(report: EpochReport) -> dict[str, Any]:
    return {name: value for name, value in asdict(report).items() if name != "key"}


def _thaw(frozen: FrozenTrial, catalogue: Catalogue) -> Trial:
    attributes = frozen.user_attrs
    progress = attributes.get("progress", {})
    metrics, failure = attributes.get("metrics"), attributes.get("failure")
    key = str(frozen.number)
    curve = _curve(frozen)
    return Trial(
        number=frozen.number,
        candidate=_candidate(frozen, catalogue),
        phase=_phase(frozen),
        curve=curve,
        attempts=progress.get("attempts", 0),
        losses=progress.get("losses", 0),
        rung=progress.get("rung", 0),
        metrics=Metrics(**{**metrics, "key": key, "forms": tuple(metrics["forms"])}) if metrics else None,
        failure=Failure(**failure) if failure else None,
        stints=[Stint(**stint) for stint in progress.get("stints", ())],
    )


def _phase(frozen: FrozenTrial) -> Phase:
    """A power cut may fall between a trial's last phase and its state: then it has not ended, and goes on from its
    checkpoint, which is only removed once the state is on the disk."""
    if frozen.state in PHASES:
        return PHASES[frozen.state]
    phase: Phase = frozen.user_attrs["phase"]
    if phase == "pruned":
        return "paused"
    return "lost" if phase in ENDED else phase


def _candidate(frozen: FrozenTrial, catalogue: Catalogue) -> Candidate:
    attributes = frozen.user_attrs
    source: Source = attributes["source"]
    family: str = attributes["family"]
    return Candidate(
        name=attributes["name"],
        source=source,
        family=family,
        architecture=None if source == "reference" else catalogue.space.from_parameters(family, frozen.params),
        plan_key=attributes["plan_key"],
        cost=Cost(**attributes["cost"]),
    )


def _curve(frozen: FrozenTrial) -> list[EpochReport]:
    """The kept epochs; those of a trial that still runs have an accuracy only."""
    key = str(frozen.number)
    kept = [EpochReport(key=key, **row) for row in frozen.user_attrs.get("epochs", ())]
    known = {report.epoch for report in kept}
    rest = [
        EpochReport(key=key, epoch=epoch, accuracy=value, train_loss=math.nan, learning_rate=math.nan, seconds=0.0)
        for epoch, value in sorted(frozen.intermediate_values.items())
        if epoch not in known
    ]
    return kept + rest


def created_at(storage: BaseStorage, study_id: int) -> float:
    """When the study's first trial was written (now where it has none), in seconds since the epoch."""
    times = [trial.datetime_start for trial in storage.get_all_trials(study_id, deepcopy=False) if trial.datetime_start]
    return min(times).timestamp() if times else datetime.now(UTC).timestamp()
