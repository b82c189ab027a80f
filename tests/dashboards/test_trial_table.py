"""The trial table: what goes in comes out, in one file and in parts."""

from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.parts import MOST_PARTS, TABLE_NAME, append_part, merge_parts, read_study
from dashboards.table import (
    COLUMNS,
    SCHEMA,
    EpochPoint,
    Stint,
    StudyFacts,
    TrialRow,
    facts_from_table,
    light_columns,
    read_table,
    rows_from_table,
    to_table,
    write_arrow,
    write_table,
)
from tests.dashboards.sample import sample_study

FACTS = StudyFacts(
    study="digits",
    objectives=("accuracy", "params"),
    limits={"macs": 1e6},
    reference_point=(0.5, 1e6),
    rungs=(1, 3),
    families=("igcv2",),
)
ROW = TrialRow(
    number=3,
    key="k3",
    plan_key="0123456789abcdef",
    name="igcv2-w16",
    family="igcv2",
    state="complete",
    parameters={"igcv2.width_1": 16, "igcv2.skip": True, "igcv2.condition": "strict", "igcv2.multiplier": 0.5},
    accuracy=0.9,
    macs=12_345,
    params=678,
    epochs=(EpochPoint(epoch=1, accuracy=0.5, train_loss=1.0, seconds=0.1), EpochPoint(epoch=2, accuracy=0.9)),
    stints=(Stint(worker="w1", started_at=1.0, ended_at=2.0, ended="lost"), Stint(worker="w2", started_at=3.0)),
    forms=("grouped", "composed"),
)


def rows() -> st.SearchStrategy[TrialRow]:
    text = st.text(max_size=20)
    fraction = st.floats(0, 1)
    return st.builds(
        TrialRow,
        number=st.integers(0, 2**40),
        key=text,
        plan_key=text,
        name=text,
        family=text,
        state=st.sampled_from(["queued", "training", "complete", "failed"]),
        source=st.sampled_from(["search", "reference"]),
        parameters=st.dictionaries(text, st.one_of(st.integers(), st.booleans(), text, fraction), max_size=4),
        accuracy=st.none() | fraction,
        macs=st.none() | st.integers(0, 2**50),
        epochs=st.lists(st.builds(EpochPoint, epoch=st.integers(1, 500), accuracy=fraction), max_size=3).map(tuple),
        failure_message=st.none() | text,
        forms=st.lists(text, max_size=3).map(tuple),
    )


def test_each_field_is_a_column() -> None:
    assert tuple(SCHEMA.names) == tuple(field.name for field in fields(TrialRow)) == COLUMNS


@settings(deadline=None)
@given(st.lists(rows(), max_size=5, unique_by=lambda row: row.number))
def test_rows_survive_the_table(given_rows: list[TrialRow]) -> None:
    assert rows_from_table(to_table(given_rows, FACTS)) == sorted(given_rows, key=lambda row: row.number)


def test_a_row_with_everything_and_the_facts_survive_the_file(tmp_path: Path) -> None:
    write_table(tmp_path / "trials.parquet", [ROW], FACTS)
    assert read_table(tmp_path / "trials.parquet") == ([ROW], FACTS)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.parquet"]


def test_light_columns_leave_curves_and_plans_out(tmp_path: Path) -> None:
    write_table(tmp_path / "trials.parquet", [ROW], FACTS)
    light, _ = read_table(tmp_path / "trials.parquet", light_columns())
    assert light == [replace(ROW, epochs=(), stints=(), plan=None)]


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    write_table(tmp_path / "trials.parquet", [], FACTS)
    assert read_table(tmp_path / "trials.parquet") == ([], FACTS)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(ValueError, match=r"x\.parquet is no trial table"):
        read_table(tmp_path / "x.parquet")


def test_another_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="is no trial table"):
        read_table(tmp_path / "x.parquet")


def test_another_version_is_refused(tmp_path: Path) -> None:
    table = to_table([ROW], FACTS)
    metadata = {**table.schema.metadata, b"igcv.trial_table": b"99"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="version 99"):
        read_table(tmp_path / "x.parquet")


def test_facts_of_a_later_program_are_read_without_what_is_unknown() -> None:
    table = to_table([], FACTS)
    text = table.schema.metadata[b"igcv.study"].decode().replace('"study"', '"novelty": 1, "study"')
    later = table.replace_schema_metadata({**table.schema.metadata, b"igcv.study": text.encode()})
    assert facts_from_table(later) == FACTS


def test_the_newest_part_wins_before_and_after_merging(tmp_path: Path) -> None:
    other = replace(ROW, number=1)
    write_table(tmp_path / "trials.parquet", [replace(ROW, state="queued"), other], FACTS)
    append_part(tmp_path, [replace(ROW, state="training")], replace(FACTS, updated_at=1.0))
    append_part(tmp_path, [replace(ROW, state="complete")], replace(FACTS, updated_at=2.0))
    expected = [other, ROW], replace(FACTS, updated_at=2.0)
    assert read_study(tmp_path) == expected
    merge_parts(tmp_path)
    assert read_study(tmp_path) == expected == read_table(tmp_path / "trials.parquet")
    assert not list((tmp_path / "trials.parts").iterdir())


def test_a_merge_cut_short_loses_nothing(tmp_path: Path) -> None:
    for state in ("queued", "training", "complete"):
        last = append_part(tmp_path, [replace(ROW, state=state)], FACTS)
    content = last.read_bytes()
    merge_parts(tmp_path)
    last.write_bytes(content)  # the merge ended before it had removed the newest part
    append_part(tmp_path, [replace(ROW, number=9)], FACTS)
    assert [(row.number, row.state) for row in read_study(tmp_path)[0]] == [(3, "complete"), (9, "complete")]


def test_parts_never_grow_beyond_their_limit(tmp_path: Path) -> None:
    for number in range(MOST_PARTS + 5):
        append_part(tmp_path, [replace(ROW, number=number)], FACTS)
    assert len(list((tmp_path / "trials.parts").iterdir())) < MOST_PARTS
    assert len(read_study(tmp_path)[0]) == MOST_PARTS + 5


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no trial table"):
        read_study(tmp_path)


def test_broken_text_is_kept_readable() -> None:
    broken = replace(ROW, failure_message="no file \udcff.png")
    assert rows_from_table(to_table([broken], FACTS))[0].failure_message == r"no file \udcff.png"


def test_a_table_from_before_a_column_is_read_and_grows(tmp_path: Path) -> None:
    rows, facts = sample_study(6)
    write_arrow(tmp_path / TABLE_NAME, to_table(rows, facts).drop_columns(["latency_ms", "batch_latency_ms"]))
    assert read_study(tmp_path, light_columns())[0][3].name == rows[3].name
    append_part(tmp_path, [replace(rows[3], latency_ms=1.5)], facts)
    merge_parts(tmp_path)
    again = read_study(tmp_path)[0]
    assert [row.latency_ms for row in again] == [1.5 if row.number == rows[3].number else None for row in rows]
