"""The program as a wheel whose workers note every epoch that they finish, so that work done twice is seen."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

from orchestrator.jobs.package import packages

EPOCHS = "epochs.log"
VARIABLE = "STORM_EPOCHS"
PROBE = '''"""Trains as ever, and notes each finished epoch in the file that STORM_EPOCHS names: trial, epoch."""

import os
from pathlib import Path

from workers import guard
from workers.records import EpochReport


def _noting(messages, request):
    log = Path(os.environ["STORM_EPOCHS"])
    for message in messages:
        if isinstance(message, EpochReport):
            with log.open("a") as file:
                file.write(f"{request.key} {message.epoch}\\n")
        yield message


def run(request):
    yield from _noting(guard.run(request), request)


def attempt(request):
    yield from _noting(guard.attempt(request), request)
'''


def make_wheel(folder: Path) -> Path:
    """The running program, but for the name of what its workers run."""
    program = folder / "program"
    program.mkdir()
    packages(None, program)
    runner = program / "orchestrator/pools/runner.py"
    text = runner.read_text()
    assert "workers.guard:" in text
    runner.write_text(text.replace("workers.guard:", "chaos_probe:"))
    (program / "chaos_probe").mkdir()
    (program / "chaos_probe/__init__.py").write_text(PROBE)
    wheel = folder / "igcv_search-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in sorted(program.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(program))
    return wheel


def epochs(study: Path) -> Counter[tuple[int, int]]:
    """How often each epoch of each trial was finished."""
    log = study / EPOCHS
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter((int(key), int(epoch)) for key, epoch in (line.split() for line in lines))
