"""The networks that are measured: that of by_hand.py as a plan, and the narrowest and widest member of each family."""

from __future__ import annotations

from search_spaces.families.table import FAMILIES
from search_spaces.networks import Task, lower
from search_spaces.plan import Activation, Conv, Linear, Norm, Plan, PlanBuilder, Pool, Product
from search_spaces.space import make_space
from workers.units import GROUPED, NATIVE, chosen_forms, units

PARAMETERS = 25_354


def peer_plan() -> Plan:
    """The network of by_hand.py as a plan."""
    builder = PlanBuilder((3, 32, 32))
    builder.add(Conv(out_channels=64, kernel=3))
    builder.add(Norm())
    builder.add(Activation())
    for width, out, stride in ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)):
        groups = width // 8
        factors = (Conv(out_channels=width, groups=groups), Conv(out_channels=out, groups=groups))
        builder.add(Conv(out_channels=width, kernel=3, stride=stride, groups=width))
        builder.add(Product(factors=factors, shuffles=(groups, groups)))
        builder.add(Norm())
        builder.add(Activation())
    builder.add(Pool())
    builder.add(Linear(out_features=10))
    return builder.build()


def forms_named(plan: Plan, name: str) -> tuple[str, ...]:
    """`chosen`: the worker's own choice; else that form for every unit that has it."""
    if name == "chosen":
        return ()
    if name == NATIVE:
        return chosen_forms(plan, native=True)
    return tuple(name if name in unit.forms else GROUPED for unit in units(plan))


def members(family: str) -> dict[str, Plan]:
    """The narrowest and the widest member of a family's default space for 32 x 32 images, by its first choices."""
    task = Task()
    space = make_space(task, {family: {}}).families[0]
    shared = next(iter(space.shared_choices()))
    stages = [list(space.stage_choices(stage)) for stage in range(len(space.stages))]
    chosen = {"narrow": tuple(choices[0] for choices in stages), "wide": tuple(choices[-1] for choices in stages)}
    return {name: lower(FAMILIES[family], space.network(shared, picked), task) for name, picked in chosen.items()}
