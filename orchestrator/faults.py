"""Faults that are nobody's mistake, and the exit codes that tell them from others."""

from __future__ import annotations

TRY_AGAIN = 75  # EX_TEMPFAIL: the same command may succeed later, and goes on where the study stands


class ClusterLostError(Exception):
    """The cluster is gone while it was needed. The study is whole; the same command goes on when a cluster is back."""
