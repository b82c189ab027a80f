"""Putting a search together: data, study, pool, proposer, table, tracker and display, and taking it apart again."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from dashboards.report import write_report
from dashboards.table import StudyFacts, TrialRow
from orchestrator.candidates import Catalogue
from orchestrator.checkpoints import Checkpoints
from orchestrator.decisions import Decisions, Limits
from orchestrator.evaluation.measurements import kept_measurements
from orchestrator.experiment import Experiment, Resources
from orchestrator.opening import OpenSearch, Say, cost_names, open_search, prepare, storage_of
from orchestrator.packing import Packing
from orchestrator.pools.inline import InlinePool
from orchestrator.pools.protocol import Pool
from orchestrator.pools.runner import ATTEMPT, TRAIN
from orchestrator.progress import Display, Progress, make_display
from orchestrator.projection import RowMaker, TableWriter, known_data, study_facts
from orchestrator.proposing import Proposing
from orchestrator.reading import describe_study
from orchestrator.sampler.named import make_proposer
from orchestrator.sampler.space import distributions
from orchestrator.search import OneRecipe, Search, Sink
from orchestrator.storage_address import is_database
from orchestrator.study import created_at
from orchestrator.tracking.address import redact, tracking_uri
from orchestrator.tracking.open import open_tracker
from orchestrator.trials import ENDED
from orchestrator.weights import FrontWeights
from search_spaces.plan import Input, Node, Plan
from workers.allocator import worker_environment
from workers.memory import GIB, training_memory
from workers.places import Place, absolute, place
from workers.records import TrainRequest

EMPTY = Plan(
    (Node(operation=Input(shape=(1, 1, 1)), inputs=(), shape=(1, 1, 1), place="input"),)
)  # replaced in every request
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHORTEST_GRACE, LONGEST_GRACE = 10.0, 60.0  # seconds that a training over its time limit has to say so itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A search that ran, or had nothing left to do."""

    reason: str  # done | exhausted | wall clock | interrupted
    folder: Path
    rows: list[TrialRow]
    facts: StudyFacts
    report: Path
    study: str  # its journal's path, or its place in a database, without the password
    tracking: str | None
    proposal_seconds: float  # that the sampler took, on a thread of its own


def run_search(experiment: Experiment, runner: str = ATTEMPT) -> Ended:
    """Runs or resumes the experiment's search to its end. ValueError, before anything starts, where it cannot run.

    runner: `module:function` of what a worker does with a request.
    """
    prepared = prepare(experiment)
    progress = Progress(experiment.objectives, experiment.trials, time.time)
    with make_display(progress, f"igcv search {experiment.name}") as display:
        opened = open_search(prepared, display.say)
        try:
            return _run(opened, runner, progress, display)
        finally:
            opened.lease.release()


def _run(opened: OpenSearch, runner: str, progress: Progress, display: Display) -> Ended:
    experiment = opened.prepared.experiment
    tracking = tracking_uri(experiment.tracking, experiment.folder)
    where = storage_of(experiment)
    facts = _facts(opened, tracking)
    describe_study(opened.study, facts, opened.prepared.data)
    rows = RowMaker(
        experiment=experiment,
        catalogue=opened.prepared.catalogue,
        recipe=facts.recipe,
        known_data=known_data(opened.prepared.data),
        measured=kept_measurements(opened.study.storage, experiment.name),
    )
    table = TableWriter(experiment.folder, facts, time.time)
    tracker = open_tracker(tracking, facts, display.say)
    sinks: tuple[Sink[TrialRow], ...] = (display, table, tracker)
    if _is_finished(opened):  # a driver that died at its end may have kept the last from its table and from MLflow
        reason, proposal_seconds = "finished", 0.0
        ended_rows = [rows.row(trial) for trial in opened.trials]
        for sink in sinks:
            sink.update(ended_rows)
        _sweep(opened, display.say)
    else:
        reason, proposal_seconds = _search(opened, runner, rows, sinks, display)
    display.say("writing the table and the report")
    path = table.close()
    report = _report(experiment, progress, facts)
    tracker.close(report, path)
    ended = sorted(progress.rows.values(), key=lambda row: row.number)
    return Ended(
        reason=reason,
        folder=experiment.folder,
        rows=ended,
        facts=facts,
        report=report,
        study=f"{redact(where)}#{experiment.name}" if is_database(where) else where,
        tracking=tracking,
        proposal_seconds=proposal_seconds,
    )


def _report(experiment: Experiment, progress: Progress, facts: StudyFacts) -> Path:
    report = experiment.folder / "report.html"
    rows = sorted(progress.rows.values(), key=lambda row: row.number)
    write_report(
        report, rows, replace(facts, updated_at=max((row.ended_at or 0.0 for row in rows), default=time.time()))
    )
    return report


def _search(
    opened: OpenSearch, runner: str, rows: RowMaker, sinks: tuple[Sink[TrialRow], ...], display: Display
) -> tuple[str, float]:
    """Why it ended, and the seconds that the sampler took."""
    prepared = opened.prepared
    experiment = prepared.experiment
    proposing = Proposing(
        opened.study,
        prepared.catalogue,
        make_proposer(
            experiment.sampler, prepared.feasible, cost_names(experiment), prepared.reference_point, experiment.seed
        ),
        distributions(prepared.catalogue.space),
        prepared.warm,
        experiment.references,
        experiment.measured,
    )
    training = one_recipe(experiment)
    with ExitStack() as stack:
        display.say(_starting(experiment))
        most = experiment.trials and experiment.trials + len(experiment.references)
        pool = make_pool(experiment.resources, runner, most, display.say)
        stack.callback(pool.close)
        search = Search(
            opened.study,
            opened.trials,
            prepared.catalogue,
            _decisions(opened),
            pool,
            proposing,
            rows,
            training,
            sinks,
            _checkpoints(opened, training, display.say),
        )
        stack.enter_context(interruptible(search, display.say))
        return search.run(), proposing.seconds


def _sweep(opened: OpenSearch, say: Say) -> None:
    """What a driver left that died at its end goes; where it cannot be reached, the finished search is shown all the same."""
    try:
        _checkpoints(opened, one_recipe(opened.prepared.experiment), say).sweep(opened.trials)
    except (OSError, ValueError) as error:
        say(f"checkpoints that are left, if any, stay where they are ({error})")


def _checkpoints(opened: OpenSearch, training: OneRecipe, say: Say) -> Checkpoints:
    experiment = opened.prepared.experiment
    keeper = FrontWeights(experiment.folder, cost_names(experiment), opened.trials)
    return Checkpoints(training.place, training.checkpoint, say, keeper)


def _decisions(opened: OpenSearch) -> Decisions:
    experiment = opened.prepared.experiment
    limits = Limits(
        trials=experiment.trials,
        deadline=time.time() + experiment.wall_clock if experiment.wall_clock else None,
        time_limit=experiment.training.time_limit,
        grace=min(LONGEST_GRACE, max(SHORTEST_GRACE, experiment.training.time_limit or 0.0)),
        max_losses=experiment.resources.max_losses,
    )
    data = opened.prepared.data
    packing = make_packing(experiment, opened.prepared.catalogue, data.train + data.validation)
    return Decisions(limits, opened.prepared.promotion, cost_names(experiment), packing)


def make_packing(experiment: Experiment, catalogue: Catalogue, images: int) -> Packing:
    """Estimates under the experiment's recipe, with so many images on the device."""
    recipe, gpu = experiment.recipe(), experiment.resources.gpus_per_worker > 0
    return Packing(lambda candidate: training_memory(catalogue.plan(candidate), recipe, gpu=gpu, images=images))


def one_recipe(experiment: Experiment) -> OneRecipe:
    """What the search's workers are asked for. ValueError where checkpoints cannot be kept at their place."""
    resources = experiment.resources
    checkpoints = checkpoints_place(experiment)
    try:
        checkpoints.prepare()
    except OSError as error:
        raise ValueError(f"checkpoints: {error}") from error
    template = TrainRequest(
        key="",
        plan=EMPTY,
        data=experiment.data.spec(),
        recipe=experiment.recipe(),
        seed=experiment.seed,
        time_limit_seconds=experiment.training.time_limit,
        device="auto" if resources.gpus_per_worker else "cpu",
        threads=max(1, int(resources.cpus_per_worker)),
        measure=experiment.measure.spec() if experiment.measured else None,
    )
    return OneRecipe(template=template, place=checkpoints)


def checkpoints_place(experiment: Experiment) -> Place:
    """Where the search's checkpoints lie, as every machine knows it: beside the study, or below `checkpoints`."""
    if experiment.checkpoints is None:
        return place(absolute(str(experiment.folder / "checkpoints")))
    return place(absolute(experiment.checkpoints)).within(experiment.name)


def make_pool(resources: Resources, runner: str = TRAIN, most: int | None = None, say: Say = lambda line: None) -> Pool:
    """The pool that the resources describe, of at most `most` workers. Ray is started, or connected to."""
    memory = round(resources.memory_per_worker * GIB) if resources.memory_per_worker else None
    if resources.pool == "inline":
        return InlinePool(runner, memory)
    from orchestrator.pools.ray import RayPool, WorkerNeeds

    needs = WorkerNeeds(
        cpus=resources.cpus_per_worker,
        gpus=resources.gpus_per_worker,
        memory=memory,
        labels=resources.labels,
        environment=worker_environment(max(1, int(resources.cpus_per_worker))),
    )
    return RayPool(resources.workers, needs, resources.address, runner, most, say)


def _facts(opened: OpenSearch, tracking: str | None) -> StudyFacts:
    prepared = opened.prepared
    began = created_at(opened.study.storage, opened.study.id)
    return study_facts(
        prepared.experiment, prepared.data, prepared.promotion.epochs, prepared.reference_point, tracking, began
    )


def _is_finished(opened: OpenSearch) -> bool:
    """Whether every trial and every reference that is asked for has ended."""
    experiment = opened.prepared.experiment
    names = {trial.candidate.name for trial in opened.trials if trial.candidate.source == "reference"}
    searched = sum(trial.candidate.source == "search" for trial in opened.trials)
    return (
        experiment.trials is not None
        and searched >= experiment.trials
        and names >= set(experiment.references)
        and all(trial.phase in ENDED for trial in opened.trials)
    )


def _starting(experiment: Experiment) -> str:
    resources = experiment.resources
    if resources.pool == "inline":
        return "training in this process"
    return f"starting Ray ({resources.address or 'on this machine'}, {resources.workers or 'as many as fit'} workers)"


@contextmanager
def interruptible(search: Search[Any], say: Say) -> Iterator[None]:
    """The first ctrl-C or SIGTERM ends the search between two events, the second at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        for signal_number in SIGNALS:
            signal.signal(signal_number, signal.SIG_DFL)
        say("stopping; what is trained so far is kept (once more to leave at once)")
        search.interrupt("interrupted")

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
