"""Which nodes of a plan are executed together, and in which form: read off the plan, without torch.

A unit is a run of nodes without branches, [channel-wise 3x3] -> [interleaved product] -> [normalisation] ->
[activation] -> [shuffle], where the parts in brackets may be missing. Every product and every normalisation is in one
unit, and a network's forms are one for each unit, in the plan's order.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.plan import Activation, Conv, Norm, Plan, Product, Shape, Shuffle, factor_shapes

GROUPED = "grouped"  # node by node as the plan counts it, with a copy for each shuffle
COMPOSED = "composed"  # the 1x1 factors and shuffles of the product multiplied into one dense kernel for each step
NATIVE = "native"  # the whole unit in one pass over memory, by the project's own CPU kernels
FORMS = (GROUPED, COMPOSED, NATIVE)

LANES = 8  # the native kernels handle channels in eights
MAX_FACTORS = 6
MAX_BRANCH = 32  # input channels of a group; a library's matrix product is faster beyond
# A dense kernel wins up to so many input channels for each factor that it replaces (measured forward and backward, one
# thread of an x86-64 with AVX-512, 64 to 1024 channels): group convolutions of one or two channels are slowest by far.
REACH = 110
REACH_OF_TINY = 400
TINY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The nodes of a unit by their indices (the same node is never in two), and which forms can execute it."""

    nodes: tuple[int, ...]
    spatial: int | None = None  # a channel-wise convolution that is a node of its own
    product: int | None = None
    norm: int | None = None
    activation: int | None = None
    shuffle: int | None = None
    native: bool = False

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that can execute it, on a machine that has them all."""
        return (GROUPED, *((COMPOSED,) if self.product is not None else ()), *((NATIVE,) if self.native else ()))


def units(plan: Plan) -> tuple[Unit, ...]:
    """The plan's units in order."""
    follower = _only_followers(plan)
    found: list[Unit] = []
    taken: set[int] = set()
    for index in range(1, len(plan.nodes)):
        if index not in taken:
            for unit in _starting_at(plan, follower, index):
                found.append(unit)
                taken.update(unit.nodes)
    return tuple(found)


def chosen_forms(plan: Plan, *, native: bool) -> tuple[str, ...]:
    """The form for each unit by a rule, so that the same plan gets the same forms wherever it is trained.

    `native`: whether the kernels can be had and fit the device and the precision; they are taken wherever they can run.
    Other products are composed as long as the dense kernel is not too wide for the number of factors it replaces.
    """
    return tuple(_chosen(plan, unit, native) for unit in units(plan))


def fitting_forms(plan: Plan, forms: tuple[str, ...], *, native: bool) -> tuple[str, ...]:
    """`forms`, with what cannot be executed here replaced. ValueError where they are not this plan's forms."""
    found = units(plan)
    if len(forms) != len(found):
        raise ValueError(f"{len(forms)} forms given for {len(found)} units of the network")
    for unit, form in zip(found, forms, strict=True):
        if form not in FORMS:
            raise ValueError(f"unknown form {form!r}; known: {', '.join(FORMS)}")
        if form not in unit.forms:
            place = plan.nodes[unit.nodes[0]].place
            raise ValueError(f"the unit at {place} has no form {form!r}; it has {', '.join(unit.forms)}")
    replacements = chosen_forms(plan, native=False)
    return tuple(
        form if native or form != NATIVE else instead for form, instead in zip(forms, replacements, strict=True)
    )


def channelwise(operation: object, channels: int) -> bool:
    """Whether it is a 3x3 convolution of each channel by itself, as the native kernels do it."""
    return (
        isinstance(operation, Conv)
        and operation.kernel == 3
        and operation.stride in (1, 2)
        and operation.groups == operation.out_channels == channels
        and channels % LANES == 0
        and not operation.bias
    )


def spatial_factors(product: Product) -> int:
    """How many of the first factors are not 1x1 convolutions: they are never composed."""
    count = 0
    for number, factor in enumerate(product.factors, start=1):
        if factor.kernel != 1 or factor.stride != 1 or factor.bias:
            count = number
    return count


def _chosen(plan: Plan, unit: Unit, native: bool) -> str:
    if native and unit.native:
        return NATIVE
    if unit.product is None or not _composing_pays(plan, unit.product):
        return GROUPED
    return COMPOSED


def _composing_pays(plan: Plan, index: int) -> bool:
    product = plan.nodes[index].operation
    assert isinstance(product, Product)
    shapes = list(factor_shapes(product, _given(plan, index)))[spatial_factors(product) :]
    if all(factor.groups == 1 for factor, _, _ in shapes):
        return False  # nothing is left to compose
    tiny = [before[0] // factor.groups <= TINY for factor, before, _ in shapes]
    return shapes[0][1][0] <= sum(REACH_OF_TINY if is_tiny else REACH for is_tiny in tiny)


def _starting_at(plan: Plan, follower: list[int | None], index: int) -> list[Unit]:
    """The units that begin with a node: none, one, or a product that stands apart from its normalisation."""
    operation = plan.nodes[index].operation
    channels = _given(plan, index)[0]
    spatial = product = None
    at: int | None = index
    if channelwise(operation, channels):
        spatial, at = index, follower[index]
    if at is not None and isinstance(plan.nodes[at].operation, Product):
        product, at = at, follower[at]
        if not _native_product(plan, product, spatial is not None):
            return [Unit(nodes=(product,), product=product)]
    if at is None or not isinstance(plan.nodes[at].operation, Norm) or plan.nodes[at].shape[0] % LANES:
        return [Unit(nodes=(product,), product=product)] if product is not None else _lone_norm(plan, at, index)
    activation = _next_of(plan, follower, at, Activation)
    mixed = _next_of(plan, follower, at if activation is None else activation, Shuffle)
    nodes = tuple(node for node in (spatial, product, at, activation, mixed) if node is not None)
    return [
        Unit(
            nodes=nodes,
            spatial=spatial,
            product=product,
            norm=at,
            activation=activation,
            shuffle=mixed,
            native=True,
        )
    ]


def _next_of(plan: Plan, follower: list[int | None], index: int, kind: type) -> int | None:
    after = follower[index]
    return after if after is not None and isinstance(plan.nodes[after].operation, kind) else None


def _lone_norm(plan: Plan, at: int | None, index: int) -> list[Unit]:
    return [Unit(nodes=(index,), norm=index)] if at == index and isinstance(plan.nodes[index].operation, Norm) else []


def _native_product(plan: Plan, index: int, spatial_before: bool) -> bool:
    product = plan.nodes[index].operation
    assert isinstance(product, Product)
    shapes = list(factor_shapes(product, _given(plan, index)))
    if not spatial_before and channelwise(shapes[0][0], shapes[0][1][0]) and _moves_nothing(product, shapes[0][1]):
        shapes = shapes[1:]
    return len(shapes) <= MAX_FACTORS and all(
        factor.kernel == 1
        and factor.stride == 1
        and not factor.bias
        and before[0] // factor.groups % LANES == 0
        and before[0] // factor.groups <= MAX_BRANCH
        and after[0] // factor.groups % LANES == 0
        for factor, before, after in shapes
    )


def _moves_nothing(product: Product, shape: Shape) -> bool:
    return product.shuffles[0] in (1, shape[0])


def _given(plan: Plan, index: int) -> Shape:
    return plan.nodes[plan.nodes[index].inputs[0]].shape


def _only_followers(plan: Plan) -> list[int | None]:
    """For each node the one node that reads it, where it is the only one and reads nothing else."""
    readers: list[list[int]] = [[] for _ in plan.nodes]
    for index, node in enumerate(plan.nodes):
        for source in node.inputs:
            readers[source].append(index)
    return [found[0] if len(found) == 1 and len(plan.nodes[found[0]].inputs) == 1 else None for found in readers]
