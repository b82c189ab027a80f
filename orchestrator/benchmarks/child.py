"""A measurement in a process of its own, which prints its result as the last line, in JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def measured_in_child(module: str, *arguments: object) -> Any:
    """What `python -m orchestrator.benchmarks.MODULE ARGUMENTS` printed. ValueError, with its words, where it failed."""
    command = [sys.executable, "-m", f"orchestrator.benchmarks.{module}", *map(str, arguments)]
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ValueError(f"{' '.join(command[2:])} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
