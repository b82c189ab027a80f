"""What is checked on the machine of the driver: the experiment, its data, its folders, its storage and its tracking."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.doctor.data import Look, look
from orchestrator.doctor.finding import Findings
from orchestrator.experiment import Experiment
from orchestrator.journal import NEEDED_BYTES
from orchestrator.opening import prepare, storage_of
from orchestrator.storage_address import JOURNAL, check_storage, is_postgres, libpq_url
from orchestrator.study import JOURNAL_NAME, open_storage
from orchestrator.tracking.address import LOCAL, OFF, is_server, redact, sqlite_file
from workers.places import Folder, place

MANY_BYTES = 2 * 2**30  # below it a search of large networks fills the disk with checkpoints
SECONDS = 10


def check_here(experiment: Experiment, findings: Findings) -> Look:
    """Everything that needs no cluster; what is known of the data here."""
    with findings.checking("experiment"):
        prepared = prepare(experiment.model_copy(update={"storage": JOURNAL, "tracking": OFF, "warm_start": ()}))
        networks = prepared.feasible.cost_range("macs")
        findings.ok(
            "experiment", f"{experiment.name}: networks of {networks[0]:,} to {networks[1]:,} MACs are within budget"
        )
    seen = look(experiment.data.spec(), None)
    if seen.fault is None:
        findings.ok("data", f"{seen.facts} (fingerprint {seen.fingerprint})")
    else:
        findings.fail("data", seen.fault)
    with findings.checking("storage"):
        _check_storage(experiment, findings)
    with findings.checking("tracking"):
        _check_tracking(experiment, findings)
    _check_folder("output", experiment.folder, findings)
    if experiment.checkpoints:
        where = place(experiment.checkpoints)
        if isinstance(where, Folder):
            _check_folder("checkpoints", where.path, findings)
        else:
            with findings.checking("checkpoints"):
                where.prepare()
                findings.ok("checkpoints", f"{where.address} is writable")
    return seen


def _check_folder(check: str, folder: Path, findings: Findings) -> None:
    """Writable, with room; a folder that is not there yet is not made."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"igcv")
    except OSError as error:
        findings.fail(check, f"{there} is not writable ({error.strerror}); set `{check}` to a folder of yours")
        return
    free = shutil.disk_usage(there).free
    room = f"{free / 2**30:.1f} GiB free"
    if free < NEEDED_BYTES:
        findings.fail(
            check, f"{folder}: {room}, no search starts below {NEEDED_BYTES / 2**20:.0f} MiB; free some space"
        )
    elif free < MANY_BYTES:
        findings.warn(check, f"{folder}: only {room}; each trial that runs keeps two checkpoints there")
    else:
        findings.ok(check, f"{folder} is writable, {room}")


def _check_storage(experiment: Experiment, findings: Findings) -> None:
    where = check_storage(experiment.storage)
    if is_postgres(where):
        _check_postgres(experiment, where, findings)
        return
    journal = experiment.folder / JOURNAL_NAME
    if not journal.exists():
        findings.ok("storage", f"{journal} will be made")
        return
    _check_study(experiment, storage_of(experiment), findings)
    owner = journal.with_name(f"{JOURNAL_NAME}.lease.owner")
    if owner.exists():
        findings.warn("storage", f"{owner.read_text()} runs this study, or ended with a crash; see `igcv status`")


def _check_postgres(experiment: Experiment, where: str, findings: Findings) -> None:
    """Connects, and writes to a table of this session's own alone."""
    import psycopg

    from orchestrator.lease import unreachable

    try:
        with psycopg.connect(libpq_url(where), connect_timeout=SECONDS, application_name="igcv doctor") as connection:
            connection.execute("CREATE TEMPORARY TABLE igcv_doctor (one int) ON COMMIT DROP")
            version = connection.info.server_version // 10_000
            made = connection.execute("SELECT to_regclass('studies') IS NOT NULL").fetchone()
            may = connection.execute("SELECT has_schema_privilege(current_schema(), 'CREATE')").fetchone()
            connection.rollback()
    except psycopg.Error as error:
        raise ValueError(unreachable(where, error)) from None
    if made and made[0]:
        _check_study(experiment, where, findings)
    elif may and may[0]:
        findings.ok("storage", f"PostgreSQL {version} at {redact(where)} answers; its tables will be made")
    else:
        findings.fail(
            "storage", f"{redact(where)}: the user may not make tables; GRANT CREATE ON SCHEMA public, or another user"
        )


def _check_study(experiment: Experiment, where: str, findings: Findings) -> None:
    """Whether Optuna's version reads it, and whether the study that is there is this experiment's."""
    storage = open_storage(where)
    names = {study.study_name: study for study in storage.get_all_studies()}
    if experiment.name not in names:
        findings.ok("storage", f"{redact(where)} is readable; the study {experiment.name} will be made")
        return
    attributes = storage.get_study_user_attrs(names[experiment.name]._study_id)
    kept, fixed = attributes.get("experiment", {}), experiment.fixed()
    different = [key for key in fixed if key in kept and _plain(kept[key]) != _plain(fixed[key])]
    if different:
        findings.fail(
            "storage",
            f"the study {experiment.name} there was made with other values of {', '.join(different)}; restore these keys, or "
            "give the experiment another `name`",
        )
    else:
        findings.ok("storage", f"{redact(where)}: the study {experiment.name} is there, and would go on")


def _plain(value: object) -> object:
    import json

    return json.loads(json.dumps(value))


def _check_tracking(experiment: Experiment, findings: Findings) -> None:
    from orchestrator.tracking.address import tracking_uri

    uri = tracking_uri(experiment.tracking, experiment.folder)
    if uri is None:
        findings.ok("tracking", "off")
    elif experiment.tracking == LOCAL or sqlite_file(uri) is not None:
        findings.ok("tracking", f"{uri}, a file of this machine")
    elif is_server(uri) and uri.startswith("http"):
        _check_server(uri.rstrip("/"), findings)
    else:
        findings.warn("tracking", f"{redact(uri)}: not looked at; many processes should log through an MLflow server")


def _check_server(uri: str, findings: Findings) -> None:
    """Reachable, which version, and whether it takes our Host header and our credentials."""
    import requests

    user, secret = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token and not user else {}
    experiment = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=igcv-doctor"
    try:
        version = requests.get(f"{uri}/version", timeout=SECONDS, headers=headers)
        answer = requests.get(uri + experiment, timeout=SECONDS, headers=headers, auth=(user, secret) if user else None)
    except requests.RequestException as error:
        findings.fail(
            "tracking", f"{redact(uri)}: no MLflow server answers ({type(error).__name__}); start it, or set `tracking`"
        )
        return
    if answer.status_code in (200, 404):
        findings.ok("tracking", f"MLflow {version.text.strip()[:20]} at {redact(uri)} answers")
    elif answer.status_code == 401:
        findings.fail(
            "tracking",
            f"{redact(uri)} asks for credentials; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN",
        )
    elif answer.status_code == 403:
        host = uri.partition("://")[2].partition("/")[0]
        findings.fail(
            "tracking",
            f"{redact(uri)} refuses the name it is called by; start it with --allowed-hosts that lists {host} and "
            f"{host.partition(':')[0]}",
        )
    else:
        findings.fail("tracking", f"{redact(uri)} answers {answer.status_code}; is it an MLflow server?")
