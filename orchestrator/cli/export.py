"""`igcv export`: a trained network in files that need nothing of this program."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.argument("study")
@click.argument("trial")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder; a new one, or an earlier export.",
)
@click.option("--retrain", is_flag=True, help="Train it again as the search did, where its weights were not kept.")
@click.option("--path", help="Where the images lie, if not where the search found them.")
@click.option("--register", metavar="NAME", help="Make it a version of this registered model in MLflow.")
@click.option("--tracking-uri", help="The MLflow store to register it in; default the study's own.")
@click.option("--json", "as_json", is_flag=True, help="Print what was checked as JSON on stdout.")
def export(
    study: str,
    trial: str,
    output: Path,
    retrain: bool,
    path: str | None,
    register: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Write TRIAL (its number, or the name of its network) of STUDY as torch.export, ONNX and safetensors files.

    Both models are checked against the network as it was trained, on images of the validation split.
    """
    from orchestrator.exporting import Registry, export_trial

    registry = Registry(name=register, uri=tracking_uri) if register is not None else None
    done = export_trial(
        study, trial, output, lambda line: click.echo(line, err=True), retrain=retrain, path=path, registry=registry
    )
    facts = {"folder": str(done.folder), "study": done.study, "trial": done.row.number, "network": done.row.name}
    if register is not None:
        facts |= {"registered": register, "version": done.version}
    if as_json:
        found = {"validation_accuracy": done.validation_accuracy, "checks": [asdict(one) for one in done.checks]}
        click.echo(json.dumps(facts | found))
        return
    for check in done.checks:
        click.echo(
            f"{check.file:<12} {check.same_top1} of {check.images} images sorted alike; scores differ by at most "
            f"{check.max_difference:.2g} (tolerated: {check.tolerance:.2g})"
        )
    click.echo(f"validation   {done.validation_accuracy:.2%}")
    if register is not None:
        click.echo(f"registered   {register}, version {done.version}")
    click.echo(done.folder)
