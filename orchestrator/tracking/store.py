"""MLflow itself: one experiment of one store, read and written through MLflow's client. The only file that knows it.

MLflow takes seconds to import and an empty database seconds to set up, so both happen in `Store.connect` only.
Every error comes out as `Unreachable` (try again later) or `Refused` (this will never be taken).
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from orchestrator.tracking.address import is_server, redact
from orchestrator.tracking.differences import StoredRun
from orchestrator.tracking.records import DataRecord, Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # the tracker retries, and says so once
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # seconds

POINTS_AT_ONCE, TEXTS_AT_ONCE = 800, 100  # MLflow takes 1,000 metrics, 100 params, 100 tags, together 1,000
PAGE_SIZE = 1000
OLD_TABLES = "out-of-date database schema"  # in MLflow's words
REFUSALS = frozenset(
    {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}
)

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Unreachable(Exception):
    """The store does not answer, or not now."""


class Refused(Exception):
    """The store answers, and takes this never."""


class Store:
    """The experiment of one study in an MLflow store. Not for several threads at once, but for its runs' `write`."""

    def __init__(self, client: MlflowClient, uri: str, experiment_id: str, artifact_location: str) -> None:
        self.client = client
        self.uri = uri
        self.experiment_id = experiment_id
        self.artifact_location = artifact_location

    @classmethod
    def connect(cls, uri: str, experiment: str, artifact_root: str | None) -> Store:
        """Opens the store and the experiment, both made where missing. ValueError where a person must act first."""
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # an outage is told once, by the tracker
        client = ask(MlflowClient, uri, registry_uri=uri)
        found = ask(client.get_experiment_by_name, experiment)
        if found is not None and found.lifecycle_stage == "deleted":
            raise ValueError(
                f"the experiment {experiment!r} lies in MLflow's trash at {redact(uri)}; bring it back with `mlflow "
                f"experiments restore --experiment-id {found.experiment_id}`, or empty the trash with `mlflow gc`"
            )
        if found is None:
            identity = ask(client.create_experiment, experiment, artifact_location=artifact_root)
            found = ask(client.get_experiment, identity)
        return cls(client, uri, found.experiment_id, found.artifact_location)

    def runs(self, kind: str) -> Iterator[StoredRun]:
        """The experiment's runs with this tag `kind`, the oldest first."""
        token: str | None = None
        while True:
            page = ask(
                self.client.search_runs,
                [self.experiment_id],
                f"tags.kind = '{kind}'",
                max_results=PAGE_SIZE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            yield from map(_stored_run, page)
            token = page.token
            if not token:
                return

    def create(self, name: str, start_ms: int, tags: Mapping[str, str]) -> StoredRun:
        run = ask(self.client.create_run, self.experiment_id, start_time=start_ms, tags=dict(tags), run_name=name)
        return _stored_run(run)

    def write(
        self, run: StoredRun, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Points and params first, tags last, in as few requests as MLflow's limits allow."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = _parts([Metric(point.key, point.value, point.at_ms, point.step) for point in points], POINTS_AT_ONCE)
        texts = _parts([Param(key, value) for key, value in params.items()], TEXTS_AT_ONCE)
        marks = _parts([RunTag(key, value) for key, value in tags.items()], TEXTS_AT_ONCE)
        for some_metrics, some_texts, some_marks in _aligned(metrics, texts, marks):
            ask(self.client.log_batch, run.run_id, metrics=some_metrics, params=some_texts, tags=some_marks)
        run.params |= params
        run.tags |= tags
        run.metrics |= {point.key: point.value for point in sorted(points, key=lambda point: point.step)}

    def end(self, run: StoredRun, status: str, end_ms: int) -> None:
        ask(self.client.set_terminated, run.run_id, status, end_ms)
        run.status, run.end_ms = status, end_ms

    def reopen(self, run: StoredRun) -> None:
        ask(self.client.update_run, run.run_id, status="RUNNING")
        run.status = "RUNNING"

    def delete(self, run: StoredRun) -> None:
        """Moves a run to MLflow's trash."""
        ask(self.client.delete_run, run.run_id)

    def put_text(self, artifact_uri: str, name: str, text: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_text(text, encoding="utf-8")
            self.put_file(artifact_uri, file)

    def put_file(self, artifact_uri: str, file: Path) -> None:
        """Uploads a file under its own name. What only a file store refuses is `Refused`: the runs themselves go on."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            repository = ask(get_artifact_repository, artifact_uri, tracking_uri=self.uri)
            ask(repository.log_artifact, str(file))
        except Unreachable as error:
            raise error if is_server(self.uri) else Refused(str(error)) from error
        except Exception as error:  # object stores raise errors of their own
            raise Refused(reason(error)) from error

    def put_data(self, run: StoredRun, data: DataRecord) -> None:
        """Lists the data set among the run's inputs; only what it is called, never an image."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(data.name, data.digest, "local", data.source, profile=data.profile)
        context = InputTag("mlflow.data.context", "training and validation")
        ask(self.client.log_inputs, run.run_id, [DatasetInput(dataset, [context])])
        run.has_data = True


def ask(call: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """Calls MLflow and sorts its errors. ValueError where a person must act first."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return call(*args, **kwargs)
    except MlflowException as error:
        if OLD_TABLES in str(error):
            raise ValueError(
                "MLflow's database was set up by another version of MLflow; stop what uses it, back it up, and run `mlflow db "
                "upgrade URI`; `igcv track` then brings the runs up to date"
            ) from None
        kind = Refused if error.error_code in REFUSALS else Unreachable
        raise kind(reason(error)) from error
    except (OSError, SQLAlchemyError) as error:
        raise Unreachable(reason(error)) from error


def reason(error: Any) -> str:
    """One line of an error, without passwords."""
    text = redact(str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _parts(items: list[Item], size: int) -> list[list[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _aligned(*columns: list[Any]) -> Iterator[list[Any]]:
    """Rows of as many parts as the longest column has; shorter ones stand at the end, so that tags come last."""
    rows = max(len(column) for column in columns)
    yield from zip(*([[]] * (rows - len(column)) + column for column in columns), strict=True)


def _stored_run(run: Run) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        artifact_uri=run.info.artifact_uri,
        status=run.info.status,
        start_ms=run.info.start_time,
        end_ms=run.info.end_time,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        has_data=bool(run.inputs and run.inputs.dataset_inputs),
    )
