"""A sequence of small integers that counts and finds those of any range of positions and any range of values.

Source: Claude, Navarro, Ordóñez, "The wavelet matrix" (Information Systems 47, 2015): one bit of every value for each
level, highest first; behind each level the zeros stand before the ones. Every query is answered for an array at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


class WaveletMatrix:
    """Over `values` (n,), integers from 0. Positions are half-open ranges [first, last)."""

    def __init__(self, values: Integers) -> None:
        self._levels: list[tuple[_Bits, int]] = []
        self._bits = int(values.max(initial=0)).bit_length()
        order = np.arange(len(values))
        for level in reversed(range(self._bits)):
            ones = (values[order] >> level & 1).astype(bool)
            self._levels.append((_Bits(ones), int(len(ones) - ones.sum())))
            order = np.concatenate((order[~ones], order[ones]))
        self._positions = order

    def count_below(self, first: Integers, last: Integers, limit: Integers) -> Integers:
        """How many values in [first, last) are less than `limit`."""
        everything = limit >= 1 << self._bits
        count: Integers = np.where(everything, last - first, 0)
        limit = np.where(everything | (limit < 0), 0, limit)
        for level, (bits, zeros) in zip(reversed(range(self._bits)), self._levels, strict=True):
            one = (limit >> level & 1).astype(bool)
            ones_first, ones_last = bits.ones(first), bits.ones(last)
            zeros_first, zeros_last = first - ones_first, last - ones_last
            count += np.where(one, zeros_last - zeros_first, 0)
            first = np.where(one, zeros + ones_first, zeros_first)
            last = np.where(one, zeros + ones_last, zeros_last)
        return count

    def find(self, first: Integers, last: Integers, rank: Integers) -> Integers:
        """The position of the value with `rank` (0: the least) among those in [first, last)."""
        for bits, zeros in self._levels:
            ones_first, ones_last = bits.ones(first), bits.ones(last)
            zeros_first, zeros_last = first - ones_first, last - ones_last
            one = rank >= zeros_last - zeros_first
            rank = rank - np.where(one, zeros_last - zeros_first, 0)
            first = np.where(one, zeros + ones_first, zeros_first)
            last = np.where(one, zeros + ones_last, zeros_last)
        found: Integers = self._positions[first + rank]
        return found


class _Bits:
    """A bit vector with the number of ones before each word of 64."""

    def __init__(self, ones: npt.NDArray[np.bool_]) -> None:
        padded = np.zeros((len(ones) // 64 + 1) * 64, dtype=bool)
        padded[: len(ones)] = ones
        self._words = np.packbits(padded, bitorder="little").view(np.uint64)
        counts = np.bitwise_count(self._words).astype(np.int64)
        self._before = np.concatenate(([0], np.cumsum(counts)[:-1]))

    def ones(self, position: Integers) -> Integers:
        """The number of ones before each position."""
        word = position >> 6
        below = (np.uint64(1) << (position & 63).astype(np.uint64)) - np.uint64(1)
        counted: Integers = self._before[word] + np.bitwise_count(self._words[word] & below)
        return counted
