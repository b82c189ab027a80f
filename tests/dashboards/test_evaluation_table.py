"""The evaluation table: written and read again, and what several trainings say together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboards.evaluation import EvaluationRow, environment_of, read_evaluation, spreads, write_evaluation

ROW = EvaluationRow(
    number=0,
    trial=5,
    plan_key="k",
    name="igcv2 k=4",
    family="igcv2",
    source="search",
    split="test",
    seed=1,
    recipe="search",
    recipe_key="r",
    as_searched=True,
    epochs_asked=2,
    state="complete",
    accuracy=0.9,
    searched_accuracy=0.92,
    macs=100,
    params=10,
    forms=("native", "dense"),
    train_loss=(1.5, 1.0),
    environment='{"torch": "2"}',
)


def test_rows_survive_the_file(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, number=1, seed=2, state="failed", accuracy=None, forms=(), failure_message="\udcff")]
    write_evaluation(tmp_path, reversed(rows))
    assert read_evaluation(tmp_path) == [rows[0], replace(rows[1], failure_message="\\udcff")]
    assert environment_of(rows[0]) == {"torch": "2"}
    assert read_evaluation(tmp_path / "nowhere") == []


def test_another_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "evaluation.parquet")
    with pytest.raises(ValueError, match="version none"):
        read_evaluation(tmp_path)
    (tmp_path / "evaluation.parquet").write_text("no table")
    with pytest.raises(ValueError, match="not a Parquet file"):
        read_evaluation(tmp_path)


def test_mean_and_spread_are_of_one_network_split_and_recipe() -> None:
    rows = [
        replace(ROW, number=3, seed=3, accuracy=0.93),
        ROW,
        replace(ROW, number=1, seed=2, state="failed", accuracy=None),
        replace(ROW, number=2, seed=2, accuracy=0.9),
        replace(ROW, number=4, seed=4, state="failed", accuracy=None),
        replace(ROW, number=5, split="validation", accuracy=0.5),
        replace(ROW, number=6, recipe_key="s", accuracy=0.6),
        replace(ROW, number=7, trial=0, source="reference", macs=1),
    ]
    found = spreads(rows)
    assert [(one.trial, one.split, one.recipe_key) for one in found] == [
        (5, "test", "r"),
        (5, "validation", "r"),
        (5, "test", "s"),
        (0, "test", "r"),
    ]
    first = found[0]
    assert (first.seeds, first.accuracies, first.failed) == ((1, 2, 3), (0.9, 0.9, 0.93), 1)
    assert first.mean == pytest.approx(0.91)
    assert first.std == pytest.approx(0.0173205, abs=1e-7)
    assert found[1].std is None
