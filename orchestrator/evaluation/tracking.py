"""What was evaluated, as runs in MLflow below the study's run: one for each training, written only where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dashboards.evaluation import EvaluationRow, environment_of
from dashboards.parts import read_study
from dashboards.table import StudyFacts, TrialRow, light_columns
from orchestrator.opening import Say
from orchestrator.tracking.address import LOCAL, OFF, STORE_NAME, artifact_root, redact, tracking_uri
from orchestrator.tracking.parent import ParentRun
from orchestrator.tracking.records import EPOCHS_TAG, NAME_TAG, PARENT_TAG, STATUS, Point, RunRecord, identity
from orchestrator.tracking.shelf import RunShelf
from orchestrator.tracking.store import Refused, Store, Unreachable

KIND = "evaluation"


def check_tracking(tracking: str | None) -> None:
    """ValueError where it is nothing that MLflow takes."""
    if tracking is not None:
        tracking_uri(tracking, Path())


def track_evaluation(folder: Path, rows: Sequence[EvaluationRow], tracking: str | None, say: Say) -> None:
    """Brings MLflow up to date; says what keeps it from it, for the results are in the study already.

    tracking None: the store beside the study, where there is one.
    """
    uri = tracking_uri(tracking or (LOCAL if (folder / STORE_NAME).exists() else OFF), folder)
    if uri is None or not rows:
        return
    try:
        searched, facts = read_study(folder, light_columns())
    except ValueError as error:
        say(f"not tracked in MLflow: {error}")
        return
    try:
        sync_evaluation(uri, folder, rows, searched, facts)
    except (Unreachable, Refused) as error:
        say(f"MLflow at {redact(uri)}: {error}; the same command, or `igcv track`, writes what is missing")


def sync_evaluation(
    uri: str, folder: Path, rows: Sequence[EvaluationRow], searched: Sequence[TrialRow], facts: StudyFacts
) -> None:
    """Makes the store at `uri` hold these trainings, below the run of their study."""
    store = Store.connect(uri, facts.study, artifact_root(uri, folder))
    parent = ParentRun(store, facts, {})
    if not parent.run.params:  # a search without tracking
        parent.update(searched, running=False)
    tags = {**identity(facts, "study"), "kind": KIND}
    shelf = RunShelf(store, tags)
    for row in rows:
        if row.started_at is not None:
            shelf.put(evaluation_record(row, tags["study"], tags, parent.run.run_id))


def evaluation_record(row: EvaluationRow, study: str, tags: dict[str, str], parent: str) -> RunRecord:
    """The run of one training; `test_accuracy`, or `accuracy` on the validation part, is its result."""
    assert row.started_at is not None
    start_ms = round(1000 * row.started_at)
    ended = STATUS[row.state] != "RUNNING"
    end_ms = round(1000 * row.ended_at) if row.ended_at is not None else start_ms
    about = {
        NAME_TAG: f"{row.name[:200]} seed {row.seed} on {row.split}",
        "trial_key": f"{study}/evaluation/{row.number}",
        "of_trial": f"{study}/{row.trial}",
        "split": row.split,
        "source": row.source,
        "family": row.family,
        "state": row.state,
        "device": row.device or "",
        "threads": str(row.threads or ""),
        "forms": ", ".join(row.forms)[:5000],
        "failure_kind": row.failure_kind or "",
        "failure": (row.failure_message or "")[:5000],
        EPOCHS_TAG: str(len(row.train_loss)) if row.train_loss else "",
        PARENT_TAG: parent,
        **{f"environment.{name}": value for name, value in environment_of(row).items()},
    }
    params = {"network": row.name[:5000], "recipe": row.recipe, "recipe_key": row.recipe_key, "seed": str(row.seed)}
    return RunRecord(
        key=about["trial_key"],
        name=about[NAME_TAG],
        status=STATUS[row.state],
        start_ms=start_ms,
        end_ms=end_ms if ended else None,
        tags={key: value for key, value in (tags | about).items() if value},
        params={**params, "epochs": str(row.epochs_asked)},
        metrics=tuple(_metrics(row, start_ms, end_ms)),
        curve=tuple(_curve(row, start_ms)),
        epochs=len(row.train_loss),
        texts={"failure.txt": row.failure_message} if row.failure_message else {},
    )


def _metrics(row: EvaluationRow, start_ms: int, end_ms: int) -> Iterator[Point]:
    values = {
        "macs": row.macs,
        "params": row.params,
        "searched_accuracy": row.searched_accuracy,
        "published_accuracy": row.published_accuracy,
    }
    results = {
        "test_accuracy": row.accuracy if row.split == "test" else None,
        "accuracy": row.accuracy if row.split == "validation" else None,
        "training_seconds": row.seconds if row.state == "complete" else None,
        "images_per_second": row.images_per_second,
        "peak_memory_mib": row.peak_memory_mib,
    }
    for at_ms, group in ((start_ms, values), (end_ms, results)):
        for key, value in group.items():
            if value is not None:
                yield Point(key=key, value=float(value), at_ms=at_ms)


def _curve(row: EvaluationRow, start_ms: int) -> Iterator[Point]:
    """Each epoch's values, at equal steps of time: the table keeps no times of epochs."""
    step_ms = 1000 * (row.seconds or 0.0) / max(len(row.train_loss), 1)
    for name, values in (("train_loss", row.train_loss), ("validation_accuracy", row.curve)):
        for epoch, value in enumerate(values, 1):
            yield Point(key=name, value=value, at_ms=start_ms + round(epoch * step_ms), step=epoch)
