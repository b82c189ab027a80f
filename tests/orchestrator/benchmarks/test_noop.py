"""The measurement of overhead runs the real search: real Ray, a real journal, every trial told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.ray
def test_a_search_of_no_op_trials_runs_to_its_end_and_is_measured() -> None:
    command = [sys.executable, "-m", "orchestrator.benchmarks.noop", "12", "uniform", "off"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.strip().splitlines()[-1])
    assert result["trials"] == 12
    assert result["seconds"] > 0
    assert 0 <= result["busy"] <= 1
    assert result["proposal_seconds_per_trial"] < result["seconds_per_trial"]
