"""A network as data: an immutable graph of operations in topological order.

Shapes are (channels, height, width) of one image. A plan is checked when it is made: every node's input shapes fit its
operation, and the arithmetic stands in the message where they do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Literal

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The image: the first node of every plan, and the only one without inputs."""

    kind: ClassVar[str] = "input"
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """A group convolution with a square, odd kernel and padding kernel // 2 (so stride 1 keeps the size)."""

    kind: ClassVar[str] = "conv"
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An interleaved product: linear group convolutions, each followed by a channel shuffle, nothing in between.

    `factors[i]` is applied first to last; `shuffles[i]` is the number of groups of the shuffle after factor i (1: none).
    How a product is executed is the worker's choice and never changes its cost.
    Source: IGCV1 eq. 6 (x' = P W^s P^T W^p x), IGCV2 eq. 1 (y = P_L W_L ... P_1 W_1 x).
    """

    kind: ClassVar[str] = "product"
    factors: tuple[Conv, ...]
    shuffles: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle:
    """The channel permutation (g, k) -> (k, g): channels read as (groups, C/groups) and transposed."""

    kind: ClassVar[str] = "shuffle"
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The channels over and over until there are `channels` of them: output channel i is input channel i mod C."""

    kind: ClassVar[str] = "tile"
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """Batch normalisation with a trained scale and offset for each channel."""

    kind: ClassVar[str] = "norm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A pointwise nonlinearity."""

    kind: ClassVar[str] = "activation"
    function: Literal["relu", "relu6"] = "relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """The sum of two or more tensors of one shape (the residual connection)."""

    kind: ClassVar[str] = "add"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Pooling: `kernel` 0 averages over the whole map; max pooling pads kernel // 2, average pooling pads nothing."""

    kind: ClassVar[str] = "pool"
    function: Literal["max", "average"] = "average"
    kernel: int = 0
    stride: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A fully connected layer on the flattened input; its output shape is (out_features, 1, 1)."""

    kind: ClassVar[str] = "linear"
    out_features: int
    bias: bool = True


Operation = Input | Conv | Product | Shuffle | Tile | Norm | Activation | Add | Pool | Linear
OPERATIONS: Mapping[str, type[Operation]] = {
    operation.kind: operation
    for operation in (Input, Conv, Product, Shuffle, Tile, Norm, Activation, Add, Pool, Linear)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation: `inputs` are indices of earlier nodes, `place` is `stage/block` (`…/shortcut` beside the main path)."""

    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape
    place: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network. The last node is the output."""

    nodes: tuple[Node, ...]
    _key: list[str] = field(default_factory=list, init=False, repr=False, compare=False)
    _json: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.nodes or not isinstance(self.nodes[0].operation, Input):
            raise ValueError("a plan starts with its Input node")
        for index, node in enumerate(self.nodes):
            if any(not 0 <= source < index for source in node.inputs):
                raise ValueError(f"node {index} ({node.place}): inputs {node.inputs} are not all earlier nodes")
            expected = output_shape(node.operation, [self.nodes[source].shape for source in node.inputs], node.place)
            if node.shape != expected:
                raise ValueError(f"node {index} ({node.place}): shape {node.shape} given, {expected} computed")

    @property
    def input_shape(self) -> Shape:
        return self.nodes[0].shape

    @property
    def output_shape(self) -> Shape:
        return self.nodes[-1].shape

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name the network: equal for plans that compute the same graph (places aside)."""
        if not self._key:
            graph = [f"[{_operation_to_json(node.operation, True)},{_compact(node.inputs)}]" for node in self.nodes]
            text = f"[{','.join(graph)}]"
            self._key.append(hashlib.sha256(text.encode()).hexdigest()[:16])
        return self._key[0]

    def places(self) -> tuple[str, ...]:
        """The places in order of first appearance."""
        return tuple(dict.fromkeys(node.place for node in self.nodes))

    def __reduce__(self) -> tuple[Callable[[str], Plan], tuple[str]]:
        """A plan travels between processes as its JSON, which is made once: pickling every node costs far more."""
        return plan_from_json, (plan_to_json(self),)


class PlanBuilder:
    """Makes a plan node by node; each `add` returns the index of the new node, to be used as a later node's input."""

    def __init__(self, input_shape: Shape) -> None:
        self.place = "input"
        self._nodes: list[Node] = []
        self._append(Input(shape=input_shape), ())

    @property
    def last(self) -> int:
        return len(self._nodes) - 1

    def shape(self, index: int | None = None) -> Shape:
        return self._nodes[self.last if index is None else index].shape

    def add(self, operation: Operation, *inputs: int) -> int:
        """Appends an operation on `inputs` (the last node where none is given)."""
        return self._append(operation, inputs or (self.last,))

    def _append(self, operation: Operation, inputs: tuple[int, ...]) -> int:
        shape = output_shape(operation, [self._nodes[source].shape for source in inputs], self.place)
        self._nodes.append(Node(operation=operation, inputs=inputs, shape=shape, place=self.place))
        return self.last

    def build(self) -> Plan:
        return Plan(tuple(self._nodes))


def output_shape(operation: Operation, inputs: list[Shape], place: str = "") -> Shape:
    """The shape that an operation makes of its inputs' shapes; ValueError with the arithmetic where they do not fit."""
    where = f"{place}: " if place else ""
    if isinstance(operation, Input):
        return _checked_input(operation, inputs, where)
    if isinstance(operation, Add):
        if len(inputs) < 2 or len(set(inputs)) != 1:
            raise ValueError(f"{where}an add needs two or more inputs of one shape, given {inputs}")
        return inputs[0]
    if len(inputs) != 1:
        raise ValueError(f"{where}{operation.kind} takes one input, given {len(inputs)}")
    channels, height, width = inputs[0]
    match operation:
        case Conv():
            return _conv_shape(operation, inputs[0], where)
        case Product():
            return _product_shape(operation, inputs[0], where)
        case Shuffle(groups=groups):
            _check_divides(groups, channels, f"{where}shuffle groups")
            return inputs[0]
        case Tile(channels=tiled):
            if tiled < channels:
                raise ValueError(f"{where}a tile repeats channels, it cannot make {tiled} of {channels}")
            return tiled, height, width
        case Pool(kernel=0):
            return channels, 1, 1
        case Pool(kernel=kernel, stride=stride, function=function):
            padding = kernel // 2 if function == "max" else 0
            return channels, _strided(height, kernel, stride, padding), _strided(width, kernel, stride, padding)
        case Linear(out_features=features):
            return features, 1, 1
        case _:
            return inputs[0]


def _checked_input(operation: Input, inputs: list[Shape], where: str) -> Shape:
    if inputs or len(operation.shape) != 3 or min(operation.shape) < 1:
        raise ValueError(f"{where}an input has a shape (channels, height, width) >= 1 and no inputs: {operation.shape}")
    return operation.shape


def _check_divides(divisor: int, number: int, what: str) -> None:
    if divisor < 1 or number % divisor:
        remainder = f" (remainder {number % divisor})" if divisor > 0 else ""
        raise ValueError(f"{what}: {divisor} does not divide {number} channels{remainder}")


def _conv_shape(conv: Conv, given: Shape, where: str) -> Shape:
    channels, height, width = given
    if conv.out_channels < 1 or conv.kernel < 1 or conv.kernel % 2 == 0 or conv.stride < 1:
        raise ValueError(f"{where}a convolution has out_channels and stride >= 1 and an odd kernel, given {conv}")
    _check_divides(conv.groups, channels, f"{where}convolution groups on the input")
    _check_divides(conv.groups, conv.out_channels, f"{where}convolution groups on the output")
    padding = conv.kernel // 2
    size = [_strided(length, conv.kernel, conv.stride, padding) for length in (height, width)]
    return conv.out_channels, size[0], size[1]


def _product_shape(product: Product, given: Shape, where: str) -> Shape:
    if not product.factors or len(product.factors) != len(product.shuffles):
        raise ValueError(
            f"{where}a product has as many shuffles as factors and at least one factor, "
            f"given {len(product.factors)} factors and {len(product.shuffles)} shuffles"
        )
    shape = given
    for factor, groups in zip(product.factors, product.shuffles, strict=True):
        shape = _conv_shape(factor, shape, where)
        _check_divides(groups, shape[0], f"{where}shuffle groups")
    return shape


def _strided(length: int, kernel: int, stride: int, padding: int) -> int:
    size = (length + 2 * padding - kernel) // stride + 1
    if size < 1:
        raise ValueError(f"a kernel of {kernel} with stride {stride} does not fit a length of {length}")
    return size


def factor_shapes(product: Product, given: Shape) -> Iterator[tuple[Conv, Shape, Shape]]:
    """Each factor with the shape it reads and the shape it writes."""
    shape = given
    for factor in product.factors:
        after = _conv_shape(factor, shape, "")
        yield factor, shape, after
        shape = after


def plan_to_json(plan: Plan) -> str:
    """The plan as one line of JSON, read back by `plan_from_json`."""
    if not plan._json:
        rows = [
            f'{{"op":{_operation_to_json(node.operation)},"inputs":{_compact(node.inputs)},"place":{_compact(node.place)}}}'
            for node in plan.nodes
        ]
        plan._json.append(f"[{','.join(rows)}]")
    return plan._json[0]


def plan_from_json(text: str) -> Plan:
    """Reads `plan_to_json`'s text; shapes are computed and checked again. ValueError where it is no plan."""
    nodes: list[Node] = []
    try:
        for row in json.loads(text):
            operation, inputs = _operation_from_json(row["op"]), tuple(row["inputs"])
            shape = output_shape(operation, [nodes[source].shape for source in inputs], row["place"])
            nodes.append(Node(operation=operation, inputs=inputs, shape=shape, place=row["place"]))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a plan: {error!r}") from error
    return Plan(tuple(nodes))


@lru_cache(maxsize=4096)
def _operation_to_json(operation: Operation, sort_keys: bool = False) -> str:
    return _compact({"kind": operation.kind, **asdict(operation)}, sort_keys)


def _compact(value: Any, sort_keys: bool = False) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys)


def _operation_from_json(row: dict[str, Any]) -> Operation:
    values = dict(row)
    kind = values.pop("kind")
    if kind not in OPERATIONS:
        raise ValueError(f"unknown operation {kind!r}; known: {', '.join(OPERATIONS)}")
    if kind == "product":
        values["factors"] = tuple(Conv(**factor) for factor in values["factors"])
        values["shuffles"] = tuple(values["shuffles"])
    if kind == "input":
        values["shape"] = tuple(values["shape"])
    return OPERATIONS[kind](**values)
