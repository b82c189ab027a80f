"""What crosses the line between deciding and training: frozen data, no tensors, no exception objects, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from search_spaces.plan import Plan
from workers.measured import MeasuredCost, MeasureSpec

FailureKind = Literal["nan", "out_of_memory", "time_limit", "data", "disk", "exception", "lost"]
Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which images, and how they are split. The same spec gives the same split on every machine."""

    name: str = "digits"  # digits | parquet | npz | cifar10 | cifar100
    path: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    validation_fraction: float = 0.2  # of the training split, stratified; ignored where a validation split exists
    split_seed: int = 0
    max_train: int | None = None  # stratified subset, for short protocols
    max_validation: int | None = None
    image_size: int | None = None  # averaged down to this size; None keeps the data set's own
    download: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained. Seconds never enter: two machines with one recipe do the same work."""

    name: str = "search"
    epochs: int = 10
    batch_size: int = 128
    micro_batch: int | None = None  # gradient accumulation in parts of this size; the effective batch stays
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: tuple[float, ...] = (0.5, 0.75, 0.875)  # of the epochs, for the step schedule
    decay: float = 0.1  # factor at each milestone
    warmup_epochs: float = 0.0  # linear
    label_smoothing: float = 0.0
    crop_padding: int = 4  # pixels; 0: no crop
    flip: bool = True
    precision: Precision = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """Train one network from its checkpoint (or from the start) up to `stop_epoch`, scoring each epoch."""

    key: str  # names the trial in reports; unique within a study
    plan: Plan
    data: DataSpec
    recipe: Recipe
    seed: int = 0
    stop_epoch: int | None = None  # None: recipe.epochs; the schedule always runs over recipe.epochs
    checkpoint: str | None = None  # file; resumed from where it exists, written after each epoch
    time_limit_seconds: float | None = None
    device: str = "auto"  # auto | cpu | cuda | cuda:N
    threads: int | None = None  # CPU threads; None keeps the process's own
    split: Literal["validation", "test"] = "validation"  # test: train on train + validation, score test at the end
    forms: tuple[str, ...] = ()  # how each unit is executed (workers.units), in order; empty: the worker chooses
    measure: MeasureSpec | None = None  # measure it in use after the training


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """One finished epoch. `accuracy` is the validation accuracy, a fraction; epochs count from 1."""

    key: str
    epoch: int
    accuracy: float
    train_loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """A training that reached its stop epoch."""

    key: str
    accuracy: float
    epochs: int
    seconds: float  # of all epochs, those before a resume included
    images_per_second: float  # while training
    peak_memory_mib: float
    device: str
    threads: int
    forms: tuple[str, ...] = ()
    micro_batch: int | None = None
    replayed: bool | None = None  # whether steps were replays of a captured CUDA graph; None: that was not decided
    measured: MeasuredCost | None = None
    curve: tuple[EpochReport, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A training that ended without a result: a record, never an exception object."""

    key: str
    kind: FailureKind
    message: str
    traceback: str = ""
    epochs: int = 0


Outcome = Metrics | Failure
Message = EpochReport | Metrics | Failure
