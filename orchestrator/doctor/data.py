"""A look at data and checkpoints from one machine, the driver's or a worker's. Plain values, so that it travels."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workers.records import DataSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen. `fault`: why the data cannot be used; `mark_seen` and `writable` are of the checkpoints' folder."""

    facts: str = ""
    fingerprint: str = ""
    fault: str | None = None
    mark_seen: bool = False
    writable: bool = False


def look(spec: DataSpec, mark: str | None) -> Look:
    """Reads the data's labels, not its images. mark: a file that the driver has put beside the checkpoints."""
    from workers.data.facts import describe
    from workers.data.source import open_source

    seen, writable = _look_at(Path(mark)) if mark else (False, False)
    try:
        facts = describe(spec)
        labels_N = open_source(spec).labels("train")
    except (ValueError, OSError) as error:
        return Look(fault=str(error), mark_seen=seen, writable=writable)
    words = (
        f"{spec.name}: {facts.train:,} images to train on and {facts.validation:,} to validate on, {len(facts.classes)} "
        f"classes, {facts.channels} x {facts.image_size} x {facts.image_size}"
    )
    digest = hashlib.sha256(repr(facts).encode() + labels_N.tobytes()).hexdigest()[:12]
    return Look(facts=words, fingerprint=digest, mark_seen=seen, writable=writable)


def _look_at(mark: Path) -> tuple[bool, bool]:
    """Whether the driver's mark is seen here, and whether this machine may write beside it."""
    try:
        tempfile.TemporaryFile(dir=mark.parent).close()
    except OSError:
        return mark.exists(), False
    return mark.exists(), os.access(mark.parent, os.W_OK)
