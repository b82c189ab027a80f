"""`igcv doctor`: what would go wrong, before anything starts. Facts go to stdout, messages to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.experiment import Experiment, load_experiment

if TYPE_CHECKING:
    from orchestrator.doctor.finding import Finding, Findings

MARK = "igcv-doctor: "  # begins the line of a job's log that holds its findings


@click.command()
@click.argument("file")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
@click.option(
    "--address", help="A cluster's Jobs API, such as http://127.0.0.1:8265: everything is checked from there."
)
@click.option("--image-has-it", is_flag=True, help="With --address: send no program, the cluster's image holds it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON on stdout.")
@click.option("--marked", is_flag=True, hidden=True)
def doctor(
    file: str, overrides: tuple[str, ...], address: str | None, image_has_it: bool, as_json: bool, marked: bool
) -> None:
    """Check all that the search of an experiment FILE needs, and say what to do about each fault.

    Cluster and token, GPUs and labels, the study's storage, the tracking server, the data (on every node, too), the
    checkpoints' folder and free space. The study is never written. Exit code 1 where something would fail.
    """
    from orchestrator.doctor.finding import Findings

    findings = Findings((lambda finding: None) if as_json or marked else _show)
    if address is None:
        _check(load_experiment(file, overrides), findings)
    else:
        with findings.checking("submission"):
            _check_there(file, overrides, address, image_has_it, findings)
    facts = [dataclasses.asdict(finding) for finding in findings.found]
    if as_json:
        click.echo(json.dumps(facts))
    elif marked:
        click.echo(MARK + json.dumps(facts))
    sys.exit(1 if findings.failed else 0)


def _check(experiment: Experiment, findings: Findings) -> None:
    from orchestrator.doctor.cluster import check_cluster
    from orchestrator.doctor.here import check_here

    here = check_here(experiment, findings)
    check_cluster(experiment, here, findings)


def _check_there(file: str, overrides: tuple[str, ...], address: str, image_has_it: bool, findings: Findings) -> None:
    """Runs the same checks as a job, where the driver would run: storage and data are the cluster's, not this machine's."""
    from orchestrator.doctor.finding import Finding
    from orchestrator.jobs.client import JobsClient
    from orchestrator.jobs.package import packages
    from orchestrator.jobs.submitting import make_request, read_submission, run_once

    experiment = read_submission(file, overrides)
    findings.ok("submission", "the file holds no secrets, and its paths are the cluster's")
    client = JobsClient(address)
    findings.ok("jobs", f"{address} answers and takes the token")
    with tempfile.TemporaryDirectory(prefix="igcv-doctor-") as temporary:
        program, data = Path(temporary, "program"), Path(temporary, "data")
        program.mkdir()
        data.mkdir()
        modules = () if image_has_it else tuple(packages(None, program))
        request = make_request(file, overrides, experiment, modules, data, ("doctor", "--marked"))
        said = run_once(client, experiment, replace(request, metadata={}))
    line = next((line for line in said.splitlines() if line.startswith(MARK)), None)
    if line is None:
        findings.fail("jobs", f"the checks could not run on the cluster; its log ends with: {said[-500:]}")
        return
    found: list[dict[str, Any]] = json.loads(line.removeprefix(MARK))
    for fields in found:
        findings.take(Finding(**fields))


def _show(finding: Finding) -> None:
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.state]
    click.echo(f"{click.style(f'{finding.state:<4}', fg=colour)}  {finding.check:<12} {finding.message}")
