"""Crops and flips of a batch against the same done image by image."""

from __future__ import annotations

import pytest
import torch

from workers.augment import EpochDraw, batches, cropped, draw_epoch, flipped, steps_per_epoch
from workers.data.dataset import Part

PART = Part(
    images_NCHW=torch.randint(256, (20, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    labels_N=torch.arange(20),
)


def test_each_image_is_cropped_at_its_own_offset() -> None:
    rows, columns = torch.tensor([0, 2, 4, 1]), torch.tensor([4, 2, 0, 3])
    images = PART.images_NCHW[:4]
    for image, row, column, found in zip(images, rows, columns, cropped(images, rows, columns, 2), strict=True):
        padded = torch.zeros(3, 10, 10, dtype=torch.uint8)
        padded[:, 2:8, 2:8] = image
        assert torch.equal(found, padded[:, row : row + 6, column : column + 6])


def test_only_the_chosen_images_are_mirrored() -> None:
    images = PART.images_NCHW[:2]
    found = flipped(images, torch.tensor([True, False]))
    assert torch.equal(found[0], images[0].flip(2))
    assert torch.equal(found[1], images[1])


def test_an_epoch_gives_each_image_once_with_its_label() -> None:
    draw = draw_epoch(20, seed=0, epoch=1, crop_padding=0, flip=False)
    seen = []
    for images, labels in batches(PART, draw, batch_size=5, crop_padding=0):
        assert torch.equal(images, PART.images_NCHW[labels])
        seen += labels.tolist()
    assert sorted(seen) == list(range(20))


@pytest.mark.parametrize(("batch_size", "steps"), [(5, 4), (6, 3), (20, 1), (64, 1)])
def test_an_incomplete_batch_is_dropped_unless_it_is_the_only_one(batch_size: int, steps: int) -> None:
    draw = draw_epoch(20, seed=0, epoch=1, crop_padding=2, flip=True)
    assert len(list(batches(PART, draw, batch_size=batch_size, crop_padding=2))) == steps
    assert steps_per_epoch(20, batch_size) == steps


def test_an_epochs_draw_depends_on_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int) -> EpochDraw:
        return draw_epoch(500, seed=seed, epoch=epoch, crop_padding=4, flip=True)

    torch.manual_seed(1)
    first = draw(0, 1)
    torch.manual_seed(2)
    again = draw(0, 1)
    for name in ("order_N", "rows_N", "columns_N", "flips_N"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(draw(0, 2), name))
        assert not torch.equal(getattr(first, name), getattr(draw(1, 1), name))
    assert sorted(set(first.rows_N.tolist())) == list(range(9))
    assert 150 < int(first.flips_N.sum()) < 350
    assert not draw_epoch(500, seed=0, epoch=1, crop_padding=4, flip=False).flips_N.any()
