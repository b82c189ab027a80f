"""Waiting for a database: tried again as often as it takes, told of once whoever waits, and never for what will not pass."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from orchestrator.outage import SECONDS_BETWEEN_WORDS, Patience

AWAY = OperationalError("SELECT 1", {}, OSError("server closed the connection\nunexpectedly"))


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def call() -> str:
        if left:
            raise left.pop()
        return "answer"

    return call


def test_the_same_is_tried_until_it_succeeds_with_longer_and_longer_pauses() -> None:
    said, pauses, renewed = list[str](), list[float](), list[int]()
    patience = Patience("the storage", said.append, pauses.append)
    assert patience.persist(failing(8, AWAY), lambda: renewed.append(1)) == "answer"
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert len(renewed) == 8
    assert said[0] == "the storage does not answer (server closed the connection); the search waits, nothing is lost"
    assert said[1].startswith("the storage answers again")
    assert len(said) == 2
    assert sum(pauses) < SECONDS_BETWEEN_WORDS


def test_an_outage_that_several_threads_meet_is_told_of_once() -> None:
    said = list[str]()
    both = threading.Barrier(2)
    patience = Patience("the storage", said.append, lambda seconds: both.wait(10) and None)
    waiting = [threading.Thread(target=patience.persist, args=(failing(3, AWAY), lambda: None)) for _ in range(2)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert len(said) == 2
    assert patience.seconds > 0


def test_what_will_not_pass_is_raised_at_once() -> None:
    said = list[str]()
    error = IntegrityError("INSERT", {}, ValueError("twice"))
    with pytest.raises(IntegrityError):
        Patience("the storage", said.append).persist(failing(1, error), lambda: None)
    assert said == []
