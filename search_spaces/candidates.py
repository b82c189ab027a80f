"""Architectures as rows of integers, and the exact costs of many at once by gathers from tables of block costs.

A code is a row (chain, choice of stage 1, choice of stage 2, …): the chain counts the families and their whole-network
choices, a stage's choice is its number among the family's choices of that stage, and ABSENT pads families with fewer
stages.
Two architectures have one code exactly if they are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from search_spaces.block_costs import ACTIVATION_BYTES, COLUMNS, INVALID, Chain, Integers, Layer, read_layers
from search_spaces.families.table import FAMILIES
from search_spaces.networks import Task
from search_spaces.space import Architecture, Choice, FamilySpace, Space, default_stage

ABSENT = -1
CHUNK = 1 << 15  # candidates whose gathers stay in the processor's cache


class FamilyTable:
    """One family's choices by number, as the study writes them (fixed parameters dropped), and how they neighbour."""

    def __init__(self, space: FamilySpace) -> None:
        self.space = space
        self.shared_choices = tuple(space.shared_choices())
        self.stage_choices = tuple(tuple(space.stage_choices(stage)) for stage in range(len(space.stages)))
        self.shared_values = tuple(space.architecture(choice, ()).values for choice in self.shared_choices)
        self.stage_values = tuple(
            tuple(space.architecture((), ((),) * stage + (choice,)).values for choice in choices)
            for stage, choices in enumerate(self.stage_choices)
        )
        self._shared_numbers = _numbered(self.shared_values)
        self._stage_numbers = tuple(_numbered(values) for values in self.stage_values)
        self._segments = {
            name: segment
            for segment, choices in enumerate((self.shared_values, *self.stage_values))
            for values in choices
            for name, _ in values
        }

    def numbers(self, architecture: Architecture) -> tuple[int, tuple[int, ...]]:
        """The number of the shared choice and those of the stages. ValueError where it is no point of this space."""
        parts: list[list[tuple[str, object]]] = [[] for _ in range(1 + len(self.space.stages))]
        try:
            for value in architecture.values:
                parts[self._segments[value[0]]].append(value)
            shared = self._shared_numbers[tuple(parts[0])]
            stages = zip(self._stage_numbers, parts[1:], strict=True)
            return shared, tuple(numbers[tuple(part)] for numbers, part in stages)
        except KeyError:
            return self._numbers_with_reason(architecture)

    def _numbers_with_reason(self, architecture: Architecture) -> tuple[int, tuple[int, ...]]:
        """Reads values in another order; says what is wrong with those that are no point of the space."""
        shared, stages = self.space.split(architecture)
        return self.numbers(self.space.architecture(shared, stages))

    @cached_property
    def neighbouring(self) -> tuple[Neighbouring, ...]:
        """Of the shared choices, then of each stage's."""
        return tuple(Neighbouring(choices) for choices in (self.shared_choices, *self.stage_choices))


class Neighbouring:
    """Which choices differ in one parameter: one that matters in both; others may matter in only one of the two."""

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        names = list(dict.fromkeys(name for choice in choices for name, _ in choice))
        values = [list(dict.fromkeys(dict(choice).get(name, None) for choice in choices)) for name in names]
        self._values = np.array(
            [
                [
                    known.index(given[name]) if name in given else ABSENT
                    for name, known in zip(names, values, strict=True)
                ]
                for given in map(dict, choices)
            ],
            dtype=np.int32,
        ).reshape(len(choices), len(names))
        self._found: dict[int, Integers] = {}

    def of(self, choice: int) -> Integers:
        """The numbers of the choices that neighbour this one."""
        if choice not in self._found:
            own = self._values[choice]
            differ = (self._values != own) & (self._values != ABSENT) & (own != ABSENT)
            self._found[choice] = np.flatnonzero(differ.sum(axis=1) == 1)
        return self._found[choice]


class CostTables:
    """All networks of a space as chains of cost tables, and their architectures as codes.

    Made once for a space: some 0.1 ms for each choice of a stage, incoming shape and chain. ValueError names a family
    of which no network can be made.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.families = tuple(FamilyTable(family) for family in space.families)
        self.chains = tuple(
            chain for number, family in enumerate(self.families) for chain in read_chains(number, family, space.task)
        )
        self.stages = max(len(chain.layers) - 2 for chain in self.chains)
        self._family_numbers = {family.space.family: number for number, family in enumerate(self.families)}
        self._chain_numbers = {(chain.family, chain.shared): number for number, chain in enumerate(self.chains)}
        self._gathers = _Gathers(self.chains, self.stages)

    def encode(self, architectures: Sequence[Architecture]) -> Integers:
        """Codes (n, 1 + stages). ValueError where an architecture is no point of the space or makes no network."""
        codes = np.full((len(architectures), 1 + self.stages), ABSENT, dtype=np.int64)
        for row, architecture in zip(codes, architectures, strict=True):
            shared, stages = self._family(architecture.family).numbers(architecture)
            chain = self._chain_numbers.get((self._family_numbers[architecture.family], shared))
            if chain is None:
                raise ValueError(f"{architecture.family}: {architecture.parameters} makes no network")
            row[0] = chain
            row[1 : 1 + len(stages)] = stages
        return codes

    def decode(self, codes: Integers) -> list[Architecture]:
        """The architectures of codes (n, 1 + stages)."""
        return [self._architecture(row) for row in codes.tolist()]

    def costs(self, codes: Integers) -> Integers:
        """Exact costs (n, columns in the order of COLUMNS). ValueError names a code that makes no network."""
        costs, valid = self.candidate_costs(codes)
        if not valid.all():
            wrong = codes[int(np.argmin(valid))][None]
            raise ValueError(f"{self.decode(wrong)[0].parameters} makes no network")
        return costs

    def candidate_costs(self, codes: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Costs (n, columns) and a mask (n,) of the codes that make a network; the other rows mean nothing."""
        costs = np.empty((len(codes), len(COLUMNS)), dtype=np.int64)
        valid = np.empty(len(codes), dtype=bool)
        for start in range(0, len(codes), CHUNK):
            part = slice(start, start + CHUNK)
            costs[part], valid[part] = self._gathers.walk(codes[part])
        return costs, valid

    def neighbours(self, codes: Integers) -> Integers:
        """The distinct networks that differ from one of these codes in one parameter; a family is never changed."""
        changed = [self._changed(code) for code in codes]
        found = np.unique(np.concatenate([codes[:0], *changed]), axis=0)
        return found[self.candidate_costs(found)[1]]

    def _changed(self, code: Integers) -> Integers:
        """Every change of one parameter, whether it makes a network or not."""
        chain = self.chains[int(code[0])]
        shared, *stages = self.families[chain.family].neighbouring
        parents = (self._chain_numbers.get((chain.family, other)) for other in shared.of(chain.shared).tolist())
        columns = [np.array([number for number in parents if number is not None], dtype=np.int64)]
        columns += [stage.of(int(choice)) for stage, choice in zip(stages, code[1:], strict=False)]
        changed = np.repeat(code[None], sum(map(len, columns)), axis=0)
        position = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
        changed[np.arange(len(changed)), position] = np.concatenate(columns)
        return changed

    def _family(self, name: str) -> FamilyTable:
        self.space.family(name)
        return self.families[self._family_numbers[name]]

    def _architecture(self, row: list[int]) -> Architecture:
        chain = self.chains[row[0]]
        family = self.families[chain.family]
        values = family.shared_values[chain.shared]
        for stage, choice in zip(family.stage_values, row[1:], strict=False):
            values += stage[choice]
        return Architecture(family=family.space.family, values=values)


def read_chains(number: int, family: FamilyTable, task: Task) -> Iterator[Chain]:
    """The chains of one family: whole-network choices of which no network can be made are left out."""
    made = FAMILIES[family.space.family]
    stages = [
        [replace(default_stage(made, stage), **dict(choice)) for choice in choices]
        for stage, choices in enumerate(family.stage_choices)
    ]
    refusals: list[str] = []
    for index, choice in enumerate(family.shared_choices):
        try:
            layers = read_layers(made, family.space.network(choice, ()).shared, stages, task)
        except ValueError as error:
            refusals.append(str(error))
        else:
            yield Chain(family=number, shared=index, layers=layers)
    if len(refusals) == len(family.shared_choices):
        raise ValueError(f"{made.name}: no network can be made in these ranges; for example {refusals[0]}")


class _Gathers:
    """Every layer of every chain laid end to end: a row for each incoming state and choice."""

    def __init__(self, chains: tuple[Chain, ...], stages: int) -> None:
        padded = [_padded(chain.layers, stages) for chain in chains]
        layers = [layer for chain in padded for layer in chain]
        sizes = [layer.target.size for layer in layers]
        self._targets = np.concatenate([layer.target.ravel() for layer in layers])
        self._costs = np.concatenate([layer.costs.reshape(-1, len(COLUMNS)) for layer in layers])
        self._start = np.cumsum([0, *sizes[:-1]]).reshape(len(chains), stages + 2)
        self._choices = np.array([layer.target.shape[1] for layer in layers]).reshape(len(chains), stages + 2)

    def walk(self, codes: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
        chain = codes[:, 0]
        choices = np.zeros((len(codes), self._start.shape[1]), dtype=np.int64)
        choices[:, 1:-1] = np.maximum(codes[:, 1:], 0)
        total = np.zeros((len(codes), len(COLUMNS)), dtype=np.int64)
        state = np.zeros(len(codes), dtype=np.int64)
        valid = np.ones(len(codes), dtype=bool)
        for layer in range(self._start.shape[1]):
            row = self._start[chain, layer] + state * self._choices[chain, layer] + choices[:, layer]
            part = self._costs[row]
            peak = np.maximum(total[:, ACTIVATION_BYTES], part[:, ACTIVATION_BYTES])
            total += part
            total[:, ACTIVATION_BYTES] = peak
            state = self._targets[row]
            valid &= state != INVALID
            np.maximum(state, 0, out=state)
        return total, valid


def _padded(layers: tuple[Layer, ...], stages: int) -> tuple[Layer, ...]:
    """The layers with as many stages as the longest chain: those put in before the head cost nothing."""
    states = np.arange(len(layers[-1].target))[:, None]
    idle = Layer(target=states, costs=np.zeros((len(states), 1, len(COLUMNS)), dtype=np.int64))
    return (*layers[:-1], *(idle,) * (stages + 2 - len(layers)), layers[-1])


def _numbered(values: Iterable[Choice]) -> dict[tuple[tuple[str, object], ...], int]:
    """From a choice to its number. Choices that differ in nothing that the study writes do not occur."""
    return {choice: number for number, choice in enumerate(values)}
