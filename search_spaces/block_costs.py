"""Tables of block costs, read off plans: what stem, stages and head cost for every choice and every incoming shape.

Nothing but the shape passes from stage to stage, so a stage built alone on the shape it is given costs what it costs
inside the network. There is no second formula: every number comes from `cost` of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from search_spaces.cost import BYTES_PER_ACTIVATION, live_sizes, stage_costs
from search_spaces.networks import AnyFamily, Task
from search_spaces.plan import Operation, PlanBuilder, Shape, output_shape

Integers = npt.NDArray[np.int64]
CostName = Literal["params", "macs", "activation_bytes", "depth"]
COLUMNS: tuple[CostName, ...] = get_args(CostName)  # the order of the last axis of every cost array
PARAMS, MACS, ACTIVATION_BYTES, DEPTH = range(len(COLUMNS))
INVALID = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One step of a network (stem, a stage, or head) for every incoming state (a shape, by number) and every choice.

    `target` (states, choices): the state it leaves, INVALID where the choice makes no network from here.
    `costs` (states, choices, columns): what the step alone costs.
    """

    target: Integers
    costs: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The layers of all networks of one family that share the whole-network parameters: stem, stages, head.

    `family` and `shared` are numbers: of the family in its space, of the choice among the family's shared choices.
    """

    family: int
    shared: int
    layers: tuple[Layer, ...]


def merge_costs(total: Integers, part: Integers) -> Integers:
    """Costs (…, columns) of two parts together: sums, but for activation memory the larger."""
    merged = total + part
    merged[..., ACTIVATION_BYTES] = np.maximum(total[..., ACTIVATION_BYTES], part[..., ACTIVATION_BYTES])
    return merged


def read_layers(family: AnyFamily, shared: Any, stages: list[list[Any]], task: Task) -> tuple[Layer, ...]:
    """Stem, stages and head of one choice of whole-network parameters; `stages[i]` lists stage i's parameters.

    ValueError with the first reason found where no choice of the stages makes a network.
    """
    reader = _Reader([task.input_shape])
    reader.read("stem", 1, lambda builder, _: family.stem(builder, shared))
    for number, choices in enumerate(stages, 1):
        reader.read(f"stage{number}", len(choices), _stage_appender(family, shared, choices, number))
    reader.read("head", 1, lambda builder, _: family.head(builder, shared, task))
    layers = tuple(_without_dead_ends(reader.layers))
    if not (layers[0].target != INVALID).any():
        raise ValueError(reader.refusals[-1])
    return layers


Append = Callable[["CostBuilder", int], None]


def _stage_appender(family: AnyFamily, shared: Any, choices: list[Any], number: int) -> Append:
    return lambda builder, choice: family.stage(builder, shared, choices[choice], number)


class _Reader:
    """Reads layer after layer; `refusals` keeps one reason for each layer in which some choice makes no network."""

    def __init__(self, states: list[Shape]) -> None:
        self.layers: list[Layer] = []
        self.refusals: list[str] = []
        self._states = states

    def read(self, place: str, choices: int, append: Append) -> None:
        target = np.full((len(self._states), choices), INVALID, dtype=np.int64)
        costs = np.zeros((len(self._states), choices, len(COLUMNS)), dtype=np.int64)
        after: dict[Shape, int] = {}
        refusal = ""
        for state, shape in enumerate(self._states):
            for choice in range(choices):
                builder = CostBuilder(shape, place)
                try:
                    append(builder, choice)
                except ValueError as error:
                    refusal = refusal or str(error)
                    continue
                target[state, choice] = after.setdefault(builder.shape(), len(after))
                costs[state, choice] = builder.costs()
        self.refusals += [refusal] if refusal else []
        self.layers.append(Layer(target=target, costs=costs))
        self._states = list(after)


def _without_dead_ends(layers: list[Layer]) -> Iterator[Layer]:
    """Drops choices that leave a state from which no network can be finished."""
    alive = [(layers[-1].target != INVALID).any(axis=1)]
    for layer in layers[-2::-1]:
        layer.target[(layer.target != INVALID) & ~np.append(alive[-1], False)[layer.target]] = INVALID
        alive.append((layer.target != INVALID).any(axis=1))
    return iter(layers)


class _Step(NamedTuple):
    shape: Shape
    params: int
    macs: int
    depth: int


class CostBuilder(PlanBuilder):
    """Stands where a plan's builder stands and keeps each node's size and cost instead of the node."""

    def __init__(self, input_shape: Shape, place: str) -> None:
        self.place = place
        self._shapes = [input_shape]
        self._inputs: list[tuple[int, ...]] = [()]
        self._steps: list[_Step] = []

    @property
    def last(self) -> int:
        return len(self._shapes) - 1

    def shape(self, index: int | None = None) -> Shape:
        return self._shapes[-1 if index is None else index]

    def add(self, operation: Operation, *inputs: int) -> int:
        sources = inputs or (len(self._shapes) - 1,)
        given = self._shapes[sources[0]]
        try:
            if len(sources) > 1 and any(self._shapes[source] != given for source in sources):
                raise ValueError("the inputs are not of one shape")
            step = _read_step(operation, given, len(sources), self.place.endswith("/shortcut"))
        except ValueError:
            output_shape(operation, [self._shapes[source] for source in sources], self.place)
            raise
        self._steps.append(step)
        self._shapes.append(step.shape)
        self._inputs.append(sources)
        return len(self._shapes) - 1

    def costs(self) -> tuple[int, int, int, int]:
        """One row of a cost array."""
        sizes = [BYTES_PER_ACTIVATION * channels * height * width for channels, height, width in self._shapes]
        peak = max(live_sizes(sizes, self._inputs))
        steps = self._steps
        return sum(s.params for s in steps), sum(s.macs for s in steps), peak, sum(s.depth for s in steps)


@lru_cache(maxsize=1 << 17)
def _read_step(operation: Operation, given: Shape, inputs: int, beside: bool) -> _Step:
    """One operation's shape and cost: that of the plan that holds nothing else."""
    builder = PlanBuilder(given)
    builder.place = "step/shortcut" if beside else "step"
    builder.add(operation, *[0] * inputs)
    plan = builder.build()
    whole = stage_costs(plan)["step"]
    return _Step(plan.output_shape, whole.params, whole.macs, whole.depth)
