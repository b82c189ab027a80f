"""The environment that a worker process starts with: threads that fit its share of the cores, and a good allocator.

On a CPU large activations are fresh memory maps under glibc's defaults, and page faults dominate the training of small
networks. Keeping freed memory is enough; no library has to be preloaded for it.
"""

from __future__ import annotations

KEEP_BYTES = 1 << 30  # freed memory that glibc keeps, and the size below which it never maps anew


def worker_environment(threads: int) -> dict[str, str]:
    """Variables for a worker process with `threads` CPU threads."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "MALLOC_MMAP_THRESHOLD_": str(KEEP_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(KEEP_BYTES),
        "MALLOC_TOP_PAD_": str(64 << 20),
    }
