"""The block diagram and the layer table agree with the plan that they show."""

import re
from xml.etree import ElementTree

import pytest

from dashboards.diagram import draw_plan, layer_rows, units
from dashboards.lanes import Lanes
from search_spaces.cost import cost
from search_spaces.families.table import FAMILIES
from search_spaces.networks import Network, Task, lower
from search_spaces.plan import Activation, Add, Conv, Linear, Norm, Plan, PlanBuilder, Pool, Product, Shuffle, Tile
from tests.dashboards.sample import HOSTILE

NAMESPACE = "{http://www.w3.org/2000/svg}"


def default_plan(name: str) -> Plan:
    family = FAMILIES[name]
    network = Network(family=name, shared=family.shared_type(), stages=family.default_stages)
    return lower(family, network, Task())


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{NAMESPACE}text")]


def pen(channels: int) -> Lanes:
    lanes = Lanes(channels=channels, most_channels=channels, middle=100, half=60, x=0)
    lanes.restart()
    return lanes


@pytest.mark.parametrize("name", FAMILIES)
def test_the_layers_of_each_family_sum_to_its_cost(name: str) -> None:
    plan = default_plan(name)
    rows = layer_rows(plan)
    assert len(rows) == len(plan.nodes) - 1
    assert sum(row.params for row in rows) == cost(plan).params
    assert sum(row.macs for row in rows) == cost(plan).macs


@pytest.mark.parametrize("name", FAMILIES)
def test_the_units_of_each_family_hold_every_block_once(name: str) -> None:
    plan = default_plan(name)
    shown = [place for unit in units(plan) for place in unit.places]
    assert shown == [place for place in plan.places()[1:] if not place.endswith("/shortcut")]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_drawn_as_well_formed_svg_with_its_stages(name: str) -> None:
    plan = default_plan(name)
    svg = draw_plan(plan, title=HOSTILE)
    headings = " ".join(texts(svg))
    assert all(place.split("/")[0] in headings for place in plan.places()[1:])
    assert not [element for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("script")]


def test_the_paths_of_a_strict_product_reach_every_channel_once() -> None:
    lanes = pen(64)
    factors = tuple(Conv(out_channels=64, groups=groups) for groups in (16, 16, 16))
    for step, factor in enumerate(factors, 1):
        lanes.draw(Product(factors=(factor,), shuffles=(16,)), 64)
        assert len(lanes.reached) == 4**step
    assert lanes.reached == set(range(64))


def test_the_paths_follow_the_shuffle() -> None:
    lanes = pen(6)  # starts at channel 2
    lanes.draw(Shuffle(groups=2), 6)
    assert lanes.reached == {4}  # (g, k) = (0, 2) of (2, 3) goes to (2, 0) of (3, 2)


def test_paths_stay_within_their_group() -> None:
    lanes = pen(12)  # starts at channel 4, in the second of three groups
    lanes.draw(Conv(out_channels=24, groups=3), 24)
    assert lanes.reached == set(range(8, 16))


def test_tiles_repeat_the_paths() -> None:
    lanes = pen(3)
    lanes.draw(Tile(channels=7), 7)
    assert lanes.reached == {1, 4}


def residual_plan(blocks: int) -> Plan:
    builder = PlanBuilder((4, 8, 8))
    for number in range(1, blocks + 1):
        builder.place = f"stage1/block{number}"
        entry = builder.last
        builder.add(Conv(out_channels=4, groups=2))
        builder.add(Norm())
        builder.add(Add(), builder.last, entry)
        builder.add(Activation())
    builder.place = "head"
    builder.add(Pool())
    builder.add(Linear(out_features=3))
    return builder.build()


def test_equal_blocks_are_drawn_once_and_counted() -> None:
    first, head = units(residual_plan(5))
    assert (first.repeats, len(first.places), head.places) == (5, 5, ("head",))
    svg = draw_plan(residual_plan(5))
    assert "stage1, block1 to block5 (drawn once, there are 5)" in texts(svg)
    assert texts(svg).count("identity") == 1


def test_a_connection_around_two_blocks_ties_them_together() -> None:
    builder = PlanBuilder((4, 8, 8))
    for pair in range(2):
        entry = builder.last
        for half in (1, 2):
            builder.place = f"stage1/block{2 * pair + half}"
            builder.add(Conv(out_channels=4))
        builder.add(Add(), builder.last, entry)
    (unit,) = units(builder.build())
    assert (unit.repeats, unit.places) == (2, tuple(f"stage1/block{number}" for number in (1, 2, 3, 4)))


def test_a_wide_network_stays_a_small_picture() -> None:
    builder = PlanBuilder((2048, 4, 4))
    builder.place = "stage1/block1"
    factors = (Conv(out_channels=2048, kernel=3, groups=2048), Conv(out_channels=2048, groups=32))
    builder.add(Product(factors=factors, shuffles=(1, 32)))
    svg = draw_plan(builder.build())
    assert len(svg) < 60_000
    assert len(re.findall("<path", svg)) < 200
