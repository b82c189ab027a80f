"""Where checkpoints and shards lie: folders, or buckets of S3 and GCS (by pyarrow, imported where one is used).

An address is a path, or `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`, with options of pyarrow's after a question mark
(`?region=…&endpoint_override=…&scheme=http`). Credentials come from the environment or from the machine's role, never
from an address: addresses stand in files, logs and tracking.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

logger = logging.getLogger(__name__)

# what pyarrow is asked for unless the address says otherwise: a small file by one request; GCS answers or fails soon
OPTIONS = {
    "s3": {"allow_delayed_open": "true"},
    "gs": {"retry_limit_seconds": "10"},
}
SECRET_OPTIONS = ("access_key", "secret_key", "session_token", "access_token", "credential")
ANONYMOUS = "anonymous"  # gs://anonymous@BUCKET: an open bucket, or an emulator
OUTAGE_SECONDS = 300.0  # how long a bucket that is away is waited for
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0  # seconds between two tries
PROBE = ".igcv"  # an empty file that tells whether a bucket can be written to
PERMANENT = (
    "NO_SUCH_BUCKET",
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "UNRECOGNIZED_CLIENT",
    "SIGNATURE_DOES_NOT_MATCH",
    "MISSING_AUTHENTICATION_TOKEN",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "NOT_FOUND",
)  # words of an answer that will be no other later

Answer = TypeVar("Answer")


class Place(Protocol):
    """A flat set of files, each read and written whole."""

    @property
    def address(self) -> str:
        """What names it, also on other machines."""

    def file(self, name: str) -> str:
        """The address of a file in it."""

    def within(self, name: str) -> Place:
        """A place of its own inside this one."""

    def prepare(self) -> None:
        """Makes it where it is not there. OSError where nothing can be written to it, saying what to do."""

    def names(self) -> list[str]:
        """The files in it, in no order; those of places inside it are not among them."""

    def versions(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Address and content of the file, and then of the one before it, where they are there."""

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Either the new content is there afterwards or the one before is, also after a kill. OSError otherwise."""

    def remove(self, name: str, *, alone: bool = False) -> None:
        """Removes the file, where it is there, with what writing it has left beside it. alone: nothing lies beside."""

    def move(self, name: str, target: Path) -> bool:
        """Moves the file to a path of this machine; False where it is not there."""


def place(address: str | Path) -> Place:
    """The folder or bucket at an address. ValueError where it is neither."""
    found = checked_address(str(address))
    return Bucket.at(found) if is_bucket(found) else Folder(Path(found))


def place_of_file(address: str | Path) -> tuple[Place, str]:
    """The place that a file's address lies in, and the file's name there."""
    if not is_bucket(str(address)):
        path = Path(address)
        return Folder(path.parent), path.name
    return Bucket.at(checked_address(str(address))).parted()


def is_bucket(address: str) -> bool:
    """Whether it names a bucket, and no folder of this machine."""
    return urlsplit(address).scheme in ("s3", "gs", "gcs") and "://" in address


def checked_address(address: str) -> str:
    """The address, with file:///PATH as the path. ValueError where it cannot be used, or holds credentials."""
    if "://" not in address:
        return address
    scheme, _, rest = address.partition("://")
    if scheme == "file" and rest.startswith("/"):
        return rest
    if not is_bucket(address):
        raise ValueError(
            f"{scheme}:// is neither a folder nor a bucket; give a path, file:///PATH, s3://BUCKET/PREFIX or "
            "gs://BUCKET/PREFIX"
        )
    parts = urlsplit(address)
    user, _, bucket = parts.netloc.rpartition("@")
    if (user and (scheme == "s3" or user != ANONYMOUS)) or any(
        key.lower() in SECRET_OPTIONS for key, _ in parse_qsl(parts.query, keep_blank_values=True)
    ):
        raise ValueError(
            f"{scheme}://…@{bucket}{parts.path}: credentials stand in this address, and addresses are written to logs "
            "and studies; leave them out, and give them to every machine by its role, its AWS_… variables, or "
            "GOOGLE_APPLICATION_CREDENTIALS"
        )
    if not bucket:
        raise ValueError(f"{address}: no bucket is named; expected {scheme}://BUCKET/PREFIX")
    return address


def absolute(address: str) -> str:
    """The address as other working directories know it."""
    found = checked_address(address)
    return found if is_bucket(found) else str(Path(found).expanduser().resolve())


@dataclass(frozen=True, slots=True)
class Folder:
    """Files are written beside, synced and renamed; the one before is kept as `NAME.prev`."""

    path: Path

    @property
    def address(self) -> str:
        return str(self.path)

    def file(self, name: str) -> str:
        return str(self.path / name)

    def within(self, name: str) -> Place:
        return Folder(self.path / name)

    def prepare(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self.path).close()

    def names(self) -> list[str]:
        with os.scandir(self.path) as entries:
            return [entry.name for entry in entries if entry.is_file()]

    def versions(self, name: str) -> Iterator[tuple[str, bytes]]:
        path = self.path / name
        for candidate in (path, previous(path)):
            if candidate.exists():
                yield str(candidate), candidate.read_bytes()

    def write(self, name: str, content: bytes | memoryview) -> None:
        path = self.path / name
        temporary = path.with_name(f"{name}.{os.getpid()}.tmp")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            if path.exists():
                os.replace(path, previous(path))
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, name: str, *, alone: bool = False) -> None:
        (self.path / name).unlink(missing_ok=True)
        for file in () if alone else self.path.glob(f"{name}.*"):
            file.unlink(missing_ok=True)

    def move(self, name: str, target: Path) -> bool:
        source = self.path / name
        if not source.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        return True


def previous(path: Path) -> Path:
    """Where a folder keeps the version before."""
    return path.with_name(path.name + ".prev")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Files under a prefix. A write takes effect as a whole, so there is no version before.

    One that does not answer is waited for; an answer that will not change is an OSError at once.
    """

    scheme: str  # s3 or gs
    owner: str  # the bucket, after `anonymous@` where nobody signs in
    prefix: str
    options: str

    @classmethod
    def at(cls, address: str) -> Bucket:
        """The bucket at a checked address."""
        parts = urlsplit(address)
        return cls("s3" if parts.scheme == "s3" else "gs", parts.netloc, parts.path.strip("/"), parts.query)

    @property
    def address(self) -> str:
        return urlunsplit((self.scheme, self.owner, f"/{self.prefix}", self.options, ""))

    def file(self, name: str) -> str:
        return self._below(name).address

    def within(self, name: str) -> Place:
        return self._below(name)

    def prepare(self) -> None:
        """A bucket that is not there reads like an empty one, so it is written to."""
        try:
            self._write(PROBE, b"")
            self._remove(PROBE)
        except OSError as error:
            raise OSError(
                f"{self.address}: cannot be written to ({_brief(error)}); is the bucket there, and does this machine have "
                "credentials (AWS_… variables, GOOGLE_APPLICATION_CREDENTIALS, or its role) that may write to it?"
            ) from error

    def parted(self) -> tuple[Bucket, str]:
        """Where this is the address of a file: the place that it lies in, and its name there."""
        prefix, _, name = self.prefix.rpartition("/")
        return Bucket(self.scheme, self.owner, prefix, self.options), name

    def names(self) -> list[str]:
        return [name for name, _, _ in self.listing()]

    def listing(self, *, deep: bool = False) -> list[tuple[str, int, int]]:
        """Name, size in bytes and modification time in ns of each file; deep: also those further below."""
        from pyarrow.fs import FileSelector, FileType

        top = self._path()
        selector = FileSelector(top, allow_not_found=True, recursive=deep)
        found = self._persist(lambda: self._files().get_file_info(selector))
        return [
            (info.path[len(top) + 1 :], info.size, info.mtime_ns or 0) for info in found if info.type == FileType.File
        ]

    def versions(self, name: str) -> Iterator[tuple[str, bytes]]:
        try:
            content = self._persist(lambda: self._read(name))
        except FileNotFoundError:
            return
        yield self.file(name), content

    def write(self, name: str, content: bytes | memoryview) -> None:
        self._persist(lambda: self._write(name, content))

    def remove(self, name: str, *, alone: bool = False) -> None:
        self._persist(lambda: self._remove(name))

    def move(self, name: str, target: Path) -> bool:
        for _, content in self.versions(name):
            Folder(target.parent).write(target.name, content)
            previous(target).unlink(missing_ok=True)
            self.remove(name)
            return True
        return False

    def copy(self, name: str, target: Path) -> None:
        """Copies the file, however large, to a path of this machine that holds it whole or not at all."""
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            self._persist(lambda: self._copy(name, temporary))
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def _below(self, name: str) -> Bucket:
        return Bucket(self.scheme, self.owner, f"{self.prefix}/{name}".strip("/"), self.options)

    def _path(self, name: str = "") -> str:
        return "/".join(part for part in (self.owner.rpartition("@")[2], self.prefix, name) if part)

    def _files(self) -> FileSystem:
        return _file_system(self.scheme, self.owner, self.options)

    def _read(self, name: str) -> bytes:
        with self._files().open_input_file(self._path(name)) as stream:
            return bytes(stream.read())

    def _write(self, name: str, content: bytes | memoryview) -> None:
        """`content` is whole: a stream that is left by an exception would put its part in the old file's place."""
        with self._files().open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files().delete_file(self._path(name))

    def _copy(self, name: str, target: Path) -> None:
        with self._files().open_input_stream(self._path(name)) as stream, target.open("wb") as handle:
            shutil.copyfileobj(stream, handle, 8 * 2**20)

    def _persist(self, call: Callable[[], Answer]) -> Answer:
        pause, give_up = FIRST_PAUSE, time.monotonic() + OUTAGE_SECONDS
        while True:
            try:
                return call()
            except OSError as error:
                if error.errno is not None:  # of this machine, such as a full disk, or a file that is not there
                    raise
                if any(word in str(error) for word in PERMANENT) or time.monotonic() >= give_up:
                    raise OSError(f"{self.address}: {_brief(error)}") from error
                logger.warning("%s does not answer (%s); it is tried again", self.address, _brief(error))
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


@lru_cache(maxsize=16)
def _file_system(scheme: str, owner: str, options: str) -> FileSystem:
    """One connection pool for a process. ValueError where pyarrow does not know an option."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise ValueError(f"{scheme}:// needs pyarrow, which is not installed; install it, or use a folder") from error
    given = dict(parse_qsl(options, keep_blank_values=True))
    address = urlunsplit((scheme, owner, "/", urlencode(OPTIONS[scheme] | given), ""))
    try:
        return FileSystem.from_uri(address)[0]
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"{scheme}://{owner}: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    """The first sentence or so of a cloud's answer, in one line."""
    return " ".join(str(error).split())[:200]
