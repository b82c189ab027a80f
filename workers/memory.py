"""What a training will hold in memory, from its plan alone: known before it is started, and without torch.

Counted: parameters, their gradients and momentum; the tensors that autograd keeps for the backward pass, and the
gradients beside them, at their highest; the images that stay on the device; and a fixed context. What libraries take for
themselves in between, and what an allocator loses between its blocks, is a margin on the tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

from search_spaces.cost import cost, live_bytes
from search_spaces.plan import (
    Activation,
    Conv,
    Linear,
    Norm,
    Operation,
    Plan,
    Pool,
    Product,
    factor_shapes,
)
from workers.records import Recipe
from workers.units import COMPOSED, GROUPED, NATIVE, chosen_forms, spatial_factors, units

MIB, GIB = 2**20, 2**30
BYTES = 4  # of a number in fp32, and of everything that belongs to a parameter
MARGIN = (
    1.25  # without it 0.72 to 0.98 of the measured growth (six families, two widths; tests/benchmarks/bench_memory)
)
CPU_CONTEXT = 700 * MIB  # a process that has trained before (measured there: 689)
GPU_CONTEXT = GIB  # a process's CUDA context, kernels and library workspaces; outside of torch's allocator
SCORING_BATCH = 256  # images that are scored at once
LEAST_MICRO_BATCH = 8  # fewer images at a time, and the statistics of a batch are noise


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMemory:
    """Bytes of one training: of its parameters, of one image at a time, of the data and of the process."""

    batch_size: int
    micro_batch: int | None = None  # what the recipe asks for
    parameters: int  # with gradients, momentum and running statistics
    input: int  # of one image of the effective batch, which is normalised as a whole
    training: int  # of one image of a micro-batch: kept for backward, and the gradients, at the highest
    scoring: int  # of one image while it is scored
    data: int = 0  # images and labels on the device
    loading: int = 0  # beside them while they are read
    context: int

    def total(self, micro_batch: int | None = None) -> int:
        """Peak bytes with so many images at a time (None: what the recipe asks for)."""
        micro = min(micro_batch or self.micro_batch or self.batch_size, self.batch_size)
        activations = max(self.training * micro, self.scoring * scoring_batch(self.batch_size, micro))
        working = self.parameters + self.input * self.batch_size + round(MARGIN * activations)
        return self.context + self.data + max(working, self.loading)

    def fitting(self, share: int) -> int | None:
        """The most images at a time within `share` bytes: the whole batch, its half, quarter … ; None: none fits."""
        size = self.micro_batch or self.batch_size
        while self.total(size) > share:
            smaller = halved(size)
            if smaller is None:
                return None
            size = smaller
        return size


def halved(micro_batch: int) -> int | None:
    """The next smaller micro-batch, or None where it would be too small for the statistics of a batch."""
    size = -(-micro_batch // 2)
    return size if LEAST_MICRO_BATCH <= size < micro_batch else None


def scoring_batch(batch_size: int, micro_batch: int | None) -> int:
    """How many images are scored at once: fewer where memory is too small for the whole batch."""
    return SCORING_BATCH if micro_batch is None or micro_batch >= batch_size else min(SCORING_BATCH, 2 * micro_batch)


def training_memory(
    plan: Plan, recipe: Recipe, *, gpu: bool, images: int = 0, forms: tuple[str, ...] = ()
) -> TrainingMemory:
    """The memory of training a plan. `images`: how many stay on the device; `forms`: empty for the worker's own choice.

    The precision `auto` is taken as bf16 on a GPU, and as fp32 on a CPU.
    """
    half = recipe.precision == "bf16" or (recipe.precision == "auto" and gpu)
    width = 2 if half else BYTES
    used = forms or chosen_forms(plan, native=not gpu and not half)
    steps = _steps(plan, used)
    exact = cost(plan)
    statistics = exact.params_norm  # as many running means and variances as scales and offsets
    trained = 3 * exact.params + statistics + sum(step.matrices for step in steps)
    bytes_of_images = images * (prod(plan.input_shape) + 8)
    return TrainingMemory(
        batch_size=recipe.batch_size,
        micro_batch=recipe.micro_batch,
        parameters=BYTES * trained + (width * exact.params if half else 0),
        input=BYTES * prod(plan.input_shape),
        training=width * _highest(plan, steps),
        scoring=max(live_bytes(plan)) * width // BYTES,
        data=bytes_of_images,
        loading=0 if gpu else 2 * bytes_of_images,
        context=GPU_CONTEXT if gpu else CPU_CONTEXT,
    )


# Elements of one image


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What is executed at once: nodes read, node made, which of their tensors stay for backward, and what else does."""

    inputs: tuple[int, ...]
    output: int
    kept: frozenset[int]
    inner: int = 0  # elements of tensors within, kept for backward
    scratch: int = 0  # elements of the largest tensor within that is not kept
    matrices: int = 0  # elements of dense kernels, for the whole batch


def _steps(plan: Plan, forms: Sequence[str]) -> list[_Step]:
    """The plan's nodes in the order of execution, those of a native unit together."""
    form_of: dict[int, str] = {}
    native: dict[int, tuple[int, ...]] = {}
    for unit, form in zip(units(plan), forms, strict=True):
        if form == NATIVE:
            native[unit.nodes[0]] = unit.nodes
        elif unit.product is not None:
            form_of[unit.product] = form
    steps: list[_Step] = []
    index = 1
    while index < len(plan.nodes):
        if index in native:
            steps.append(_native_step(plan, native[index]))
        else:
            steps.append(_step(plan, index, form_of.get(index, GROUPED)))
        index = steps[-1].output + 1
    return steps


def _native_step(plan: Plan, nodes: tuple[int, ...]) -> _Step:
    """Its input stays, and what its normalisation reads, unless that is the input itself."""
    linear = any(isinstance(plan.nodes[node].operation, Conv | Product) for node in nodes)
    inputs = plan.nodes[nodes[0]].inputs
    size = prod(plan.nodes[nodes[-1]].shape)
    return _Step(inputs=inputs, output=nodes[-1], kept=frozenset(inputs), inner=size if linear else 0)


def _step(plan: Plan, index: int, form: str) -> _Step:
    node = plan.nodes[index]
    if isinstance(node.operation, Product):
        return _product_step(plan, index, node.operation, form)
    return _Step(
        inputs=node.inputs,
        output=index,
        kept=frozenset(_kept(node.operation, node.inputs, index)),
        inner=2 * prod(node.shape) if isinstance(node.operation, Pool) and node.operation.function == "max" else 0,
    )


def _kept(operation: Operation, inputs: Iterable[int], output: int) -> Iterable[int]:
    """Whose tensors autograd keeps for an operation's backward."""
    match operation:
        case Conv() | Norm() | Linear():
            return inputs
        case Activation(function=function):
            return inputs if function == "relu6" else (output,)
        case Pool(kernel=kernel) if kernel:
            return inputs
        case _:
            return ()


def _product_step(plan: Plan, index: int, product: Product, form: str) -> _Step:
    """Every factor keeps its input; a composed product has dense kernels instead of the inner tensors."""
    node = plan.nodes[index]
    shapes = list(factor_shapes(product, plan.nodes[node.inputs[0]].shape))
    composed = len(shapes) - spatial_factors(product) if form == COMPOSED else 0
    single = len(shapes) - composed
    inner = [prod(after) for _, _, after in shapes[: single if composed else single - 1]]
    matrices = sum(after[0] * shapes[single][1][0] for _, _, after in shapes[single:]) if composed else 0
    return _Step(
        inputs=node.inputs,
        output=index,
        kept=frozenset(node.inputs),
        inner=sum(inner),
        scratch=0 if composed else max(prod(after) for _, _, after in shapes),
        matrices=2 * matrices,
    )


def _highest(plan: Plan, steps: Sequence[_Step]) -> int:
    """The most elements of one image alive at once, in the forward and the backward pass (the input's own left out)."""
    sizes = [0, *(prod(node.shape) for node in plan.nodes[1:])]
    return max(max(_forward(sizes, steps)), max(_backward(sizes, steps)))


def _forward(sizes: Sequence[int], steps: Sequence[_Step]) -> Iterator[int]:
    last_use = {source: number for number, step in enumerate(steps) for source in step.inputs}
    kept: set[int] = set()
    inner, alive = 0, {0}
    for number, step in enumerate(steps):
        kept |= step.kept
        inner += step.inner
        alive.add(step.output)
        yield sum(sizes[tensor] for tensor in kept | alive) + inner + step.scratch
        alive -= {source for source in step.inputs if last_use[source] == number}


def _backward(sizes: Sequence[int], steps: Sequence[_Step]) -> Iterator[int]:
    """From the last step to the first: what the steps up to it keep, and the gradients of tensors still to be used."""
    kept_before = list(accumulate((step.kept for step in steps), lambda before, kept: before | kept))
    inner_before = list(accumulate(step.inner for step in steps))
    gradients = {steps[-1].output}
    for number in range(len(steps) - 1, -1, -1):
        step = steps[number]
        gradients |= set(step.inputs)
        held = sum(sizes[tensor] for tensor in kept_before[number]) + sum(sizes[tensor] for tensor in gradients)
        yield held + inner_before[number] + step.scratch
        gradients.discard(step.output)
