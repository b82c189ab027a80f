"""The exact cost of a plan, read off its nodes; nothing is built and nothing is measured.

Units: MACs are multiply-adds of convolutions and linear layers for one image (what the IGC papers call FLOPs);
FLOPs = 2 * MACs, as PyTorch's counter has it. Activation bytes are those of one fp32 inference of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.plan import Conv, Linear, Node, Norm, Plan, Product, Shape, factor_shapes

BYTES_PER_ACTIVATION = 4  # fp32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network, or a part of one, costs. Costs of parts add up; activation memory takes the larger."""

    params_conv: int = 0
    params_norm: int = 0
    params_linear: int = 0
    macs_conv: int = 0
    macs_linear: int = 0
    activation_bytes: int = 0
    depth: int = 0

    @property
    def params(self) -> int:
        """All trainable parameters."""
        return self.params_conv + self.params_norm + self.params_linear

    @property
    def macs(self) -> int:
        return self.macs_conv + self.macs_linear

    @property
    def flops(self) -> int:
        return 2 * self.macs

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            params_conv=self.params_conv + other.params_conv,
            params_norm=self.params_norm + other.params_norm,
            params_linear=self.params_linear + other.params_linear,
            macs_conv=self.macs_conv + other.macs_conv,
            macs_linear=self.macs_linear + other.macs_linear,
            activation_bytes=max(self.activation_bytes, other.activation_bytes),
            depth=self.depth + other.depth,
        )


def cost(plan: Plan) -> Cost:
    """The whole network's cost. `depth` counts layers with weights on the main path, an interleaved product as one."""
    total = Cost()
    for part in stage_costs(plan).values():
        total = total + part
    return total


def stage_costs(plan: Plan) -> dict[str, Cost]:
    """The cost of each stage (the first part of a place), in order; their sum is the cost of the plan."""
    live = live_bytes(plan)
    costs: dict[str, Cost] = {}
    for node, live_at_node in zip(plan.nodes, live, strict=True):
        stage = node.place.split("/")[0]
        costs[stage] = costs.get(stage, Cost()) + _node_cost(plan, node, live_at_node)
    return costs


def live_bytes(plan: Plan) -> list[int]:
    """For each node, the bytes of all tensors alive while it runs: its inputs, its output, and whatever is read later.

    Every node writes a tensor of its own (nothing in place); an interleaved product is one node, without inner tensors.
    """
    sizes = [BYTES_PER_ACTIVATION * _elements(node.shape) for node in plan.nodes]
    return live_sizes(sizes, [node.inputs for node in plan.nodes])


def live_sizes(sizes: Sequence[int], inputs: Sequence[tuple[int, ...]]) -> list[int]:
    """`live_bytes` of a graph given as each node's own size and the indices of its inputs."""
    last_use = list(range(len(sizes)))
    for index, sources in enumerate(inputs):
        for source in sources:
            last_use[source] = index
    ending = [0] * len(sizes)
    for index, end in enumerate(last_use):
        ending[end] += sizes[index]
    alive: list[int] = []
    current = 0
    for size, ended in zip(sizes, ending, strict=True):
        current += size
        alive.append(current)
        current -= ended
    return alive


def _elements(shape: Shape) -> int:
    channels, height, width = shape
    return channels * height * width


def _node_cost(plan: Plan, node: Node, live_at_node: int) -> Cost:
    on_main_path = 0 if node.place.endswith("/shortcut") else 1
    given = plan.nodes[node.inputs[0]].shape if node.inputs else node.shape
    match node.operation:
        case Conv() as conv:
            params, macs = _conv_cost(conv, given, node.shape)
            return Cost(params_conv=params, macs_conv=macs, activation_bytes=live_at_node, depth=on_main_path)
        case Product() as product:
            parts = [_conv_cost(*factor) for factor in factor_shapes(product, given)]
            return Cost(
                params_conv=sum(params for params, _ in parts),
                macs_conv=sum(macs for _, macs in parts),
                activation_bytes=live_at_node,
                depth=on_main_path,
            )
        case Norm():
            return Cost(params_norm=2 * node.shape[0], activation_bytes=live_at_node)
        case Linear() as linear:
            weights = _elements(given) * linear.out_features
            bias = linear.out_features if linear.bias else 0
            return Cost(
                params_linear=weights + bias, macs_linear=weights, activation_bytes=live_at_node, depth=on_main_path
            )
        case _:
            return Cost(activation_bytes=live_at_node)


def _conv_cost(conv: Conv, given: Shape, after: Shape) -> tuple[int, int]:
    """(parameters, MACs) of one group convolution: IGCV1 section 3.2, IGCV2 section 3.2."""
    weights = conv.kernel**2 * (given[0] // conv.groups) * conv.out_channels
    bias = conv.out_channels if conv.bias else 0
    return weights + bias, weights * after[1] * after[2]
