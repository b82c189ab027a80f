"""The machine under a training, as far as a machine without a GPU can tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from workers.device import claim_share, pick_device, pick_precision, set_threads
from workers.memory import GIB, GPU_CONTEXT


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, gibibytes: int) -> list[tuple[float, int]]:
    """torch.cuda as it answers where there is a GPU; the fractions that are set."""
    fractions: list[tuple[float, int]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=gibibytes * GIB)
    )
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda part, device: fractions.append((part, device))
    )
    return fractions


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_workers_on_one_gpu_keep_to_their_shares_and_leave_room_for_their_contexts(
    monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    fractions = on_a_gpu(monkeypatch, 80)
    assert claim_share(1 / parts) == 80 * GIB // parts
    ((fraction, device),) = fractions
    assert device == 0
    assert parts * (fraction * 80 * GIB + GPU_CONTEXT) == pytest.approx(80 * GIB)


@pytest.mark.parametrize("gpus", [1.0, 2.0])
def test_a_whole_gpu_is_not_bounded(monkeypatch: pytest.MonkeyPatch, gpus: float) -> None:
    fractions = on_a_gpu(monkeypatch, 80)
    assert claim_share(gpus) == 80 * GIB
    assert fractions == []


def test_a_worker_without_a_gpu_has_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert claim_share(0.5) is None
    fractions = on_a_gpu(monkeypatch, 80)
    assert claim_share(0) is None
    assert fractions == []


def test_devices_precision_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="no GPU is visible here"):
        pick_device("cuda")
    assert pick_precision("auto", torch.device("cpu")) is torch.float32
    assert pick_precision("bf16", torch.device("cpu")) is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert pick_precision("auto", torch.device("cuda")) is torch.bfloat16
    assert pick_precision("fp32", torch.device("cuda")) is torch.float32
    assert set_threads(None) == torch.get_num_threads()
