"""Simulated searches: the real decisions and samplers, a virtual clock, honest counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.opening import Prepared
from orchestrator.simulator.simulate import Reached, Settings, simulate, simulate_world
from orchestrator.simulator.synthetic import SyntheticWorld
from orchestrator.simulator.tables import Table, read_table
from tests.orchestrator.simulator.making import write


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return read_table(write(tmp_path / "t.parquet"))


def search(table: Table, **changes: object) -> Reached:
    settings = Settings(max_macs=20_000, reference_error=0.7, trials=16, seeds=(0, 1))
    known = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return simulate(table, Settings(**{**known, **changes})).rows[0]


@pytest.mark.parametrize("workers", [1, 5])
def test_ours_trains_distinct_members_and_beats_chance(table: Table, workers: int) -> None:
    ours = search(table, workers=workers)
    chance = search(table, workers=workers, samplers=("uniform",))
    assert ours.trainings == ours.distinct == ours.launched == (16, 16)
    assert ours.over_budget == (0, 0)
    assert ours.at(16)[0] > chance.at(16)[0]
    assert (np.diff(ours.shares) >= 0).all()
    assert ours.at(16)[0] <= 1 + 1e-12


def test_a_whole_table_reaches_the_whole_hypervolume_and_ends_there(table: Table) -> None:
    reached = search(table, trials=500)
    assert reached.at(500)[0] == pytest.approx(1.0)
    assert set(reached.trainings) == {int((table.costs[:, 0] <= 20_000).sum())}


def test_the_clock_is_that_of_the_recorded_trainings(table: Table) -> None:
    alone, many = search(table, samplers=("uniform",)), search(table, samplers=("uniform",), workers=4)
    assert alone.seconds[:, -1] == pytest.approx(alone.spent[:, -1]), "one worker is always busy"
    assert (many.seconds[:, -1] < 0.6 * many.spent[:, -1]).all()
    moments = np.array([0.0, 1e9])
    assert alone.by_time(moments)[:, 0] == pytest.approx(0.0)
    assert alone.by_time(moments)[:, 1] == pytest.approx(alone.shares[:, -1])


def test_without_the_guard_what_is_proposed_is_trained(table: Table) -> None:
    settings = Settings(max_macs=3000, reference_error=0.7, trials=40, seeds=(0,), samplers=("random",), raw=True)
    raw, guarded = simulate(table, settings).rows
    assert (raw.guarded, guarded.guarded) == (False, True)
    assert raw.over_budget[0] > 0
    assert raw.distinct[0] < raw.trainings[0] == 40
    assert guarded.over_budget == (0,)
    assert guarded.distinct == guarded.trainings


def test_early_stopping_spends_less_and_completes_fewer(table: Table) -> None:
    whole = search(table, samplers=("uniform",), trials=40)
    stopped = search(table, samplers=("uniform",), trials=40, rungs=(1,))
    assert stopped.trainings[0] < whole.trainings[0]
    assert stopped.launched[0] > stopped.trainings[0]
    assert stopped.spent[0, -1] < whole.spent[0, -1]


def test_the_same_seed_gives_the_same_search(table: Table) -> None:
    one, other = (search(table, workers=3) for _ in range(2))
    assert (one.shares == other.shares).all()


def test_a_made_up_world_is_the_same_again_and_differs_by_seed(prepared: Prepared) -> None:
    worlds = [SyntheticWorld(prepared.feasible, seed, epochs=3) for seed in (0, 0, 1)]
    networks = prepared.feasible.sample(np.random.default_rng(0), 20)
    courses = [[world.course(network) for network in networks] for world in worlds]
    assert courses[0] == courses[1] != courses[2]
    for course in courses[0]:
        assert len(course.curve) == len(course.epoch_seconds) == 3
        assert 0 < course.curve[0] < course.curve[-1] < 1
        assert min(course.epoch_seconds) > 0
    result = simulate_world(worlds[0], Settings(trials=12, seeds=(0,), reference_error=0.9))
    assert not result.is_true
    assert result.rows[0].shares[0, -1] == pytest.approx(1.0), "the best that any search found"
    assert [part.trainings for part in result.rows[0].pace] == list(range(1, 13))
