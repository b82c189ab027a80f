"""The machine under a training: device, threads, precision and peak memory."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

from workers.memory import GPU_CONTEXT
from workers.records import Precision

MIB = 2**20


def pick_device(name: str) -> torch.device:
    """`auto` takes the first GPU where there is one. ValueError where the named device is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device {name!r} is unknown; known: auto, cpu, cuda, cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for but no GPU is visible here; use auto or cpu")
    return device


def set_threads(threads: int | None) -> int:
    """Sets the CPU threads of this process where a number is given; returns how many there are."""
    if threads is not None:
        if threads < 1:
            raise ValueError(f"threads is {threads}, expected at least 1")
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
    return torch.get_num_threads()


def pick_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """`auto` takes bf16 where the hardware multiplies it: on GPUs from Ampere on, and on CPUs with AMX."""
    if precision == "bf16":
        return torch.bfloat16
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def claim_share(gpus: float) -> int | None:
    """Keeps this process to its share of a GPU; the share in bytes, or None where it holds no GPU.

    The allocator is bounded by the share less what the process itself takes on the GPU, which lies outside of it.
    """
    if gpus <= 0 or not torch.cuda.is_available():
        return None
    whole = torch.cuda.get_device_properties(0).total_memory
    share = int(whole * min(1.0, gpus))  # a training runs on one GPU, however many its worker holds
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(max(share - GPU_CONTEXT, GPU_CONTEXT) / whole, 0)
    return share


def reset_peak_memory(device: torch.device) -> None:
    """Starts a new measurement of peak memory (Linux keeps it for each process; elsewhere the whole life counts)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_mib(device: torch.device) -> float:
    """Peak memory since the reset: of the GPU's tensors, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
