"""Opening a search: what can be wrong is found here, before a worker starts and before anything is written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.candidates import Catalogue, budget_of
from orchestrator.decisions import CostName
from orchestrator.experiment import Experiment
from orchestrator.lease import Lease
from orchestrator.promotion import Promotion, default_rungs, make_promotion
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.source import FeasibleSource
from orchestrator.storage_address import JOURNAL, check_storage
from orchestrator.study import JOURNAL_NAME, Study, claim, open_storage, reachable
from orchestrator.tracking.address import redact, tracking_uri
from orchestrator.trials import Trial
from search_spaces.feasible import FeasibleSet
from search_spaces.networks import Task
from workers.data.facts import DataFacts, describe
from workers.measured import LATENCY
from workers.places import absolute

Say = Callable[[str], None]
LAST_RUN = "last_run"  # the study's attribute that says where its data and machines were: defaults of what comes later


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An experiment that was checked against its data, its space and its budget; nothing is written yet."""

    experiment: Experiment
    data: DataFacts
    catalogue: Catalogue
    feasible: FeasibleSet
    promotion: Promotion
    reference_point: tuple[float, ...]  # minimised: (error, costs in the order of the objectives)
    warm: tuple[Observation, ...] = ()  # of the studies of `warm_start`


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSearch:
    """A study that this process owns, with its trials so far."""

    prepared: Prepared
    study: Study
    lease: Lease
    trials: list[Trial]


def prepare(experiment: Experiment) -> Prepared:
    """Checks the experiment as far as this machine can. ValueError says what is wrong and what to do."""
    data = describe(experiment.data.spec())
    task = Task(image_size=data.image_size, channels=data.channels, classes=len(data.classes))
    budget = budget_of(experiment.budget)
    space = experiment.space(task)
    feasible = FeasibleSet(space, budget)
    feasible.check_not_empty()
    catalogue = Catalogue(space=space, budget=budget)
    for name in experiment.references:
        catalogue.reference(name)
    catalogue.seen.clear()
    _check_sampler(experiment)
    tracking_uri(experiment.tracking, experiment.folder)
    check_storage(experiment.storage)
    reference_point = (
        experiment.reference_error,
        *(_cost_bound(name, experiment, feasible) for name in cost_names(experiment)),
    )
    return Prepared(
        experiment=experiment,
        data=data,
        catalogue=catalogue,
        feasible=feasible,
        promotion=_promotion(experiment, feasible, reference_point),
        reference_point=reference_point,
        warm=_earlier(experiment, catalogue),
    )


def open_search(prepared: Prepared, say: Say) -> OpenSearch:
    """Takes the study's lease, mends its journal, and opens or makes the study. ValueError where another owns it."""
    experiment = prepared.experiment
    where = storage_of(experiment)
    _check_writable(experiment.folder)
    lease = claim(where, experiment.name)
    try:
        storage = open_storage(where, say)
        with reachable(where):
            study = Study.open_or_create(storage, experiment.name, experiment.fixed())
            study.take_over(lease)
            study.set_attribute(LAST_RUN, last_run(experiment))
            trials = study.load(prepared.catalogue)
    except BaseException:
        lease.release()
        raise
    return OpenSearch(prepared=prepared, study=study, lease=lease, trials=trials)


def last_run(experiment: Experiment) -> dict[str, Any]:
    """What may change from run to run and is of use afterwards: where the images lie, and the workers. No secrets."""
    return {
        "path": experiment.data.spec().path,
        "download": experiment.data.download,
        "resources": experiment.resources.model_dump(mode="json"),
        "checkpoints": absolute(experiment.checkpoints) if experiment.checkpoints else None,
        "tracking": experiment.tracking if redact(experiment.tracking) == experiment.tracking else None,
    }


def storage_of(experiment: Experiment) -> str:
    """The journal's path, or the database's URL."""
    where = check_storage(experiment.storage)
    return str(experiment.folder / JOURNAL_NAME) if where == JOURNAL else where


def cost_names(experiment: Experiment) -> tuple[CostName, ...]:
    """The objectives beside accuracy."""
    return tuple(name for name in experiment.objectives if name != "accuracy")


def _promotion(experiment: Experiment, feasible: FeasibleSet, reference_point: tuple[float, ...]) -> Promotion:
    epochs = experiment.recipe().epochs
    stopping = experiment.early_stopping
    if stopping is None:
        return Promotion((), 3.0, epochs)
    rungs = stopping.rungs or default_rungs(stopping.first, stopping.eta, epochs)
    return make_promotion(rungs, stopping.eta, epochs, stopping.by, reference_point, FeasibleSource(feasible))


def _cost_bound(name: CostName, experiment: Experiment, feasible: FeasibleSet) -> float:
    """The hypervolume's reference in one cost: its budget, or the dearest member's cost; NaN: the dearest observed."""
    if name == LATENCY and experiment.reference_latency_ms is not None:
        return experiment.reference_latency_ms
    if name != "macs" and name != "params":
        return math.nan
    limit = {"macs": experiment.budget.macs, "params": experiment.budget.max_params}.get(name)
    return float(limit if limit is not None else feasible.cost_range(name)[1])


def _earlier(experiment: Experiment, catalogue: Catalogue) -> tuple[Observation, ...]:
    if not experiment.warm_start:
        return ()
    from orchestrator.sampler.warm import earlier_trainings

    return tuple(earlier_trainings(experiment.warm_start, catalogue.space))


def _check_sampler(experiment: Experiment) -> None:
    from orchestrator.sampler.named import check_sampler

    check_sampler(experiment.sampler)


def _check_writable(folder: Path) -> None:
    """ValueError where the study's folder cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"output: {folder} cannot be made ({error.strerror}); set `output` to a folder of yours"
        ) from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"output: {folder} is not writable; set `output` to a folder of yours")
