"""Where a study is tracked: MLflow's URIs, the default store, and how a person opens its page. Nothing is imported."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

OFF, LOCAL = "off", "local"
STORE_NAME, ARTIFACTS_NAME = "mlflow.db", "artifacts"
SQLITE = "sqlite:///"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https", "databricks")
PAGE = "http://127.0.0.1:5000"
VIEW = "?workflowType=machine_learning"  # MLflow's page opens with its view of language models otherwise
_CREDENTIALS = re.compile(r"://([^:/?#\s@]*):(\S*)@")
_SECRETS = re.compile(r"((?:password|passwd|token|secret|key)=)[^&\s]+", re.IGNORECASE)


def tracking_uri(tracking: str, folder: Path) -> str | None:
    """The store of an experiment's `tracking`: None for `off`, a file beside the study for `local`, or the URI itself.

    `env:NAME` stands for the variable's value. ValueError where it is none of these and no URI that MLflow still takes.
    """
    from orchestrator.storage_address import expand

    tracking = expand(tracking)
    if tracking == OFF:
        return None
    if tracking == LOCAL:
        return f"{SQLITE}{folder.resolve() / STORE_NAME}"
    scheme, separator, _ = tracking.partition("://")
    if (separator or scheme == "databricks") and scheme.split("+")[0] in DATABASES + SERVERS:
        return tracking
    raise ValueError(
        f"tracking {redact(tracking)!r} is neither {LOCAL!r} nor {OFF!r} nor the URI of an MLflow store; give "
        "the server's http://HOST:PORT or a database such as sqlite:///FILE or postgresql://USER@HOST/NAME; MLflow no "
        "longer writes to plain folders"
    )


def artifact_root(uri: str, folder: Path) -> str | None:
    """Where a new experiment's files go: beside an SQLite store, or to the study's folder; None: a server chooses."""
    if is_server(uri):
        return None
    store = sqlite_file(uri)
    return str((store.parent if store else folder.resolve()) / ARTIFACTS_NAME)


def is_server(uri: str) -> bool:
    return uri.partition(":")[0] in SERVERS


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; None for every other store."""
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def redact(text: str) -> str:
    """The text with the passwords of all URIs in it struck out."""
    return _SECRETS.sub(r"\1***", _CREDENTIALS.sub(r"://\1:***@", text))


def open_command(uri: str) -> str:
    """The command line that serves MLflow's page of a database store at `PAGE`; a server's own address, redacted."""
    if is_server(uri):
        return redact(uri)
    store = sqlite_file(uri)
    where = f"{SQLITE}{store}" if store else redact(uri)
    root = ["--default-artifact-root", str(store.parent / ARTIFACTS_NAME)] if store else []
    host, port = PAGE.removeprefix("http://").split(":")
    program = _short(Path(sys.executable).with_name("mlflow"))
    return shlex.join([program, "server", "--backend-store-uri", where, *root, "--host", host, "--port", port])


def page(uri: str, experiment_id: str, run_id: str | None = None) -> str:
    """The address of the experiment's or a run's page; of a database store, as `open_command` serves it."""
    host = _CREDENTIALS.sub("://", uri).rstrip("/") if is_server(uri) else PAGE
    run = f"/runs/{quote(run_id)}" if run_id else ""
    return f"{host}/#/experiments/{quote(experiment_id)}{run}{VIEW}"


def front_page(experiment_id: str) -> str:
    """The part of an address, the same on every server, at which MLflow's page lists the front's runs alone.

    Sorted by a metric they stand for themselves; sorted by time, MLflow hides them below the study's run.
    """
    query = {"searchFilter": "tags.front = 'true'", "orderByKey": "metrics.`accuracy`", "orderByAsc": "false"}
    return f"#/experiments/{quote(experiment_id)}/runs{VIEW}&{urlencode(query, quote_via=quote)}"


def _short(path: Path) -> str:
    """Relative to the working directory where it lies below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
