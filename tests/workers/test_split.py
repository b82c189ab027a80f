"""Splits are stratified, disjoint, and the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.data.facts import partition
from workers.data.source import DataError, open_source
from workers.data.split import hold_out, proportional, stratified_subset
from workers.records import DataSpec

LABELS = np.repeat(np.arange(10), [5, 10, 15, 20, 25, 30, 35, 40, 45, 50])


@given(st.integers(1, 274), st.integers(0, 10))
def test_each_class_is_held_out_in_proportion(count: int, seed: int) -> None:
    rest, held = hold_out(LABELS, count, seed)
    assert len(held) == count
    assert sorted([*rest, *held]) == list(range(len(LABELS)))
    exact = np.bincount(LABELS) * (count / len(LABELS))
    assert np.all(np.abs(np.bincount(LABELS[held], minlength=10) - exact) < 1)


def test_a_split_is_the_same_for_ever() -> None:
    assert stratified_subset(LABELS[:60], 8, seed=3).tolist() == [3, 12, 23, 24, 36, 39, 42, 53]


def test_another_seed_splits_otherwise() -> None:
    assert stratified_subset(LABELS, 50, 0).tolist() != stratified_subset(LABELS, 50, 1).tolist()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.data())
def test_shares_add_up(counts: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(1, sum(counts)))
    shares = proportional(np.array(counts), total)
    assert shares.sum() == total
    assert np.all(shares <= np.array(counts))


def test_the_limits_cut_within_the_parts() -> None:
    spec = DataSpec(max_train=100, max_validation=50, validation_fraction=0.25)
    source = open_source(spec)
    parts = partition(source, spec, source.labels("train"))
    whole = partition(source, DataSpec(validation_fraction=0.25), source.labels("train"))
    assert (len(parts.train), len(parts.validation)) == (100, 50)
    assert set(parts.train) <= set(whole.train)
    assert set(parts.validation) <= set(whole.validation)
    assert not set(parts.train) & set(parts.validation)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation_fraction": 1.0}, "data.validation_fraction is 1.0"),
        ({"max_train": 0}, "data.max_train is 0"),
        ({"max_train": 1}, "1 images to train on"),
    ],
)
def test_a_split_that_cannot_be_is_refused(change: dict[str, float], message: str) -> None:
    spec = DataSpec(**change)
    source = open_source(spec)
    with pytest.raises(DataError, match=message):
        partition(source, spec, source.labels("train"))
