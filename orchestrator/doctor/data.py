"""A look at data and checkpoints from one machine, the driver's or a worker's. Plain values, so that it travels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from workers.places import place_of_file
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
    """Reads the data's labels, not its images. mark: the address of a file that the driver put beside the checkpoints."""
    from workers.data.facts import describe
    from workers.data.source import open_source

    seen, writable = _look_at(mark) if mark else (False, False)
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


def _look_at(mark: str) -> tuple[bool, bool]:
    """Whether the driver's mark is seen here, and whether this machine may write beside it."""
    place, name = place_of_file(mark)
    try:
        if not any(True for _ in place.versions(name)):
            return False, False
    except (OSError, ValueError):
        return False, False
    try:
        place.prepare()
    except OSError:
        return True, False
    return True, True
