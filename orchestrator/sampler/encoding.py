"""Architectures as rows of numbers that a Gaussian process can compare.

An ordered parameter gives its rank among its values, scaled to [0, 1], and whether it is above its lowest value (the step
from "off" to "on" is often the largest). A categorical one gives an indicator for each value. Parameters that differ only
in a trailing stage number (`width_1`, `width_2`) also give the mean of their ranks and the share above the lowest value:
how large the network is as a whole. A parameter that does not matter in an architecture adds nothing but leaves its
indicator of presence at 0. Families share the columns of parameters of one name.
Every column is a sum over parameters, so the row of an architecture is a sum of rows of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search_spaces.networks import Value

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter's name without its family, all values it may take, and whether it is sometimes absent."""

    name: str
    values: tuple[Value, ...]
    optional: bool = False

    @property
    def is_ordered(self) -> bool:
        return not any(isinstance(value, str) for value in self.values)

    @property
    def group(self) -> str:
        """The name without a trailing stage number."""
        return re.sub(r"_?\d+$", "", self.name)


class Encoding:
    """The columns that parameters and families give, and the part that one value adds to a row."""

    def __init__(self, parameters: Sequence[Parameter], families: Sequence[str]) -> None:
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self._columns: dict[tuple[str, str], int] = {}
        self.is_summary: list[bool] = []
        self._group_sizes = _group_sizes(parameters)
        for family in families if len(families) > 1 else ():
            self._add("family", family)
        for parameter in parameters:
            self._add_parameter(parameter)
        for group in self._group_sizes:
            self._add(group, "mean", summary=True)
            self._add(group, "above", summary=True)
        self._parts = {
            (parameter.name, value): self._part(parameter, rank)
            for parameter in parameters
            for rank, value in enumerate(parameter.values)
        }

    @property
    def width(self) -> int:
        return len(self.is_summary)

    def row(self, family: str | None, values: Iterable[tuple[str, Value]]) -> Floats:
        """The row, or the part of it, that a family (None: leave it out) and some parameters give."""
        row = np.zeros(self.width)
        if ("family", family or "") in self._columns:
            row[self._columns["family", family or ""]] = 1.0
        for name, value in values:
            row += self._parts[name, value]
        return row

    def _add(self, owner: str, what: str, summary: bool = False) -> None:
        self._columns[owner, what] = len(self.is_summary)
        self.is_summary.append(summary)

    def _add_parameter(self, parameter: Parameter) -> None:
        if parameter.optional:
            self._add(parameter.name, "present")
        if not parameter.is_ordered:
            for value in parameter.values:
                self._add(parameter.name, f"={value}")
            return
        self._add(parameter.name, "rank")
        if len(parameter.values) > 2:
            self._add(parameter.name, "above")

    def _part(self, parameter: Parameter, rank: int) -> Floats:
        part = np.zeros(self.width)
        above = float(rank > 0)
        height = rank / max(1, len(parameter.values) - 1)
        given = {"present": 1.0, f"={parameter.values[rank]}": 1.0, "rank": height, "above": above}
        for what, number in given.items():
            if (parameter.name, what) in self._columns:
                part[self._columns[parameter.name, what]] = number
        if parameter.is_ordered and parameter.group in self._group_sizes:
            part[self._columns[parameter.group, "mean"]] += height / self._group_sizes[parameter.group]
            part[self._columns[parameter.group, "above"]] += above / self._group_sizes[parameter.group]
        return part


def _group_sizes(parameters: Sequence[Parameter]) -> dict[str, int]:
    """The groups of two or more ordered parameters, with their sizes."""
    names = [parameter.group for parameter in parameters if parameter.is_ordered]
    return {name: names.count(name) for name in dict.fromkeys(names) if names.count(name) > 1}


def merge_parameters(families: Sequence[Sequence[Parameter]]) -> list[Parameter]:
    """The parameters of several families by name: values in order, optional where a family lacks one."""
    names = dict.fromkeys(parameter.name for parameters in families for parameter in parameters)
    return [_merged(name, families) for name in names]


def _merged(name: str, families: Sequence[Sequence[Parameter]]) -> Parameter:
    same = [parameter for parameters in families for parameter in parameters if parameter.name == name]
    optional = len(same) < len(families) or any(parameter.optional for parameter in same)
    return Parameter(
        name=name, values=in_order(value for parameter in same for value in parameter.values), optional=optional
    )


def in_order(values: Iterable[Value]) -> tuple[Value, ...]:
    """Distinct values, numbers ascending, anything else in order of appearance."""
    distinct = tuple(dict.fromkeys(values))
    if any(isinstance(value, str) for value in distinct):
        return distinct
    return tuple(sorted(distinct))


class Scaling:
    """Puts raw columns on comparable scales: learnt once on a sample, then the same for every row.

    Columns that never change or repeat another are dropped; summaries are standardised, to a deviation of 1/2.
    """

    def __init__(self, sample: Floats, is_summary: Sequence[bool]) -> None:
        summary = np.array(is_summary, dtype=bool)
        spread = sample.std(axis=0)
        self._shift = np.where(summary, sample.mean(axis=0), 0.0)
        self._factor = np.where(summary, 0.5 / np.where(spread > 0, spread, 1.0), 1.0)
        self._kept = _distinct(self.apply_all(sample))
        self.is_summary: npt.NDArray[np.bool_] = summary[self._kept]

    def apply(self, rows: Floats) -> Floats:
        return self.apply_all(rows)[:, self._kept]

    def apply_all(self, rows: Floats) -> Floats:
        return (rows - self._shift) * self._factor


def _distinct(rows: Floats) -> npt.NDArray[np.int64]:
    """The first of each set of columns that are equal up to scale and sign, without constant ones."""
    centred = rows - rows.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    kept: list[int] = []
    for column in np.flatnonzero(length > 1e-9).tolist():
        unit = centred[:, column] / length[column]
        if all(abs(float(unit @ centred[:, other])) < (1 - 1e-9) * length[other] for other in kept):
            kept.append(column)
    return np.array(kept, dtype=np.int64)
