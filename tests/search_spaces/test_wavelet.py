"""The wavelet matrix against sorting."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.wavelet import WaveletMatrix

values = st.lists(st.integers(0, 20), max_size=150).map(np.array).map(lambda array: array.astype(np.int64))


@given(values, st.integers(0, 150), st.integers(0, 150), st.integers(-2, 40))
def test_it_counts_what_is_less_in_a_range(sequence: np.ndarray, one: int, other: int, limit: int) -> None:
    first, last = sorted((min(one, len(sequence)), min(other, len(sequence))))
    found = WaveletMatrix(sequence).count_below(np.array([first]), np.array([last]), np.array([limit]))
    assert found.tolist() == [(sequence[first:last] < limit).sum()]


@given(values, st.integers(0, 150), st.integers(0, 150))
def test_it_finds_every_rank_in_a_range_once(sequence: np.ndarray, one: int, other: int) -> None:
    first, last = sorted((min(one, len(sequence)), min(other, len(sequence))))
    ranks = np.arange(last - first)
    found = WaveletMatrix(sequence).find(np.full(len(ranks), first), np.full(len(ranks), last), ranks)
    assert sorted(found) == list(range(first, last))
    assert sequence[found].tolist() == sorted(sequence[first:last])
