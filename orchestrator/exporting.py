"""`igcv export`: the weights of one trial become files for strangers, in a folder that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from dashboards.evaluation import read_evaluation, spreads
from dashboards.table import TrialRow
from orchestrator.experiment import Experiment
from orchestrator.locate import locate, read_rows
from orchestrator.model_card import Card, CheckLine, model_card
from orchestrator.reopening import reopen
from orchestrator.running import one_recipe
from orchestrator.study import open_storage
from orchestrator.targets import find_trial
from orchestrator.tracking.address import LOCAL, tracking_uri
from orchestrator.tracking.environment import environment
from orchestrator.weights import weights_file
from search_spaces.cost import cost
from search_spaces.plan import Plan, plan_from_json, plan_to_json
from workers.records import EpochReport, Failure

Say = Callable[[str], None]
ABOUT = "preprocessing.json"
MADE_BY = "igcv export"
PLAN, CARD = "plan.json", "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTrial:
    """What was written, and how well it fits."""

    folder: Path
    study: str
    row: TrialRow
    checks: tuple[CheckLine, ...]
    validation_accuracy: float
    version: str | None = None  # in MLflow's model registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where an export is registered: the registered model's name, and the store (None: the study's own)."""

    name: str
    uri: str | None = None


def export_trial(
    study: str,
    name: str,
    folder: Path,
    say: Say,
    *,
    retrain: bool = False,
    path: str | None = None,
    registry: Registry | None = None,
) -> ExportedTrial:
    """Exports the trial of a number or a network's name. path: where the images lie now.

    ValueError: it was not trained to the end, its weights are gone, its files would not compute the same, or the folder
    holds files of others.
    """
    found = locate(study)
    rows, facts = read_rows(study)
    row = find_trial(rows, facts, name)
    plan = _plan(row)
    _check_folder(folder)
    worker = import_module("workers.export")
    worker.check_packages()
    kept = reopen(found, open_storage(found.storage), path)
    experiment = kept.experiment
    store = _store(registry.uri or kept.tracking or LOCAL, experiment.folder) if registry else None
    weights = weights_file(experiment.folder, row.number)
    if not weights.exists():
        if not retrain:
            raise ValueError(_gone(study, row))
        _retrain(experiment, row, plan, weights, say)
    parent = folder.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=parent))
    try:
        made = worker.export(plan, weights, experiment.data.spec(), fresh, plan.key)
        checks = tuple(CheckLine(**asdict(check)) for check in made.checks)
        (fresh / PLAN).write_text(plan_to_json(plan))
        (fresh / ABOUT).write_text(json.dumps(_about(made, facts.study, row, checks), indent=1))
        (fresh / CARD).write_text(model_card(_card(experiment, facts.study, row, plan, made, checks)))
        folder.mkdir(exist_ok=True)
        for file in fresh.iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(fresh)
    version = None
    if registry is not None and store is not None:
        from orchestrator.tracking.sync import register_export

        version = register_export(store, experiment.folder, rows, facts, row, folder, registry.name)
    return ExportedTrial(
        folder=folder,
        study=facts.study,
        row=row,
        checks=checks,
        validation_accuracy=made.validation_accuracy,
        version=version,
    )


def _card(
    experiment: Experiment, study: str, row: TrialRow, plan: Plan, made: Any, checks: tuple[CheckLine, ...]
) -> Card:
    """What the model card tells. made: `workers.export.Exported`, which torch stands behind."""
    return Card(
        study=study,
        row=row,
        cost=cost(plan),
        data=experiment.data.spec(),
        recipe=replace(experiment.recipe(), micro_batch=row.micro_batch),
        seed=experiment.seed,
        image_shape=made.image_shape,
        classes=len(made.classes),
        validation_accuracy=made.validation_accuracy,
        validation_images=made.validation_images,
        checks=checks,
        evaluated=[one for one in spreads(read_evaluation(experiment.folder)) if one.trial == row.number],
        environment=environment(),
    )


def _store(tracking: str, folder: Path) -> str:
    uri = tracking_uri(tracking, folder)
    if uri is None:
        raise ValueError(
            "--register: this study is not tracked (tracking: off); name an MLflow store by --tracking-uri"
        )
    return uri


def _plan(row: TrialRow) -> Plan:
    if row.state != "complete":
        raise ValueError(f"trial {row.number} is {row.state}; only a network that was trained to the end is exported")
    assert row.plan is not None
    return plan_from_json(row.plan)


def _check_folder(folder: Path) -> None:
    """ValueError where the export would overwrite what it did not write."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"-o {folder}: there is a file of that name, expected a folder")
    if folder.is_dir() and any(folder.iterdir()) and not _is_export(folder):
        raise ValueError(f"-o {folder}: the folder holds files of others; give an empty or a new one")


def _is_export(folder: Path) -> bool:
    try:
        about = json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("made_by") == MADE_BY


def _gone(study: str, row: TrialRow) -> str:
    seconds = f", about {row.seconds:.0f} s" if row.seconds else ""
    return (
        f"the weights of trial {row.number} were not kept: only those of the front's members and of the references are. "
        f"`igcv export {study} {row.number} -o DIR --retrain` trains it again as the search did{seconds}"
    )


def _retrain(experiment: Experiment, row: TrialRow, plan: Plan, weights: Path, say: Say) -> None:
    """Trains as the search did, in this process; an interrupted training goes on the next time."""
    weights.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = weights.with_name(f"retraining-{row.number:06d}.pt")
    template = one_recipe(experiment).template
    request = replace(
        template,
        key=str(row.number),
        plan=plan,
        recipe=replace(template.recipe, micro_batch=row.micro_batch or template.recipe.micro_batch),
        checkpoint=str(checkpoint),
        device="auto",
    )
    for message in import_module("workers.guard").run(request):
        if isinstance(message, EpochReport):
            say(f"epoch {message.epoch} of {request.recipe.epochs}: {message.accuracy:.2%}")
        elif isinstance(message, Failure):
            raise ValueError(f"training trial {row.number} again failed ({message.kind}): {message.message}")
    os.replace(checkpoint, weights)
    for file in weights.parent.glob(f"{checkpoint.name}*"):
        file.unlink(missing_ok=True)


def _about(made: Any, study: str, row: TrialRow, checks: tuple[CheckLine, ...]) -> dict[str, Any]:
    """What `preprocessing.json` holds; also the mark by which a later export knows its own folder."""
    return {
        "made_by": MADE_BY,
        "study": study,
        "trial": row.number,
        "network": row.name,
        "plan_key": row.plan_key,
        "input": {"name": "images", "dtype": "float32", "shape": ["batch", *made.image_shape]},
        "output": {"name": "scores", "shape": ["batch", len(made.classes)]},
        "mean": list(made.mean),
        "std": list(made.std),
        "scale": "pixels 0..255, then (pixel - mean) / std of each channel",
        "classes": list(made.classes),
        "checks": [asdict(check) for check in checks],
    }
