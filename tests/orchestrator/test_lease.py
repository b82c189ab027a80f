"""One driver owns a study, and its lease dies with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.lease import FileLease

HOLD = "import sys, time; from pathlib import Path; from orchestrator.lease import FileLease\n"
HOLD += "lease = FileLease(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_second_driver_is_refused_while_the_first_lives_and_let_in_when_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "study.journal.lease"
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match=f"process {owner.pid} on .* stop it with ctrl-C"):
        FileLease(path)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    FileLease(path).release()


def test_a_released_lease_can_be_taken_again(tmp_path: Path) -> None:
    FileLease(tmp_path / "lease").release()
    FileLease(tmp_path / "lease").release()
