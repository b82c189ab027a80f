"""Decoded images kept on disk, so that another worker need not decode tens of thousands of PNGs again.

IGCV_CACHE names the folder (`off`: no cache); the default is igcv-search in the user's cache folder. An entry is named
by the content of the files it was decoded from, written to a temporary file and renamed; a damaged one is made again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from workers.data.source import RawPart

VERSION = "1"  # raised when what is stored changes


def cache_folder() -> Path | None:
    """The cache's folder, or None where it is turned off."""
    named = os.environ.get("IGCV_CACHE", "")
    if named.lower() == "off":
        return None
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "igcv-search"


def cached(files: list[Path], options: str, decode: Callable[[], RawPart]) -> RawPart:
    """What `decode` makes of the files, from the cache where it is there. A cache that cannot be written is skipped."""
    folder = cache_folder()
    if folder is None:
        return decode()
    entry = folder / f"images-{content_key(files, options)}.npz"
    found = _load(entry)
    if found is not None:
        return found
    made = decode()
    _store(entry, made)
    return made


def content_key(files: list[Path], options: str) -> str:
    """A name for the files' bytes and how they are decoded."""
    digest = hashlib.sha256(f"{VERSION}\n{options}\n".encode())
    for file in files:
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:32]


def _load(entry: Path) -> RawPart | None:
    try:
        with np.load(entry, allow_pickle=False) as archive:
            return RawPart(images_NCHW=archive["images"], labels_N=archive["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _store(entry: Path, part: RawPart) -> None:
    temporary = ""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=entry.parent, suffix=".tmp", delete=False) as handle:
            temporary = handle.name
            np.savez(handle, images=part.images_NCHW, labels=part.labels_N)
        os.replace(temporary, entry)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
