"""The Jobs API of a Ray cluster. With the pool, the only file that imports ray.

The token comes from RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or from ~/.ray/auth_token.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # the same on every side

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from orchestrator.faults import ClusterLostError
from orchestrator.jobs.submitting import Job, JobRequest

ADDRESS = "http://127.0.0.1:8265"
OVERRIDES = "RAY_API_SERVER_ADDRESS"  # Ray prefers RAY_ADDRESS to what it is given, and this variable to both
TAKEN = "already exists"
for talkative in ("dashboard.modules.job.sdk", "dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging"):
    logging.getLogger(f"ray.{talkative}").setLevel(logging.WARNING)


@dataclass(slots=True)
class JobsClient:
    """Submits, lists, follows and stops. ValueError says what is wrong with the address or the token."""

    address: str
    _client: JobSubmissionClient = field(init=False)

    def __post_init__(self) -> None:
        with _answering(self.address), _preferred(self.address):
            self._client = JobSubmissionClient(self.address)

    def jobs(self) -> list[Job]:
        """Every job that was submitted, the oldest first."""
        with _answering(self.address):
            found = [_job(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job.started_at or 0.0)

    def submit(self, job_id: str, request: JobRequest) -> bool:
        """Sends a job; False where a job of that name is there already, even if it came at this very moment."""
        needs: dict[str, Any] = {}
        if request.cpus:
            needs["entrypoint_num_cpus"] = request.cpus
        if request.memory_bytes:
            needs["entrypoint_memory"] = request.memory_bytes
        if request.labels:
            needs["entrypoint_label_selector"] = dict(request.labels)
        with _answering(self.address):
            try:
                self._client.submit_job(
                    entrypoint=request.entrypoint,
                    submission_id=job_id,
                    metadata=dict(request.metadata),
                    runtime_env={
                        "working_dir": str(request.folder),
                        "py_modules": [str(module) for module in request.modules],
                        "env_vars": {"PYTHONUNBUFFERED": "1"},
                    },
                    **needs,
                )
            except RuntimeError as error:
                if TAKEN in str(error):
                    return False
                raise
        return True

    def logs(self, job_id: str) -> str:
        """All that the job has said so far."""
        with _answering(self.address):
            return self._client.get_job_logs(job_id)

    def follow(self, job_id: str, say: Callable[[str], None]) -> None:
        """Passes the job's words on until it ends. ClusterLostError where the connection breaks before."""

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(job_id):
                say(lines)

        try:
            asyncio.run(tail())
        except (RuntimeError, OSError) as error:
            raise ClusterLostError(
                f"{self.address}: the connection broke while {job_id} ran ({error}). Where only the connection is lost, "
                f"`igcv jobs logs {job_id}` shows how it went on; where the head is, submit the same experiment again when "
                "it is back: it goes on from its study"
            ) from None

    def stop(self, job_id: str) -> bool:
        """Asks a job to end; whether it was running."""
        with _answering(self.address):
            return bool(self._client.stop_job(job_id))


def _job(details: JobDetails) -> Job:
    """Ray's times are milliseconds."""
    assert details.submission_id is not None
    status = JobStatus(details.status)
    return Job(
        id=details.submission_id,
        status=status.value.lower(),
        ended=status.is_terminal(),
        message=(details.message or "").strip(),
        started_at=details.start_time / 1000 if details.start_time else None,
        ended_at=details.end_time / 1000 if details.end_time else None,
        metadata=dict(details.metadata or {}),
    )


@contextmanager
def _preferred(address: str) -> Iterator[None]:
    """Inside, Ray takes this address, whatever the environment says."""
    before = os.environ.get(OVERRIDES)
    os.environ[OVERRIDES] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[OVERRIDES]
        else:
            os.environ[OVERRIDES] = before


@contextmanager
def _answering(address: str) -> Iterator[None]:
    """Ray's own errors as one line that names the cure."""
    try:
        yield
    except AuthenticationError as error:
        raise ValueError(token_fault(address, str(error), os.environ)) from None
    except (ConnectionError, requests.RequestException) as error:
        raise ValueError(
            f"--address {address}: no Jobs API of a Ray cluster answers ({type(error).__name__}). Give the address of the "
            "head's dashboard, such as http://HOST:8265; from outside, forward the port: ssh -L 8265:127.0.0.1:8265 HOST"
        ) from None
    except RuntimeError as error:
        raise ValueError(f"--address {address}: {' '.join(str(error).split())[:500]}") from None


def token_fault(address: str, words: str, environment: Mapping[str, str]) -> str:
    """Whether the token is missing, unreadable or wrong, and the cure; the token itself is never shown."""
    if "invalid" in words.lower():
        fault = "the token given here is not this cluster's"
    elif "cannot be opened" in words:
        fault = f"RAY_AUTH_TOKEN_PATH names {environment.get('RAY_AUTH_TOKEN_PATH')}, which cannot be read or is empty"
    else:
        fault = "the cluster asks for a token, and none was found here"
    return (
        f"--address {address}: {fault}. `ray get-auth-token` on the head prints it; set RAY_AUTH_TOKEN to it, or "
        "RAY_AUTH_TOKEN_PATH to a file that holds it"
    )
