"""Tables: what any Parquet file with the reserved columns means, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.simulator.tables import TableSource, read_table
from orchestrator.simulator.world import RecordedWorld
from search_spaces.pareto import hypervolume
from tests.orchestrator.simulator.making import EPOCHS, columns, write


def test_rows_become_networks_with_their_own_parameters_alone(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.parquet"))
    assert len(table.architectures) == 84
    assert table.architectures[0].parameters == {"a.width": 1, "a.depth": 1, "a.skip": "yes"}
    assert table.architectures[1].parameters == {"a.width": 1, "a.depth": 1, "a.skip": "no", "a.kind": "relu"}
    assert table.architectures[-1].parameters == {"b.width": 8, "b.k": 8}
    assert table.epochs == EPOCHS


def test_integers_are_ordered_and_texts_are_kinds(tmp_path: Path) -> None:
    source = TableSource(read_table(write(tmp_path / "t.parquet")), None, None)
    kinds = {parameter.name: parameter for parameter in source.parameters}
    assert kinds["width"].is_ordered
    assert kinds["width"].values == tuple(range(1, 9))
    assert not kinds["skip"].is_ordered
    assert kinds["kind"].optional


def test_only_members_within_the_budget_are_drawn_and_neighbours_differ_in_one_parameter(tmp_path: Path) -> None:
    source = TableSource(read_table(write(tmp_path / "t.parquet")), 10_000, 90)
    drawn = source.sample(np.random.default_rng(0), 500)
    assert (source.costs(drawn) <= [10_000, 90]).all()
    for code in drawn[:40]:
        (own,) = source.decode(code[None])
        for other in source.decode(source.neighbours(code[None])):
            assert source.contains(other)
            assert other.family == own.family
            shared = dict(own.values).keys() & dict(other.values).keys()
            assert sum(dict(own.values)[name] != dict(other.values)[name] for name in shared) == 1


def test_the_search_sees_one_seed_and_the_mean_scores(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.parquet"))
    world = RecordedWorld(table, None, None, seen=2)
    network, recorded = table.architectures[7], table.recorded[7]
    assert world.course(network).curve == (*recorded.curve[:-1], recorded.seeds[2])
    assert world.course(network).epoch_seconds == recorded.epoch_seconds
    assert world.error(network) == pytest.approx(1 - np.mean(recorded.seeds))
    even = RecordedWorld(table, None, None, even_seconds=True).course(network)
    assert even.epoch_seconds == (1.0,) * len(recorded.curve)


def test_the_true_hypervolume_is_that_of_every_member(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.parquet"))
    world = RecordedWorld(table, 9000, None)
    points = [
        (1 - recorded.accuracy, macs)
        for recorded, macs in zip(table.recorded, table.costs[:, 0], strict=True)
        if macs <= 9000
    ]
    assert world.best(("macs",), (0.6, 9000.0)) == pytest.approx(hypervolume(points, (0.6, 9000.0)))


def test_a_table_without_families_curves_and_seeds_is_one_family_of_one_epoch(tmp_path: Path) -> None:
    plain = {"width": [1, 2, 3], "kind": ["x", "y", None], "macs": [1, 2, 3], "params": [1, 1, 1]}
    nothing = dict.fromkeys(columns())
    path = write(tmp_path / "t.parquet", **{**nothing, **plain, "accuracy": [0.5, 0.6, 0.7]})
    world = RecordedWorld(read_table(path), None, None)
    course = world.course(world.table.architectures[1])
    assert (course.curve, course.epoch_seconds, world.epochs) == ((0.6,), (1.0,), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"macs": None}, "lacks macs"),
        ({"accuracy": [75.0] * 84}, "row 0: accuracy is 75.0; expected a fraction"),
        ({"accuracy": [None, *[0.5] * 83]}, "row 0: accuracy is None"),
        ({"epoch_seconds": [[1.0]] * 84}, "epoch_seconds has 1 numbers, the curve 4"),
        ({"params": [None, *[1] * 83]}, "macs and params must be there for every row"),
        ({"a.depth": [1] * 60 + [None] * 24}, "are the same network"),
        ({"b.width": [1] * 84}, "row 0 is of family a, but b.width is 1; expected null"),
    ],
)
def test_a_faulty_table_is_refused_with_the_row_or_column(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "t.parquet", **changes))


def test_a_table_of_reserved_columns_alone_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    others = dict.fromkeys(("a.width", "a.depth", "a.skip", "a.kind", "b.width", "b.k"))
    with pytest.raises(ValueError, match="at least one column beside"):
        read_table(write(tmp_path / "t.parquet", **others))
    (tmp_path / "no.parquet").write_text("no table")
    for name in ("no.parquet", "missing.parquet"):
        with pytest.raises(ValueError, match=f"{name}: not a Parquet file"):
            read_table(tmp_path / name)


def test_a_budget_that_nothing_keeps_is_said_with_the_least_costs(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.parquet"))
    with pytest.raises(ValueError, match="none of 84 networks keeps the budget; the least MACs are 1,000"):
        TableSource(table, 10, None)
