"""What a reference is: a network, and what was printed about it and where."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from search_spaces.cost import Cost, cost, stage_costs
from search_spaces.networks import AnyNetwork, Task
from search_spaces.plan import Plan

Quantity = Literal["params", "macs"]
Counted = Literal["conv", "conv+norm", "conv+fc", "all", "block"]

CIFAR10 = Task(image_size=32, channels=3, classes=10)
CIFAR100 = Task(image_size=32, channels=3, classes=100)
IMAGENET = Task(image_size=224, channels=3, classes=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure as printed: `value` is known to half a `step` (1: to the unit).

    counted: which of our numbers it is: convolutions, these with normalisation or with the fully connected layer, all,
    or the convolutions of one block. why: the reason where ours lies outside the rounding.
    """

    quantity: Quantity
    counted: Counted
    value: int
    step: int
    source: str
    why: str = ""

    def convention(self, task: Task) -> str:
        """What the figure counts, in words."""
        what = {
            "conv": "convolutions",
            "conv+norm": "convolutions and normalisation",
            "conv+fc": f"convolutions and FC({task.classes})",
            "all": "everything",
            "block": "convolutions of one block",
        }[self.counted]
        return f"{'weights' if self.quantity == 'params' else 'MACs'} of {what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """A published test accuracy, a fraction; `spread` as printed behind it, where it was."""

    dataset: str
    value: float
    source: str
    spread: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A network of the literature. fit: parts of it are our reconstruction; the note says which."""

    name: str
    network: AnyNetwork
    task: Task
    figures: tuple[Figure, ...]
    accuracies: tuple[Accuracy, ...] = ()
    fit: bool = False
    note: str = ""

    def accuracy_on(self, dataset: str) -> float | None:
        """The published accuracy on `cifar10`, `cifar100`, `tiny-imagenet` or `imagenet`, where there is one."""
        return next((known.value for known in self.accuracies if known.dataset == dataset), None)

    def printed(self, quantity: Quantity) -> int | None:
        """The first published figure of a quantity for the whole network, under its own convention."""
        whole = (figure.value for figure in self.figures if figure.quantity == quantity and figure.counted != "block")
        return next(whole, None)


def exact(quantity: Quantity, counted: Counted, value: int, source: str) -> Figure:
    """A figure known to the unit."""
    return Figure(quantity=quantity, counted=counted, value=value, step=1, source=source)


def printed(quantity: Quantity, counted: Counted, text: str, source: str, why: str = "") -> Figure:
    """A figure as printed, such as `.27e6`: its last digit is its step."""
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), text
    return Figure(
        quantity=quantity, counted=counted, value=int(number), step=int(Decimal(10) ** exponent), source=source, why=why
    )


def accuracy(dataset: str, percent: float, source: str, spread: float | None = None) -> Accuracy:
    """An accuracy printed in percent."""
    return Accuracy(
        dataset=dataset,
        value=round(percent / 100, 6),
        source=source,
        spread=None if spread is None else round(spread / 100, 6),
    )


def count(plan: Plan, figure: Figure) -> int:
    """Our number for a figure, read off the plan."""
    total = cost(plan)
    if figure.counted == "block":
        total = _block_cost(plan)
    if figure.quantity == "macs":
        return total.macs if figure.counted in ("conv+fc", "all") else total.macs_conv
    return {
        "conv": total.params_conv,
        "block": total.params_conv,
        "conv+norm": total.params_conv + total.params_norm,
        "conv+fc": total.params_conv + total.params_linear,
        "all": total.params,
    }[figure.counted]


def _block_cost(plan: Plan) -> Cost:
    """The mean cost of the blocks of stage 1; the networks that print it have one stage of equal blocks."""
    stage = stage_costs(plan)["stage1"]
    blocks = sum(place.startswith("stage1/") and not place.endswith("/shortcut") for place in plan.places())
    return Cost(params_conv=stage.params_conv // blocks, macs_conv=stage.macs_conv // blocks)
