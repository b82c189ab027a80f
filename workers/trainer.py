"""Trains one network: read top to bottom.

Everything random derives from (seed, epoch), so the same request on the same CPU with the same threads and forms gives
the same curve, bit for bit, also when it is resumed from a checkpoint in the middle.
Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.plan import Plan
from workers.augment import batches, draw_epoch, steps_per_epoch
from workers.builder import build
from workers.checkpoint import Checkpoint, Progress, resume, save, signature
from workers.data.dataset import Dataset, Part, load
from workers.device import peak_memory_mib, pick_device, pick_precision, reset_peak_memory, set_threads
from workers.memory import SCORING_BATCH, scoring_batch
from workers.native.library import library
from workers.records import EpochReport, Metrics, Recipe, TrainRequest
from workers.replay import Cuda, Stepper
from workers.schedule import learning_rate
from workers.units import chosen_forms, fitting_forms

logger = logging.getLogger(__name__)

FINITE_CHECK_STEPS = 32  # how often the loss is looked at within an epoch


class NotFiniteError(ArithmeticError):
    """The loss became infinite or not a number."""


class TimeLimitError(RuntimeError):
    """The request's time limit passed."""


def train(request: TrainRequest) -> Iterator[EpochReport | Metrics]:
    """Trains up to the stop epoch: a report after each epoch (its checkpoint already written), at last the metrics.

    With split="test" the network is trained on train + validation, only the last epoch is scored (on the test split,
    read then and not before) and the accuracy of the epochs before is NaN.
    Raises DataError, NotFiniteError, TimeLimitError, ValueError for a request that cannot be met, and torch's errors.
    """
    started = time.perf_counter()
    recipe = request.recipe
    stop_epoch = checked_stop_epoch(request)
    device = pick_device(request.device)
    reset_peak_memory(device)
    found = resume(request.checkpoint, request) if request.checkpoint else None
    progress = found.progress if found else Progress(forms=request.forms, micro_batch=recipe.micro_batch)
    threads = set_threads(request.threads or progress.threads)
    micro_batch = recipe.micro_batch or progress.micro_batch
    progress = replace(progress, threads=threads, micro_batch=micro_batch)

    data = load(request.data)
    check_fits(request, data)
    training = data.train if request.split == "validation" else data.train.joined(data.validation)
    training, mean_C, std_C = training.to(device), data.mean_C.to(device), data.std_C.to(device)
    scored = data.validation.to(device)

    precision = pick_precision(recipe.precision, device)
    progress = replace(progress, forms=usable_forms(request.plan, progress.forms, device, precision))
    network = build(request.plan, seed=request.seed, forms=progress.forms).to(device)
    optimiser = make_optimiser(network, recipe)
    if found:
        network.load_state_dict(found.network)
        optimiser.load_state_dict(found.optimiser)
    steps = steps_per_epoch(len(training), recipe.batch_size)
    at_once = scoring_batch(recipe.batch_size, micro_batch)

    def step_once(x_NCHW: Tensor, labels_N: Tensor, rate: float | Tensor) -> Tensor:
        return training_step(network, optimiser, x_NCHW, labels_N, recipe, rate, micro_batch, precision)

    whole = device.type == "cuda" and micro_batch is None
    stepper = Stepper(
        step_once,
        Cuda(device) if whole else None,
        recipe.batch_size,
        steps_left=(stop_epoch - progress.epoch) * steps,
        replayed=progress.replayed,
    )

    for epoch in range(progress.epoch + 1, stop_epoch + 1):
        epoch_started = time.perf_counter()
        draw = draw_epoch(
            len(training), seed=request.seed, epoch=epoch, crop_padding=recipe.crop_padding, flip=recipe.flip
        ).to(device)
        network.train()
        loss_sum, seen, rate = torch.zeros((), device=device), 0, 0.0
        for step, (images, labels) in enumerate(
            batches(training, draw, batch_size=recipe.batch_size, crop_padding=recipe.crop_padding)
        ):
            rate = learning_rate(recipe, epoch - 1 + step / steps)
            x_NCHW = normalised(images, mean_C, std_C)
            loss_sum += stepper.take(x_NCHW, labels, rate)
            seen += len(labels)
            if step % FINITE_CHECK_STEPS == 0:
                check_finite(loss_sum, epoch)
            check_time(request, started)
        check_finite(loss_sum, epoch)
        train_seconds = time.perf_counter() - epoch_started

        if request.split == "validation":
            accuracy = score(network, scored, mean_C, std_C, precision, at_once)
        elif epoch == recipe.epochs:
            accuracy = score(network, data.test().to(device), mean_C, std_C, precision, at_once)
        else:
            accuracy = math.nan
        seconds = time.perf_counter() - epoch_started
        report = EpochReport(
            key=request.key,
            epoch=epoch,
            accuracy=accuracy,
            train_loss=loss_sum.item() / steps,
            learning_rate=rate,
            seconds=seconds,
        )
        progress = replace(
            progress,
            epoch=epoch,
            curve=(*progress.curve, report),
            seconds=progress.seconds + seconds,
            train_seconds=progress.train_seconds + train_seconds,
            train_images=progress.train_images + seen,
            replayed=stepper.replayed,
        )
        if request.checkpoint:
            save(
                request.checkpoint,
                Checkpoint(
                    signature=signature(request),
                    progress=progress,
                    network=network.state_dict(),
                    optimiser=optimiser.state_dict(),
                ),
            )
        yield report

    yield Metrics(
        key=request.key,
        accuracy=progress.curve[-1].accuracy,
        epochs=progress.epoch,
        seconds=progress.seconds,
        images_per_second=progress.train_images / max(progress.train_seconds, 1e-9),
        peak_memory_mib=peak_memory_mib(device),
        device=str(device),
        threads=threads,
        forms=progress.forms,
        micro_batch=micro_batch,
        replayed=progress.replayed,
        curve=progress.curve,
    )


def checked_stop_epoch(request: TrainRequest) -> int:
    """The epoch to stop after. ValueError where it lies outside the recipe."""
    stop_epoch = request.recipe.epochs if request.stop_epoch is None else request.stop_epoch
    if not 1 <= stop_epoch <= request.recipe.epochs:
        raise ValueError(f"stop_epoch is {stop_epoch}, expected 1..{request.recipe.epochs} (the recipe's epochs)")
    if request.recipe.batch_size < 1 or (request.recipe.micro_batch or 1) < 1:
        raise ValueError(f"batch_size and micro_batch must be at least 1, given {request.recipe}")
    return stop_epoch


def check_fits(request: TrainRequest, data: Dataset) -> None:
    """ValueError where the network was made for other images or classes than the data's."""
    wanted, classes = request.plan.input_shape, request.plan.output_shape[0]
    if wanted != data.image_shape:
        raise ValueError(
            f"the network takes images {wanted} (C, H, W), the data set {request.data.name!r} has {data.image_shape}"
        )
    if classes != len(data.classes):
        raise ValueError(
            f"the network tells {classes} classes apart, the data set {request.data.name!r} has {len(data.classes)}"
        )


def usable_forms(plan: Plan, wanted: tuple[str, ...], device: torch.device, precision: torch.dtype) -> tuple[str, ...]:
    """The wanted forms with what this machine lacks replaced; where none are wanted, those chosen by the rule."""
    native = device.type == "cpu" and precision is torch.float32 and library() is not None
    if not wanted:
        return chosen_forms(plan, native=native)
    found = fitting_forms(plan, wanted, native=native)
    if found != wanted:
        logger.warning("the native kernels are not to be had here: the curve goes on, but not bit for bit")
    return found


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum; weight decay on every parameter, as the papers' code has it."""
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
        fused=True,
    )


def normalised(images_NCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """uint8 images to float32 with the training part's mean and deviation taken out."""
    return (images_NCHW.float() - mean_C[:, None, None]) / std_C[:, None, None]


def training_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    x_NCHW: Tensor,
    labels_N: Tensor,
    recipe: Recipe,
    rate: float | Tensor,
    micro_batch: int | None,
    precision: torch.dtype,
) -> Tensor:
    """One step on one batch, in parts of `micro_batch` images; returns the batch's mean loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    total = torch.zeros((), device=x_NCHW.device)
    size = micro_batch or len(labels_N)
    for x_part, labels_part in zip(torch.split(x_NCHW, size), torch.split(labels_N, size), strict=True):
        with torch.autocast(x_NCHW.device.type, precision, enabled=precision is not torch.float32):
            scores = network(x_part)
        loss = functional.cross_entropy(scores.float(), labels_part, label_smoothing=recipe.label_smoothing)
        share = loss * (len(labels_part) / len(labels_N))
        torch.autograd.backward(share)
        total += share.detach()
    optimiser.step()
    return total


@torch.no_grad()
def score(
    network: nn.Module, part: Part, mean_C: Tensor, std_C: Tensor, precision: torch.dtype, at_once: int = SCORING_BATCH
) -> float:
    """The accuracy on a split, in evaluation mode, `at_once` images at a time.

    NotFiniteError where a score is no number: the highest of such scores would still name a class.
    """
    network.eval()
    device = part.labels_N.device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    broken = torch.zeros((), dtype=torch.bool, device=device)
    for start in range(0, len(part), at_once):
        images, labels = part.images_NCHW[start : start + at_once], part.labels_N[start : start + at_once]
        with torch.autocast(device.type, precision, enabled=precision is not torch.float32):
            scores = network(normalised(images, mean_C, std_C))
        correct += (scores.argmax(1) == labels).sum()
        broken |= ~scores.isfinite().all()
    if broken:
        raise NotFiniteError("the network's scores are no finite numbers; a smaller learning rate may help")
    return int(correct) / len(part)


def check_finite(loss_sum: Tensor, epoch: int) -> None:
    """NotFiniteError where the loss has left the numbers."""
    if not math.isfinite(loss_sum.item()):
        raise NotFiniteError(
            f"the training loss is {loss_sum.item()} in epoch {epoch}; a smaller learning rate may help"
        )


def check_time(request: TrainRequest, started: float) -> None:
    """TimeLimitError where the request's time has passed."""
    limit = request.time_limit_seconds
    if limit is not None and time.perf_counter() - started > limit:
        raise TimeLimitError(f"the time limit of {limit:g} s passed")
