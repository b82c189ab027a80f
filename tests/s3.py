"""A real S3 server on loopback (moto's), with its own bucket; it can be stopped as if it hung, and let go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ray_cluster import free_port

SECONDS_TO_START = 60
SECRET = "s3cr3t-of-the-bucket"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "searcher", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}


class S3Server:
    """`address()` is that of a new bucket, or of a prefix in it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + SECONDS_TO_START
        while not self._is_up():
            assert self._process.poll() is None, "moto ended at once"
            assert time.monotonic() < until, "moto does not answer"
            time.sleep(0.05)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(30)

    def bucket(self) -> str:
        """Makes a bucket; its name."""
        name = f"igcv-{uuid.uuid4().hex[:12]}"
        self._client().create_bucket(Bucket=name)
        return name

    def address(self, path: str) -> str:
        """s3://… of a path that begins with a bucket's name. Credentials are in the environment (CREDENTIALS)."""
        return f"s3://{path}?endpoint_override=127.0.0.1:{self.port}&scheme=http&region=us-east-1"

    def put(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """All files of a folder, below a prefix."""
        for file in folder.rglob("*"):
            if file.is_file():
                self._client().upload_file(str(file), bucket, f"{prefix}{file.relative_to(folder)}")

    def delete(self, bucket: str, key: str) -> None:
        self._client().delete_object(Bucket=bucket, Key=key)

    def keys(self, bucket: str) -> list[str]:
        """The names of the objects that hold something."""
        found = self._client().list_objects_v2(Bucket=bucket).get("Contents", [])
        return [entry["Key"] for entry in found if not entry["Key"].endswith("/")]

    def stop(self) -> None:
        """It takes connections, and answers none."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def start(self) -> None:
        """It answers again."""
        os.kill(self._process.pid, signal.SIGCONT)

    @contextmanager
    def hung(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _client(self):  # type: ignore[no-untyped-def]
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=SECRET,
        )

    def _is_up(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/moto-api/", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return True
