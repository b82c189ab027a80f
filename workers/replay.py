"""On a GPU, where it pays: the training step captured once as a CUDA graph and replayed, without a launch per kernel.

Small networks are bound by kernel launches there. Whether a replay is quicker is measured, and its cost is counted
against the steps that are left. Capturing executes nothing, so every step that is taken is a step of the training.
On CPUs nothing is captured: torch.compile, the nearest thing, was measured and does not pay (`igcv bench train --compile`).
Source: PyTorch's notes on CUDA graphs (whole-network capture). Not yet run on a GPU: tests/workers/test_gpu.py is ready to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Protocol

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

UNTIMED = 3  # first steps: libraries choose their kernels and the optimiser makes its state
TIMED = 8  # steps of each kind, of which the median counts
CAPTURE_SECONDS = 0.5  # that a capture is taken to cost; not measured yet
LEAST_GAIN = 0.1  # of a step's time: below, the plain step is kept

Step = Callable[[Tensor, Tensor, "float | Tensor"], Tensor]  # images, labels, learning rate -> loss
Replay = Callable[[], None]


class Machine(Protocol):
    """What a capture needs of a device."""

    def capture(self, body: Callable[[], None]) -> Replay:
        """Records the body and executes nothing. RuntimeError where it cannot be captured."""

    def now(self) -> float:
        """Seconds, after all that was asked of the device is done."""


class Cuda:
    """A CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def capture(self, body: Callable[[], None]) -> Replay:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # not the one of another device
        with torch.cuda.device(self._device), torch.cuda.graph(graph, stream=stream):
            body()
        return graph.replay

    def now(self) -> float:
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


def worth_a_try(plain: float, steps_left: int) -> bool:
    """Whether a capture could pay: if half of each step that is left were saved. plain: seconds of such a step."""
    return steps_left * plain / 2 > CAPTURE_SECONDS


def is_quicker(plain: float, replayed: float) -> bool:
    """Whether replays go on; the capture is paid by then. Both: seconds of a step."""
    return replayed < plain * (1 - LEAST_GAIN)


class Stepper:
    """Takes training steps: plainly at first, then by replays of one captured step where those are quicker.

    machine: None where nothing is to be captured. batch_size: of the batches that can be replayed; others, such as an
    epoch's last, are stepped plainly. replayed: what an earlier part of this training decided; None: not yet decided.
    """

    def __init__(
        self, step: Step, machine: Machine | None, batch_size: int, steps_left: int, replayed: bool | None = None
    ) -> None:
        self._step = step
        self._machine = machine
        self._batch_size = batch_size
        self._steps_left = steps_left
        self.replayed = replayed
        self._taken = 0  # whole batches, plainly
        self._plain: list[float] = []  # seconds of timed steps
        self._quick: list[float] = []
        self._replay: Replay | None = None
        self._images = self._labels = self._rate = self._loss = torch.empty(0)

    def take(self, images_NCHW: Tensor, labels_N: Tensor, rate: float) -> Tensor:
        """One step of the training; the batch's mean loss, which the next step leaves alone."""
        self._steps_left -= 1
        machine = self._machine
        if machine is None or self.replayed is False or len(labels_N) != self._batch_size:
            return self._step(images_NCHW, labels_N, rate)
        if self._replay is None and len(self._plain) == TIMED:
            self._try_capture(machine, images_NCHW, labels_N)
        if self._replay is not None:
            return self._replayed(machine, images_NCHW, labels_N, rate)
        self._taken += 1
        if self._taken <= UNTIMED or len(self._plain) == TIMED:
            return self._step(images_NCHW, labels_N, rate)
        began = machine.now()
        loss = self._step(images_NCHW, labels_N, rate)
        self._plain.append(machine.now() - began)
        return loss

    def _try_capture(self, machine: Machine, images_NCHW: Tensor, labels_N: Tensor) -> None:
        """Captures a step where that may pay, or was found to. Too few steps left decide nothing: more may follow."""
        if self.replayed is None and not worth_a_try(median(self._plain), self._steps_left):
            self._machine = None
            return
        self._images, self._labels = images_NCHW.clone(), labels_N.clone()
        self._rate = torch.zeros((), device=images_NCHW.device)
        try:
            self._replay = machine.capture(self._captured)
        except RuntimeError as error:
            logger.warning("the training step cannot be captured as a CUDA graph, and goes on plainly: %s", error)
            self.replayed = False

    def _captured(self) -> None:
        self._loss = self._step(self._images, self._labels, self._rate)

    def _replayed(self, machine: Machine, images_NCHW: Tensor, labels_N: Tensor, rate: float) -> Tensor:
        assert self._replay is not None
        began = machine.now() if self.replayed is None else 0.0
        self._images.copy_(images_NCHW)
        self._labels.copy_(labels_N)
        self._rate.fill_(rate)
        self._replay()
        loss = self._loss.clone()
        if self.replayed is None:
            self._quick.append(machine.now() - began)
            if len(self._quick) == TIMED:
                self._decide()
        return loss

    def _decide(self) -> None:
        self.replayed = is_quicker(median(self._plain), median(self._quick))
        if not self.replayed:
            self._replay = None  # its memory goes with it
