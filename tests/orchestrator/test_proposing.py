"""From proposals to recorded trials: what the proposer is told, and what a warm start brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator.opening import OpenSearch, open_search, prepare
from orchestrator.proposing import Proposing
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.space import distributions
from orchestrator.trials import Trial
from search_spaces.space import Architecture
from tests.orchestrator.conftest import make_experiment
from tests.orchestrator.making import metrics, report


class Scripted:
    """Proposes what it is given, and keeps what it was told."""

    def __init__(self, script: Sequence[Sequence[Architecture]]) -> None:
        self.script = [list(part) for part in script]
        self.told: list[tuple[list[Observation], list[Architecture]]] = []

    def propose(
        self, count: int, observed: Sequence[Observation], pending: Sequence[Architecture]
    ) -> list[Architecture]:
        self.told.append((list(observed), list(pending)))
        return self.script.pop(0) if self.script else []


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenSearch]:
    opened = open_search(prepare(make_experiment(tmp_path)), print)
    yield opened
    opened.lease.release()


def members(opened: OpenSearch, count: int) -> list[Architecture]:
    """Members of different plans."""
    feasible = opened.prepared.feasible
    return feasible.neighbours(feasible.cheapest("macs"))[:count]


def proposing(opened: OpenSearch, proposer: Scripted, warm: Sequence[Observation] = ()) -> Proposing:
    catalogue = opened.prepared.catalogue
    return Proposing(opened.study, catalogue, proposer, distributions(catalogue.space), warm)


def finish(trial: Trial, accuracy: float) -> None:
    trial.begin("w", 0.0)
    trial.curve = [report(1, 0.3), report(2, accuracy)]
    trial.metrics = metrics(2, accuracy)
    trial.turn("complete", 1.0)


def test_the_proposer_hears_of_each_change_once_and_of_all_that_is_pending(opened: OpenSearch) -> None:
    first, second, third = members(opened, 3)
    warm = [Observation(architecture=third, accuracy=0.4, earlier=True)]
    proposer = Scripted([[first, second], [third]])
    rim = proposing(opened, proposer, warm)
    done, paused = rim.propose(2, rim.snapshot()).trials
    for trial in (done, paused):
        rim.note(trial)
    assert rim.snapshot().pending == (first, second)
    finish(done, 0.6)
    paused.begin("w", 0.0)
    paused.curve = [report(1, 0.3)]
    paused.turn("paused", 1.0)
    for trial in (done, paused):
        rim.note(trial)
    rim.propose(1, rim.snapshot())
    assert proposer.told[0] == (warm, [])
    assert proposer.told[1] == (
        [
            Observation(architecture=first, accuracy=0.6, curve=(0.3, 0.6)),
            Observation(architecture=second, accuracy=None, curve=(0.3,)),
        ],
        [],
    )
    assert rim.snapshot().observed == ()


def test_what_was_recorded_is_refused_and_asked_for_again(opened: OpenSearch) -> None:
    first, second = members(opened, 2)
    proposer = Scripted([[first], [first, second]])
    recorded = proposing(opened, proposer).propose(2, proposing(opened, proposer).snapshot())
    assert [trial.candidate.architecture for trial in recorded.trials] == [first, second]
    assert not recorded.exhausted
    assert proposer.told[1] == ([], [first])


def test_a_proposer_that_has_nothing_left_exhausts_the_search(opened: OpenSearch) -> None:
    (first,) = members(opened, 1)
    rim = proposing(opened, Scripted([[first]]))
    assert rim.propose(3, rim.snapshot()).exhausted


def test_an_earlier_study_warms_a_new_one(tmp_path: Path) -> None:
    before = open_search(prepare(make_experiment(tmp_path, name="before")), print)
    known = members(before, 2)
    rim = proposing(before, Scripted([known]))
    for trial, accuracy in zip(rim.propose(2, rim.snapshot()).trials, (0.5, 0.7), strict=True):
        finish(trial, accuracy)
        before.study.tell(trial)
    before.lease.release()
    warm = prepare(make_experiment(tmp_path, warm_start=[str(tmp_path / "before")])).warm
    assert [(one.architecture, one.accuracy, one.curve, one.earlier) for one in warm] == [
        (known[0], 0.5, (0.3, 0.5), True),
        (known[1], 0.7, (0.3, 0.7), True),
    ]


def test_a_warm_start_from_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="warm_start: nowhere cannot be read"):
        prepare(make_experiment(tmp_path, warm_start=["nowhere"]))
    open_search(prepare(make_experiment(tmp_path, name="empty")), print).lease.release()
    with pytest.raises(ValueError, match="warm_start: no network that study"):
        prepare(make_experiment(tmp_path, warm_start=[str(tmp_path / "empty")]))
