"""Files of a bucket copied to this machine's cache, once for all its workers: they are read many times."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from workers.data.cache import cache_folder
from workers.data.source import DataError
from workers.places import Bucket, checked_address

SUFFIXES = (".parquet", ".npz")


@lru_cache(maxsize=16)
def mirrored(address: str) -> Path:
    """The folder (or the file, where the address is of one) on this machine with what lies at a bucket's address.

    A process looks into the bucket once; its images are then taken to stay as they are. Size and time of change tell
    whether a file is to be copied again. DataError where nothing lies there, or no cache may be written.
    """
    folder = cache_folder()
    if folder is None:
        raise DataError(f"{address}: images of a bucket are copied to the cache, and IGCV_CACHE is off; name a folder")
    try:
        return _copied(address, folder / "buckets")
    except OSError as error:
        raise DataError(f"data.path: {error}") from error


def _copied(address: str, cache: Path) -> Path:
    bucket, name = Bucket.at(checked_address(address)), ""
    if bucket.prefix.endswith(SUFFIXES):
        bucket, name = bucket.parted()
        wanted = [entry for entry in bucket.listing() if entry[0] == name]
    else:
        wanted = [entry for entry in bucket.listing(deep=True) if entry[0].endswith(SUFFIXES)]
    if not wanted:
        raise DataError(f"{address}: no {' or '.join(SUFFIXES)} files here; set data.path to where they lie")
    folder = cache / hashlib.sha256(bucket.address.encode()).hexdigest()[:16]
    with _alone(folder):
        for file, size, changed in wanted:
            _copy(bucket, file, size, changed, folder / file)
        if not name:
            _drop_others(folder, {folder / file for file, _, _ in wanted})
    return folder / name


def _copy(bucket: Bucket, name: str, size: int, changed: int, target: Path) -> None:
    """The copy has the original's time of change, by which it is known again."""
    if target.exists():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (size, changed):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    bucket.copy(name, target)
    os.utime(target, ns=(changed, changed))


def _drop_others(folder: Path, wanted: set[Path]) -> None:
    """A shard that is gone from the bucket is no longer one of the set."""
    for file in folder.rglob("*"):
        if file.suffix in SUFFIXES and file not in wanted:
            file.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this machine copies, the others wait for it; a lock goes with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
