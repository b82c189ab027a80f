"""Rows on their way to MLflow."""

import threading
from pathlib import Path

from orchestrator.tracking.mailbox import Mailbox
from tests.orchestrator.tracking.making import row, training


def test_of_one_trial_the_newest_row_waits() -> None:
    mailbox = Mailbox()
    mailbox.put([training(1, 1), row(2)])
    mailbox.put([training(1, 5)])
    assert mailbox.take(0).rows == (row(2), training(1, 5))
    assert mailbox.take(0).rows == ()


def test_what_is_given_back_never_hides_what_is_newer() -> None:
    mailbox = Mailbox()
    mailbox.put([training(1, 1), training(2, 1)])
    batch = mailbox.take(0)
    mailbox.put([training(1, 3)])
    mailbox.give_back(batch)
    assert mailbox.take(0).rows == (training(1, 3), training(2, 1))


def test_beyond_its_capacity_the_oldest_are_dropped_and_counted() -> None:
    mailbox = Mailbox(capacity=3)
    mailbox.put(row(number) for number in range(5))
    assert mailbox.take(0).rows == (row(2), row(3), row(4))
    assert mailbox.dropped == 2


def test_the_last_batch_has_the_files() -> None:
    mailbox = Mailbox()
    mailbox.put([row(1)])
    mailbox.close([Path("report.html")])
    batch = mailbox.take(60)
    assert (batch.closing, batch.files, batch.rows) == (True, (Path("report.html"),), (row(1),))


def test_taking_waits_for_a_row() -> None:
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.put, [[row(1)]]).start()
    assert mailbox.take(60).rows == (row(1),)


def test_the_end_cuts_a_rest_short() -> None:
    mailbox = Mailbox()
    mailbox.close([])
    mailbox.rest(3600)  # the test's time limit would end it
