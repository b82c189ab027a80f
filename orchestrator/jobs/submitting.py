"""Submitting a search: checked first, and named by its experiment, so that submitting it again never doubles it."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.experiment import Experiment, load_experiment
from orchestrator.storage_address import JOURNAL
from orchestrator.tracking.address import redact
from workers.places import is_bucket

FILE = "experiment.yaml"
PROGRAM = "from orchestrator.cli.main import main; main()"
SECONDS_BETWEEN_LOOKS = 0.3
MOST_RACES = 5  # submissions that came in between ours and the look at the list before it
_FROM_VARIABLE = re.compile(r"[:=]\$\{\w+\}")  # a password or token that is named, not given


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the cluster knows it. Times are seconds since the epoch."""

    id: str
    status: str  # pending | running | succeeded | failed | stopped
    ended: bool
    message: str
    started_at: float | None
    ended_at: float | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What is sent. `folder` becomes the driver's working directory; `modules` are importable beside it."""

    entrypoint: str
    folder: Path
    modules: tuple[Path, ...]
    metadata: Mapping[str, str]
    cpus: float = 0
    memory_bytes: int = 0
    labels: Mapping[str, str]


class Jobs(Protocol):
    def jobs(self) -> list[Job]: ...
    def submit(self, job_id: str, request: JobRequest) -> bool: ...
    def logs(self, job_id: str) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """`attached`: it ran already, and nothing was sent."""

    id: str
    attached: bool


def read_submission(file: str, overrides: tuple[str, ...]) -> Experiment:
    """The experiment, checked as far as can be from here. ValueError where it would fail, or leak, on the cluster."""
    experiment = load_experiment(file, overrides)
    _refuse_secrets(Path(file).read_text(), file)
    for override in overrides:
        _refuse_secrets(override, "a KEY=VALUE")
    _check_paths(experiment)
    if experiment.resources.pool != "ray":
        raise ValueError(f"resources.pool {experiment.resources.pool}: a cluster trains on Ray's workers; leave it out")
    _check_here(experiment)
    return experiment


def make_request(
    file: str,
    overrides: tuple[str, ...],
    experiment: Experiment,
    modules: tuple[Path, ...],
    folder: Path,
    command: tuple[str, ...] = ("search",),
) -> JobRequest:
    """Lays the file out in `folder`, an empty one, and says what is run on it."""
    shutil.copyfile(file, folder / FILE)
    address = () if experiment.resources.address else ("resources.address=auto",)
    return JobRequest(
        entrypoint=shlex.join(["python", "-c", PROGRAM, *command, FILE, *overrides, *address]),
        folder=folder,
        modules=modules,
        metadata={"experiment": experiment.name, "digest": experiment.digest(), "study": _study(experiment)},
        labels={},
    )


def submit(client: Jobs, experiment: Experiment, request: JobRequest) -> Submitted:
    """Starts the search, or attaches to the one that runs. ValueError where that one keeps another study."""
    base = base_name(experiment)
    for _ in range(MOST_RACES):
        last = newest(client.jobs(), base)
        if last is not None and not last.ended:
            _check_same_study(last, request)
            return Submitted(id=last.id, attached=True)
        job_id = base if last is None else f"{base}-{attempt(last.id, base) + 1}"
        if client.submit(job_id, request):
            return Submitted(id=job_id, attached=False)
    raise ValueError(f"{base}: other submissions of it came in between {MOST_RACES} times; look at `igcv jobs list`")


def run_once(client: Jobs, experiment: Experiment, request: JobRequest) -> str:
    """Runs a job of a name of its own to its end, and returns what it said."""
    job_id = f"igcv-check-{experiment.name}-{secrets.token_hex(4)}"
    client.submit(job_id, request)
    while not find(client.jobs(), job_id).ended:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return client.logs(job_id)


def base_name(experiment: Experiment) -> str:
    """What all jobs of an experiment are called, its attempts aside."""
    return f"igcv-{experiment.name}-{experiment.digest()}"


def newest(jobs: list[Job], base: str) -> Job | None:
    """The last attempt among the jobs."""
    return max((job for job in jobs if attempt(job.id, base)), key=lambda job: attempt(job.id, base), default=None)


def attempt(job_id: str, base: str) -> int:
    """Which attempt a job is, from 1 on; 0: it is another experiment's."""
    if job_id == base:
        return 1
    tail = job_id.removeprefix(base + "-")
    return int(tail) if job_id.startswith(base + "-") and tail.isdecimal() else 0


def find(jobs: list[Job], named: str) -> Job:
    """The job of that id, or the newest of the experiment of that name. ValueError lists what there is."""
    found = [job for job in jobs if job.id == named] or [job for job in jobs if job.metadata.get("experiment") == named]
    if not found:
        there = ", ".join(job.id for job in jobs) or "none"
        raise ValueError(f"no job {named!r} on this cluster, nor one of an experiment of that name; there are: {there}")
    return found[-1]


def _study(experiment: Experiment) -> str:
    """Where the study is kept, without secrets."""
    if experiment.storage == JOURNAL:
        return str(experiment.folder)
    return f"{redact(experiment.storage)}#{experiment.name}"


def _check_same_study(running: Job, request: JobRequest) -> None:
    there, here = running.metadata.get("study"), request.metadata["study"]
    if there != here:
        raise ValueError(
            f"{running.id} runs this very experiment with its study in {there}, this one names {here}; give it another "
            f"`name`, or stop the other one: igcv jobs stop {running.id}"
        )


def _refuse_secrets(text: str, place: str) -> None:
    """What is submitted stands in the cluster's dashboard for all to read who reach it."""
    for number, line in enumerate(text.splitlines(), 1):
        given = _FROM_VARIABLE.sub("", line)
        if redact(given) != given:
            raise ValueError(
                f"{place}, line {number}: a password or token stands in it ({redact(line).strip()}), and a cluster shows its "
                "jobs to everyone who reaches it. Name a variable instead, such as storage: env:IGCV_STORAGE, and set it "
                "where the cluster's nodes are started; or leave the password out and set PGPASSWORD or "
                "MLFLOW_TRACKING_PASSWORD there"
            )


def _check_paths(experiment: Experiment) -> None:
    """The driver's working directory is a temporary folder of the cluster."""
    paths = {"output": experiment.output, "data.path": experiment.data.path, "checkpoints": experiment.checkpoints}
    for key, path in paths.items():
        if path is not None and not is_bucket(path) and not Path(path).is_absolute():
            raise ValueError(
                f"{key}: {path} is relative, and on a cluster it would lie in a temporary folder; give a folder that the "
                f"cluster's nodes have: {key}=/srv/igcv/{Path(path).name}"
            )


def _check_here(experiment: Experiment) -> None:
    """Space, budget and recipe, wherever the images can be read from here too; the study's places are the cluster's."""
    from orchestrator.opening import prepare

    path = experiment.data.path
    if path is None or (not is_bucket(path) and Path(path).exists()):
        prepare(experiment.model_copy(update={"storage": JOURNAL, "warm_start": ()}))
