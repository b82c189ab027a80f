"""Our whole trainer on the network of by_hand.py, in a process of its own. Prints images per second as JSON.

    python -m workers.benchmarks.ours STEPS THREADS FORM FOLDER [channels_last]

FORM is `chosen`, `grouped`, `composed` or `native`; FOLDER holds images.npz. `channels_last` gives the network its images
in that layout whatever the forms are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workers.benchmarks.by_hand import BATCH, WARM_UP
from workers.benchmarks.network import PARAMETERS, forms_named, peer_plan
from workers.builder import PlanNetwork, build, count_parameters
from workers.records import DataSpec, Metrics, Recipe, TrainRequest
from workers.trainer import train


def ours(folder: Path, steps: int, threads: int, form: str) -> Metrics:
    """One epoch of our trainer, after a short one that warms up."""
    plan = peer_plan()
    assert count_parameters(build(plan)) == PARAMETERS
    for count in (WARM_UP, steps):
        request = TrainRequest(
            key="bench",
            plan=plan,
            data=DataSpec(name="npz", path=str(folder / "images.npz"), max_train=count * BATCH, max_validation=1),
            recipe=Recipe(epochs=1, batch_size=BATCH, precision="fp32"),
            device="cpu",
            threads=threads,
            forms=forms_named(plan, form),
        )
        *_, metrics = train(request)
    assert isinstance(metrics, Metrics)
    return metrics


def write_images(folder: Path, steps: int) -> None:
    """Random images with labels, enough for so many steps; the first of each class are left for validation."""
    count = int((max(steps, WARM_UP) + 1) * BATCH * 1.3)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", train_images=pixels, train_labels=np.arange(count) % 10)


class ChannelsLast(PlanNetwork):
    """The network on images in that layout."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return super().forward(x_NCHW.contiguous(memory_format=torch.channels_last))


def main(steps: str, threads: str, form: str, folder: str, layout: str = "") -> None:
    if layout == "channels_last":
        import workers.builder

        workers.builder.PlanNetwork = ChannelsLast  # type: ignore[misc]
    metrics = ours(Path(folder), int(steps), int(threads), form)
    print(json.dumps({"images_per_second": metrics.images_per_second}))


if __name__ == "__main__":
    main(*sys.argv[1:])
