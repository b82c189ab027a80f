"""The environment that a worker process starts with: threads that fit its share of the cores, and a good allocator.

On a CPU large activations are fresh memory maps under glibc's defaults, and page faults dominate the training of small
networks. Keeping freed memory is enough; no library has to be preloaded for it.
"""

from __future__ import annotations

import ctypes

KEEP_BYTES = 1 << 30  # freed memory that glibc keeps, and the size below which it never maps anew
TOP_PAD_BYTES = 64 << 20  # asked of the system at a time


def worker_environment(threads: int) -> dict[str, str]:
    """Variables for a worker process with `threads` CPU threads."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "MALLOC_MMAP_THRESHOLD_": str(KEEP_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(KEEP_BYTES),
        "MALLOC_TOP_PAD_": str(TOP_PAD_BYTES),
    }


def keep_freed_memory() -> bool:
    """The same allocator in the process that calls; whether its C library has it (glibc). Before torch is imported."""
    top_pad, trim_threshold, mmap_threshold = -2, -1, -3  # mallopt(3)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((mmap_threshold, KEEP_BYTES), (trim_threshold, KEEP_BYTES), (top_pad, TOP_PAD_BYTES))
    return all(bool(mallopt(name, value)) for name, value in settings)
