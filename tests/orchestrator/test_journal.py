"""The journal after a power cut: whatever byte it ends on, it opens, says what was mended, and goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from orchestrator.journal import check_free_space, mend_journal, remove_dead_lock


def write_study(journal: Path, trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(
        storage=storage, study_name="s", directions=["maximize", "minimize"], load_if_exists=True
    )
    for number in range(trials):
        study.add_trial(create_trial(state=TrialState.COMPLETE, values=[0.5, number], user_attrs={"name": "ü" * 9}))


def count(journal: Path) -> int:
    return len(optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(journal)))).trials)


def test_a_journal_cut_at_every_byte_of_its_last_two_records_opens_and_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    write_study(whole, 4)
    content = whole.read_bytes()
    lines = content.splitlines(keepends=True)
    start = len(content) - len(lines[-1]) - len(lines[-2])
    for end in range(start, len(content) + 1):
        journal = tmp_path / f"cut-{end}"
        journal.write_bytes(content[:end])
        messages = mend_journal(journal)
        at_a_record_end = content[end - 1 : end] == b"\n"
        assert bool(messages) != at_a_record_end
        kept = count(journal)
        write_study(journal, 1)
        assert count(journal) == kept + 1, f"cut at byte {end} of {len(content)}"
        assert mend_journal(journal) == []


def test_what_is_cut_is_kept_in_a_side_file(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    write_study(journal, 2)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-10])
    (message,) = mend_journal(journal)
    (side,) = tmp_path.glob("study.journal.partial-*")
    assert side.name in message
    assert journal.read_bytes() + side.read_bytes() == whole[:-10]


def test_a_lost_end_of_line_alone_costs_no_record(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    write_study(journal, 2)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-1])
    assert len(mend_journal(journal)) == 1
    assert journal.read_bytes() == whole


def test_a_dead_lock_is_removed_with_a_message_and_a_study_goes_on_at_once(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    write_study(journal, 1)
    os.symlink(journal, tmp_path / "study.journal.lock")
    (message,) = remove_dead_lock(journal)
    assert "study.journal.lock" in message
    before = time.monotonic()
    write_study(journal, 1)
    assert time.monotonic() - before < 20, "Optuna waited for the lock of a dead process"
    assert count(journal) == 2


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="MiB free, a study needs at least"):
        check_free_space(tmp_path, needed=2**62)
    check_free_space(tmp_path, needed=1)
