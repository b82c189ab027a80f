"""What a family is: typed parameters of a whole network and of each stage, and how they lower to a plan.

A network is stem, stages, head. Nothing but the tensor's shape passes from one stage to the next, so costs add up over
stages and the feasible set can be counted without listing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from search_spaces.plan import Plan, PlanBuilder, Shape

Value = int | float | str | bool
SharedT = TypeVar("SharedT")
StageT = TypeVar("StageT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the network is asked: square images of `channels` channels, sorted into `classes`."""

    image_size: int = 32
    channels: int = 3
    classes: int = 10

    @property
    def input_shape(self) -> Shape:
        return self.channels, self.image_size, self.image_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The values that one parameter may take. `when` = (another parameter, its values that make this one matter)."""

    name: str
    values: tuple[Value, ...]
    when: tuple[str, tuple[Value, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Generic[SharedT, StageT]):
    """The full parameters of one network of a family: what `lower` turns into a plan."""

    family: str
    shared: SharedT
    stages: tuple[StageT, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[SharedT, StageT]):
    """One family of networks.

    `shared_type` and `stage_type` are frozen dataclasses with defaults (a stage has at least `width`, `blocks` and
    `stride`); `shared_domains` and `stage_domains` are what is searched unless an experiment says otherwise, the latter
    one tuple for each stage. `stem`, `stage` and `head` append nodes; `stage` gets the stage's number from 1.
    They raise ValueError with the arithmetic where parameters make no network.
    """

    name: str
    summary: str
    shared_type: type[SharedT]
    stage_type: type[StageT]
    shared_domains: tuple[Domain, ...]
    stage_domains: tuple[tuple[Domain, ...], ...]
    default_stages: tuple[StageT, ...]
    stem: Callable[[PlanBuilder, SharedT], None]
    stage: Callable[[PlanBuilder, SharedT, StageT, int], None]
    head: Callable[[PlanBuilder, SharedT, Task], None]


def lower(family: Family[SharedT, StageT], network: Network[SharedT, StageT], task: Task) -> Plan:
    """The plan of a network. ValueError where its parameters make none."""
    builder = PlanBuilder(task.input_shape)
    builder.place = "stem"
    family.stem(builder, network.shared)
    for number, stage in enumerate(network.stages, 1):
        builder.place = f"stage{number}"
        family.stage(builder, network.shared, stage, number)
    builder.place = "head"
    family.head(builder, network.shared, task)
    return builder.build()


Parameters = Mapping[str, Value]
AnyFamily = Family[Any, Any]
AnyNetwork = Network[Any, Any]
