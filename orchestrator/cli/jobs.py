"""`igcv submit` and `igcv jobs`: searches as jobs of a Ray cluster. Facts go to stdout, messages to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orchestrator.jobs.client import JobsClient
    from orchestrator.jobs.submitting import Job

DEFAULT = "http://127.0.0.1:8265"
ADDRESS = click.option(
    "--address",
    default=DEFAULT,
    envvar="RAY_API_SERVER_ADDRESS",
    show_default=True,
    help="The Jobs API of the cluster: the address of its head's dashboard.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on stdout.")


@click.command()
@click.argument("file")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
@ADDRESS
@click.option("--follow/--detach", default=True, help="Show its log until it ends (the default), or leave it alone.")
@click.option(
    "--wheel",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Send this wheel's program, not the one that runs here.",
)
@click.option("--image-has-it", is_flag=True, help="Send no program: the cluster's image holds it.")
@click.option("--entrypoint-cpus", type=click.FloatRange(0), default=0.0, help="CPUs that its driver reserves.")
@click.option(
    "--entrypoint-memory", type=click.IntRange(0), default=0, help="Bytes of memory that its driver reserves."
)
@click.option("--entrypoint-label", "labels", multiple=True, metavar="KEY=VALUE", help="Where its driver runs.")
@JSON
def submit(
    file: str,
    overrides: tuple[str, ...],
    address: str,
    follow: bool,
    wheel: Path | None,
    image_has_it: bool,
    entrypoint_cpus: float,
    entrypoint_memory: int,
    labels: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run or resume the search of an experiment FILE on a Ray cluster.

    The same experiment submitted again goes on where its study stands; while it runs, this attaches to it. No password
    may stand in FILE: name variables, and set them where the nodes are started. Ctrl-C leaves the search running.
    """
    from orchestrator.jobs.package import packages
    from orchestrator.jobs.submitting import make_request, read_submission
    from orchestrator.jobs.submitting import submit as send

    if wheel is not None and image_has_it:
        raise click.UsageError("--wheel sends a program and --image-has-it sends none; give one of them")
    experiment = read_submission(file, overrides)
    from orchestrator.jobs.client import JobsClient

    client = JobsClient(address)
    with tempfile.TemporaryDirectory(prefix="igcv-submit-") as temporary:
        program, data = Path(temporary, "program"), Path(temporary, "data")
        program.mkdir()
        data.mkdir()
        modules = () if image_has_it else tuple(packages(wheel, program))
        request = make_request(file, overrides, experiment, modules, data)
        request = replace(request, cpus=entrypoint_cpus, memory_bytes=entrypoint_memory, labels=_labels(labels))
        submitted = send(client, experiment, request)
    attached = (
        "runs already, with the settings it was submitted with; attached to it" if submitted.attached else "submitted"
    )
    click.echo(f"{submitted.id}: {attached}", err=True)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(submitted)))
    elif not follow:
        click.echo(submitted.id)
    if follow:
        _follow(client, submitted.id, to_stderr=as_json)
    else:
        click.echo(_how_to(address, submitted.id), err=True)


@click.group()
def jobs() -> None:
    """Searches that were submitted to a Ray cluster. JOB is a job's id, or its experiment's name: the newest one."""


@jobs.command(name="list")
@ADDRESS
@JSON
def list_(address: str, as_json: bool) -> None:
    """Every search that was submitted, the oldest first."""
    from orchestrator.jobs.client import JobsClient

    found = [job for job in JobsClient(address).jobs() if "experiment" in job.metadata]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(job) for job in found]))
        return
    for job in found:
        click.echo(f"{job.id:<40} {job.status:<10} {_when(job.started_at):<17} {job.metadata.get('study', '')}")
    if not found:
        click.echo("no search was submitted to this cluster since its head started", err=True)


@jobs.command()
@click.argument("job")
@ADDRESS
@JSON
def status(job: str, address: str, as_json: bool) -> None:
    """How JOB stands. Exit code 1 where it failed or was stopped."""
    _, found = _find(job, address)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found)))
    else:
        click.echo(
            f"{found.id}: {found.status}, started {_when(found.started_at)}; study {found.metadata.get('study')}"
        )
        click.echo(found.message)
    if found.status in ("failed", "stopped"):
        sys.exit(1)


@jobs.command()
@click.argument("job")
@click.option("--follow", is_flag=True, help="Go on until it ends.")
@ADDRESS
def logs(job: str, follow: bool, address: str) -> None:
    """What JOB said."""
    client, found = _find(job, address)
    if follow:
        _follow(client, found.id, to_stderr=False)
    else:
        click.echo(client.logs(found.id), nl=False)


@jobs.command()
@click.argument("job")
@ADDRESS
def stop(job: str, address: str) -> None:
    """End JOB. What is trained so far is kept; submitting the same experiment again goes on."""
    client, found = _find(job, address)
    if found.ended or not client.stop(found.id):
        click.echo(f"{found.id}: it had ended already ({found.status})", err=True)
        return
    while not found.ended:
        time.sleep(0.2)
        _, found = _find(found.id, address, client)
    click.echo(f"{found.id}: {found.status}", err=True)


def _find(job: str, address: str, client: JobsClient | None = None) -> tuple[JobsClient, Job]:
    from orchestrator.jobs.client import JobsClient
    from orchestrator.jobs.submitting import find

    client = client or JobsClient(address)
    return client, find(client.jobs(), job)


def _follow(client: JobsClient, job_id: str, to_stderr: bool) -> None:
    """Ends with exit code 1 where the job failed or was stopped; ctrl-C leaves it running."""
    try:
        client.follow(job_id, lambda lines: click.echo(lines, nl=False, err=to_stderr))
    except KeyboardInterrupt:
        click.echo(f"\n{job_id}: it runs on. {_how_to(client.address, job_id)}", err=True)
        sys.exit(130)
    _, job = _find(job_id, client.address, client)
    click.echo(f"{job_id}: {job.status}", err=True)
    if job.status != "succeeded":
        click.echo(job.message, err=True)
        sys.exit(1)


def _how_to(address: str, job_id: str) -> str:
    where = "" if address == DEFAULT else f" --address {address}"
    return f"Follow it: igcv jobs logs --follow {job_id}{where}; end it: igcv jobs stop {job_id}{where}"


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for text, (key, equals, value) in zip(given, pairs, strict=True):
        if not (key and equals and value):
            raise ValueError(f"--entrypoint-label {text!r}: give KEY=VALUE, such as zone=a")
    return {key: value for key, _, value in pairs}


def _when(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else "not yet"
