"""A study's rows and facts from its storage alone, for a machine that has nothing else of it."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna

from dashboards.parts import append_part
from dashboards.table import StudyFacts, TrialRow, facts_from_json
from orchestrator.candidates import Catalogue, budget_of
from orchestrator.evaluation.measurements import kept_measurements
from orchestrator.experiment import Experiment
from orchestrator.projection import RowMaker, known_data
from orchestrator.storage_address import is_database
from orchestrator.study import Study, open_storage, reachable
from orchestrator.tracking.address import redact
from orchestrator.trials import ENDED
from search_spaces.networks import Task
from workers.data.facts import DataFacts

FACTS, IMAGES = "facts", "images"  # the study's attributes that say what its table says of it, and of its images
SECONDS_BETWEEN_LOOKS = 2.0


def describe_study(study: Study, facts: StudyFacts, data: DataFacts) -> None:
    """Keeps in the study what a reader needs who has neither its folder nor its images."""
    study.describe(**{FACTS: asdict(facts), IMAGES: asdict(data)})


class StoredStudy:
    """A study that is read, and read again; a trial that ended is read once. Changes nothing."""

    def __init__(self, where: str, name: str) -> None:
        """ValueError where there is no such study, or the storage does not answer."""
        storage = open_storage(where)
        self._where = where
        with reachable(where):
            self._study = Study.open(optuna.storages.get_storage(storage) if is_database(where) else storage, name)
            attributes = self._study.attributes()
        if FACTS not in attributes or IMAGES not in attributes:
            raise ValueError(
                f"study {name!r} at {redact(where)} was never run by a version that describes it there; run its search "
                "once more, or read its folder runs/NAME"
            )
        data = DataFacts(**{**attributes[IMAGES], "classes": tuple(attributes[IMAGES]["classes"])})
        experiment = _experiment(name, attributes)
        task = Task(image_size=data.image_size, channels=data.channels, classes=len(data.classes))
        self._catalogue = Catalogue(space=experiment.space(task), budget=budget_of(experiment.budget))
        self._maker = RowMaker(
            experiment=experiment,
            catalogue=self._catalogue,
            recipe=str(attributes[FACTS]["recipe"]),
            known_data=known_data(data),
            measured=kept_measurements(self._study.storage, name),
        )
        self._rows: dict[int, TrialRow] = {}
        self._ended: set[int] = set()

    def changed(self) -> list[TrialRow]:
        """The rows that changed since the last call, in the order of their numbers."""
        with reachable(self._where):
            trials = self._study.load(self._catalogue, skip=self._ended)
        rows = [self._maker.row(trial) for trial in trials]
        changed = [row for row in rows if self._rows.get(row.number) != row]
        self._rows.update((row.number, row) for row in changed)
        self._ended.update(row.number for row in changed if row.state in ENDED)
        return changed

    def facts(self) -> StudyFacts:
        with reachable(self._where):
            kept = self._study.attributes()[FACTS]
        return replace(facts_from_json(json.dumps(kept)), updated_at=time.time())


def read_stored(where: str, name: str) -> tuple[list[TrialRow], StudyFacts]:
    """The whole study as it stands now."""
    stored = StoredStudy(where, name)
    return stored.changed(), stored.facts()


class Mirror:
    """A trial table in a temporary folder that follows a study in a database, until it is closed."""

    def __init__(self, where: str, name: str, say: Callable[[str], None]) -> None:
        self._stored = StoredStudy(where, name)
        self._say = say
        self._told = False
        self._closed = threading.Event()
        self.folder = Path(tempfile.mkdtemp(prefix="igcv-mirror-"))
        self._write(self._stored.changed())
        self._thread = threading.Thread(target=self._follow, name=f"mirror of {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        shutil.rmtree(self.folder)

    def _follow(self) -> None:
        while not self._closed.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self._write(self._stored.changed())
                self._told = False
            except ValueError as error:  # the storage is away: what was read stays
                if not self._told:
                    self._say(str(error))
                self._told = True

    def _write(self, rows: Iterable[TrialRow]) -> None:
        if rows := list(rows):
            append_part(self.folder, rows, self._stored.facts())


def _experiment(name: str, attributes: dict[str, Any]) -> Experiment:
    """What was fixed; the images may lie elsewhere, or nowhere."""
    fixed = attributes["experiment"]
    known = {key: value for key, value in fixed.items() if key in Experiment.model_fields}
    resources = attributes.get("last_run", {}).get("resources", {})
    content = {
        **known,
        "name": name,
        "data": {**fixed["data"], "path": "elsewhere"},
        "resources": resources,
        "trials": 1,
    }
    return Experiment.model_validate(content)
