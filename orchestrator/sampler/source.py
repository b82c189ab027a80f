"""Where proposals come from: the feasible set of a space, or the rows of a table.

Candidates are codes, rows of integers; two codes are equal exactly if their architectures are. Nothing here is slower
for larger spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from orchestrator.sampler.encoding import Encoding, Floats, Parameter, merge_parameters
from orchestrator.sampler.questions import Questions, space_questions
from search_spaces.block_costs import COLUMNS, Integers
from search_spaces.candidates import ABSENT, FamilyTable
from search_spaces.feasible import FeasibleSet
from search_spaces.space import Architecture, Choice


class CandidateSource(Protocol):
    """A set of architectures within a budget, their exact costs, and their features."""

    cost_names: tuple[str, ...]

    @property
    def questions(self) -> Questions:
        """What a sampler that knows nothing of the budget has to answer."""

    @property
    def summaries(self) -> Sequence[bool]:
        """For each column of `features`, whether it sums up the whole network."""

    def sample(self, rng: np.random.Generator, count: int) -> Integers:
        """Codes drawn uniformly and independently."""

    def neighbours(self, codes: Integers) -> Integers:
        """The distinct members that differ from any of these in one parameter."""

    def costs(self, codes: Integers) -> Floats:
        """Exact costs (n, cost_names)."""

    def features(self, codes: Integers) -> Floats:
        """What a model compares (n, columns), costs left out."""

    def excess(self, code: Integers) -> dict[str, float]:
        """By which share one code (1, columns) exceeds each limit of the budget; 0 or less keeps it."""

    def contains(self, architecture: Architecture) -> bool: ...

    def nearest(self, architecture: Architecture) -> Architecture | None:
        """The architecture itself where it can be trained, else the most alike that can; None where nothing is alike."""

    def encode(self, architectures: Sequence[Architecture]) -> Integers:
        """Codes of members, or of architectures that only break the budget. ValueError where one is no point."""

    def decode(self, codes: Integers) -> list[Architecture]: ...


class FeasibleSource:
    """The members of a feasible set."""

    cost_names: tuple[str, ...] = COLUMNS

    def __init__(self, feasible: FeasibleSet) -> None:
        self.feasible = feasible
        tables = feasible.tables
        families = tables.families
        self._encoding = Encoding(
            merge_parameters([family_parameters(family) for family in families]),
            [family.space.family for family in families],
        )
        self._chain_rows = np.stack(
            [
                self._encoding.row(
                    families[chain.family].space.family, families[chain.family].shared_values[chain.shared]
                )
                for chain in tables.chains
            ]
        )
        self._chain_family = np.array([chain.family for chain in tables.chains])
        self._stage_rows = [self._stage(stage) for stage in range(tables.stages)]

    @cached_property
    def questions(self) -> Questions:
        return space_questions(self.feasible.space)

    @property
    def summaries(self) -> Sequence[bool]:
        return self._encoding.is_summary

    def sample(self, rng: np.random.Generator, count: int) -> Integers:
        return self.feasible.sample_codes(rng, count)

    def neighbours(self, codes: Integers) -> Integers:
        return self.feasible.neighbour_codes(codes)

    def costs(self, codes: Integers) -> Floats:
        return self.feasible.tables.costs(codes).astype(np.float64)

    def features(self, codes: Integers) -> Floats:
        rows = self._chain_rows[codes[:, 0]]
        family = self._chain_family[codes[:, 0]]
        for (starts, table), choice in zip(self._stage_rows, codes[:, 1:].T, strict=True):
            rows = rows + table[np.where(choice == ABSENT, 0, starts[family] + choice)]
        return rows

    def excess(self, code: Integers) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, cost in zip(COLUMNS, self.feasible.tables.costs(code)[0].tolist(), strict=True):
            least, most = self.feasible.budget.limits(name)
            if most is not None:
                found[f"max_{name}"] = cost / most - 1
            if least is not None:
                found[f"min_{name}"] = 1 - cost / least
        return found

    def contains(self, architecture: Architecture) -> bool:
        return self.feasible.contains(architecture)

    def nearest(self, architecture: Architecture) -> Architecture | None:
        try:
            self.encode([architecture])
        except ValueError:
            return None
        return architecture

    def encode(self, architectures: Sequence[Architecture]) -> Integers:
        return self.feasible.tables.encode(architectures)

    def decode(self, codes: Integers) -> list[Architecture]:
        return self.feasible.tables.decode(codes)

    def _stage(self, stage: int) -> tuple[Integers, Floats]:
        """The rows of every family's choices of a stage, after a row of nothing; and where each family's begin."""
        rows = [np.zeros(self._encoding.width)]
        starts = []
        for family in self.feasible.tables.families:
            starts.append(len(rows))
            if stage < len(family.stage_values):
                rows += [self._encoding.row(None, values) for values in family.stage_values[stage]]
        return np.array(starts), np.stack(rows)


def family_parameters(family: FamilyTable) -> list[Parameter]:
    """The parameters that one family's choices name."""
    segments = (family.shared_values, *family.stage_values)
    return [parameter for choices in segments for parameter in _segment_parameters(choices)]


def _segment_parameters(choices: tuple[Choice, ...]) -> list[Parameter]:
    given = [dict(choice) for choice in choices]
    names = dict.fromkeys(name for choice in given for name in choice)
    return [
        Parameter(
            name=name,
            values=tuple(dict.fromkeys(choice[name] for choice in given if name in choice)),
            optional=any(name not in choice for choice in given),
        )
        for name in names
    ]


def cost_columns(source: CandidateSource, costs: Sequence[str]) -> list[int]:
    """Where the source's costs hold these. ValueError lists what is known exactly."""
    unknown = [name for name in costs if name not in source.cost_names]
    if unknown:
        raise ValueError(f"costs known exactly are {', '.join(source.cost_names)}; given {', '.join(unknown)}")
    return [source.cost_names.index(name) for name in costs]
