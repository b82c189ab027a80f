"""A plan as a picture and as a table: its blocks as SVG, each distinct one once, and its layers with their costs."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from dashboards.lanes import CAPTION, Lanes, bar_height
from dashboards.words import compact, plain
from search_spaces.cost import Cost, cost
from search_spaces.plan import (
    Activation,
    Add,
    Conv,
    Linear,
    Node,
    Norm,
    Operation,
    Plan,
    PlanBuilder,
    Pool,
    Product,
    Shape,
    Shuffle,
    Tile,
)

MARGIN, HEAD, FOOT = 14.0, 40.0, 62.0  # pixels
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
LEGEND = (
    "Boxes: groups of a convolution (purple: spatial, blue: 1×1). Crossing: permutations. Orange: paths of one channel."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One node of a plan, as a line of a table."""

    place: str
    operation: str
    output: str
    params: int
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Neighbouring blocks that a residual connection ties together, or one block: nodes `first` up to `last`.

    `repeats` equal units follow each other; the first of them is drawn.
    """

    first: int
    last: int
    places: tuple[str, ...]
    repeats: int = 1


def layer_rows(plan: Plan) -> list[LayerRow]:
    """Every node but the input, in order; only what has weights has a cost."""
    return [
        LayerRow(
            place=node.place,
            operation=operation_words(node.operation, plan.nodes[node.inputs[0]].shape),
            output="x".join(map(str, node.shape)),
            params=price.params,
            macs=price.macs,
        )
        for node, price in ((node, _cost_alone(plan, node)) for node in plan.nodes[1:])
    ]


def draw_plan(plan: Plan, title: str = "") -> str:
    """The block diagram as one SVG element; its lines take the colour of the text around it."""
    most = max(node.shape[0] for node in plan.nodes)
    rows: list[str] = []
    bottom, right = 30.0, 740.0
    for unit in units(plan):
        half = _half_height(plan, unit, most)
        middle = bottom + HEAD + _room_above(plan, unit) + half
        lanes = _draw_unit(plan, unit, Lanes(channels=0, most_channels=most, middle=middle, half=half, x=MARGIN))
        rows += [_heading(plan, unit, bottom), *lanes.parts]
        bottom, right = middle + half + FOOT, max(right, lanes.x + MARGIN)
    name = html.escape(plain(title, 80) or "Block diagram")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {bottom:.0f}" width="{right:.0f}" '
        f'height="{bottom:.0f}" font-family="{FONT}" role="img" aria-label="{name}"><title>{name}</title>'
        f'<text x="{MARGIN}" y="20" font-size="12" fill="currentColor">{LEGEND}</text>{"".join(rows)}</svg>'
    )


def units(plan: Plan) -> list[Unit]:
    """The plan's units in order, equal neighbours of a stage put together."""
    joined: list[Unit] = []
    signatures: list[tuple[object, ...]] = []
    for unit in _single_units(plan):
        signature = _signature(plan, unit)
        if joined and signatures[-1] == signature:
            before = joined[-1]
            joined[-1] = Unit(
                first=before.first, last=before.last, places=before.places + unit.places, repeats=before.repeats + 1
            )
        else:
            joined.append(unit)
            signatures.append(signature)
    return joined


def operation_words(operation: Operation, given: Shape) -> str:
    """One operation in a few words, given the shape that it reads."""
    match operation:
        case Conv():
            return f"conv {_conv_words(operation, given[0])}"
        case Product(factors=factors):
            channels = [given[0], *(factor.out_channels for factor in factors)]
            return "product " + " · ".join(_conv_words(*pair) for pair in zip(factors, channels, strict=False))
        case Shuffle(groups=groups):
            return f"shuffle ({groups}, {given[0] // groups})"
        case Tile(channels=channels):
            return f"repeat channels to {channels}"
        case Norm():
            return "normalisation"
        case Activation(function=function):
            return function
        case Pool(kernel=0):
            return "mean over the map"
        case Pool(function=function, kernel=kernel, stride=stride):
            return f"{function} pool {kernel}×{kernel} /{stride}"
        case Linear(out_features=features):
            return f"linear {given[0] * given[1] * given[2]} → {features}"
        case _:
            return operation.kind


def _conv_words(conv: Conv, channels: int) -> str:
    words = f"{conv.kernel}×{conv.kernel}" + (f" /{conv.stride}" if conv.stride > 1 else "")
    if conv.groups > 1 and conv.groups == channels == conv.out_channels:
        return f"{words} channel-wise {channels}"
    return f"{words} {channels} → {conv.out_channels}" + (f", {conv.groups} groups" if conv.groups > 1 else "")


def _cost_alone(plan: Plan, node: Node) -> Cost:
    if isinstance(node.operation, Add):
        return Cost()
    builder = PlanBuilder(plan.nodes[node.inputs[0]].shape)
    builder.add(node.operation)
    return cost(builder.build())


def _single_units(plan: Plan) -> Iterator[Unit]:
    """Blocks in order, put together as long as a later one reads what only the first could have read."""
    blocks = list(_blocks(plan))
    index = 0
    while index < len(blocks):
        first, end = blocks[index][0], index + 1
        while end < len(blocks) and _reads_before(plan, blocks[end], blocks[end - 1][1]):
            end += 1
        places = tuple(_block(plan.nodes[block[0]]) for block in blocks[index:end])
        yield Unit(first=first, last=blocks[end - 1][1], places=places)
        index = end


def _reads_before(plan: Plan, block: tuple[int, int], entry: int) -> bool:
    """Whether a node of the block reads a tensor from before its entry, the node at index `entry`."""
    return any(source < entry for node in plan.nodes[block[0] : block[1] + 1] for source in node.inputs)


def _blocks(plan: Plan) -> Iterator[tuple[int, int]]:
    """(first, last) index of each run of nodes of one block, shortcuts included."""
    first = 1
    for index in range(1, len(plan.nodes)):
        if index + 1 == len(plan.nodes) or _block(plan.nodes[index + 1]) != _block(plan.nodes[index]):
            yield first, index
            first = index + 1


def _block(node: Node) -> str:
    return node.place.removesuffix("/shortcut")


def _signature(plan: Plan, unit: Unit) -> tuple[object, ...]:
    """What makes two units equal: stage, entry shape, operations, and where each reads from the unit's start on."""
    nodes = plan.nodes[unit.first : unit.last + 1]
    inner = tuple((node.operation, tuple(source - unit.first for source in node.inputs)) for node in nodes)
    return unit.places[0].split("/")[0], plan.nodes[unit.first - 1].shape, inner


def _half_height(plan: Plan, unit: Unit, most_channels: int) -> float:
    channels = [node.shape[0] for node in plan.nodes[unit.first - 1 : unit.last + 1]]
    return bar_height(max(channels), most_channels) / 2


def _room_above(plan: Plan, unit: Unit) -> float:
    """For residual connections and the brackets of products."""
    operations = [node.operation for node in plan.nodes[unit.first : unit.last + 1]]
    if any(isinstance(operation, Add) for operation in operations):
        return 44.0
    return 24.0 if any(isinstance(operation, Product) for operation in operations) else 6.0


def _draw_unit(plan: Plan, unit: Unit, lanes: Lanes) -> Lanes:
    """Draws the unit's main path with the given pen; the paths of one channel start anew with each block."""
    lanes.channels = plan.nodes[unit.first - 1].shape[0]
    ends, block = {unit.first - 1: lanes.x}, ""
    for index in range(unit.first, unit.last + 1):
        node = plan.nodes[index]
        if node.place.endswith("/shortcut"):
            continue
        if node.place != block:
            lanes.restart()
            block = node.place
        lanes.draw(node.operation, node.shape[0])
        ends[index] = lanes.x
        if isinstance(node.operation, Add):
            lanes.parts += _arcs(plan, node, ends, lanes)
    return lanes


def _heading(plan: Plan, unit: Unit, top: float) -> str:
    part = _unit_cost(plan, unit)
    shapes = " → ".join("×".join(map(str, plan.nodes[index].shape)) for index in (unit.first - 1, unit.last))
    stage, *block = unit.places[0].split("/")
    last = unit.places[-1].split("/")[-1]
    name = stage if not block else f"{stage}, {block[0]}" + (f" to {last}" if len(unit.places) > 1 else "")
    times = f" (drawn once, there are {unit.repeats})" if unit.repeats > 1 else ""
    costs = f"{compact(part.params)} parameters, {compact(part.macs)} MACs" + (" each" if unit.repeats > 1 else "")
    return (
        f'<text x="{MARGIN}" y="{top + 16:.0f}" font-size="13" font-weight="600" fill="currentColor">'
        f"{html.escape(name)}{times}</text>"
        f'<text x="{MARGIN}" y="{top + 32:.0f}" font-size="11" fill="currentColor" fill-opacity=".75">'
        f"{shapes}; {costs}</text>"
    )


def _unit_cost(plan: Plan, unit: Unit) -> Cost:
    total = Cost()
    for node in plan.nodes[unit.first : unit.last + 1]:
        total = total + _cost_alone(plan, node)
    return total


def _arcs(plan: Plan, add: Node, ends: dict[int, float], lanes: Lanes) -> Iterator[str]:
    """The residual connection of a sum, with what lies on it."""
    for source in add.inputs[1:]:
        words: list[str] = []
        while source not in ends and plan.nodes[source].inputs:
            node = plan.nodes[source]
            words.insert(0, operation_words(node.operation, plan.nodes[node.inputs[0]].shape))
            source = node.inputs[0]
        left, x, y = ends.get(source, MARGIN) - 2, lanes.x - 14, lanes.middle - lanes.half - 24
        text = html.escape(", ".join(words) or "identity")
        yield (
            f'<path d="M{left:.0f} {lanes.middle:.0f}V{y:.0f}H{x:.0f}V{lanes.middle - 10:.0f}" fill="none" '
            f'stroke="currentColor" stroke-dasharray="4 3"/>'
            f'<text x="{(left + x) / 2:.0f}" y="{y - 4:.0f}" {CAPTION}>{text}</text>'
        )
