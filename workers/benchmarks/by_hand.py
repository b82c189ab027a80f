"""What people write by hand: plain PyTorch, torchvision's transforms and a DataLoader. Prints images per second as JSON.

    python -m workers.benchmarks.by_hand STEPS [--compile]

Random images as PIL makes them stand in for CIFAR-10, so that the loader does the same work. The first steps (WARM_UP),
and with them the compiling, are not counted. The network is that of network.py.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

WARM_UP = 5
BATCH = 128


class RandomImages(Dataset[Any]):
    """50,000 images of 32 x 32, each made a PIL image when it is asked for."""

    def __init__(self) -> None:
        from PIL import Image
        from torchvision import transforms

        random = np.random.default_rng(0)
        self.pixels = random.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8)
        self.labels = random.integers(0, 10, 50_000)
        self.image = Image.fromarray
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.image(self.pixels[index])), int(self.labels[index])


def interleaved(x: Tensor, groups: int) -> Tensor:
    count, channels, height, width = x.shape
    return x.view(count, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)


class InterleavedBlock(nn.Module):
    """Channel-wise 3x3, two group 1x1 of branches of 8 channels with their shuffles, normalisation, ReLU."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.groups = width // 8
        self.depthwise = nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False)
        self.primary = nn.Conv2d(width, width, 1, groups=self.groups, bias=False)
        self.secondary = nn.Conv2d(width, out, 1, groups=self.groups, bias=False)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        x = interleaved(self.primary(self.depthwise(x)), self.groups)
        return torch.relu(self.norm(interleaved(self.secondary(x), self.groups)))


def network() -> nn.Sequential:
    """Three stages of two blocks, 64 to 256 channels wide: 25,354 parameters."""
    parts: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for width, out, stride in ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)):
        parts.append(InterleavedBlock(width, out, stride))
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def images_per_second(steps: int, compiled: bool = False) -> tuple[float, float]:
    """The speed of `steps` steps, and the seconds of the first step, in which torch.compile works."""
    torch.manual_seed(0)
    loader = DataLoader(RandomImages(), BATCH, shuffle=True, num_workers=2, drop_last=True)
    model = network()
    forward: Callable[[Tensor], Tensor] = torch.compile(model) if compiled else model
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    began = started = time.perf_counter()
    first = 0.0
    for step, (images, labels) in enumerate(loader):
        if step == WARM_UP:
            started = time.perf_counter()
        if step == WARM_UP + steps:
            break
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(forward(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        first = first or time.perf_counter() - began
    return steps * BATCH / (time.perf_counter() - started), first


if __name__ == "__main__":
    speed, first_seconds = images_per_second(int(sys.argv[1]), "--compile" in sys.argv)
    print(json.dumps({"images_per_second": speed, "first_step_seconds": first_seconds}))
