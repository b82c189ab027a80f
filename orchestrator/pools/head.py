"""Whether the head of the cluster is there. Ray itself would wait for it for a minute, and then end the process silently."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from orchestrator.faults import TRY_AGAIN, ClusterLostError

SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_OF_PATIENCE = 20.0  # a head whose own state outlives it may be back by then
SECONDS_TO_LEAVE = 10.0


class HeadWatch(threading.Thread):
    """Looks at the head's port from a thread of its own, for a call into Ray may hang while the head is away."""

    def __init__(self, address: str) -> None:
        super().__init__(name="head", daemon=True)
        self.lost = False
        self._address = address
        self._ended = threading.Event()

    def check(self) -> None:
        """ClusterLostError where the head is gone."""
        if self.lost:
            self._ended.set()
            raise ClusterLostError(self._words())

    def close(self) -> None:
        self._ended.set()

    def run(self) -> None:
        seen_at = time.monotonic()
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            if self._answers():
                seen_at = time.monotonic()
            elif time.monotonic() - seen_at >= SECONDS_OF_PATIENCE:
                self.lost = True
                self._leave()
                return

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), SECONDS_BETWEEN_LOOKS).close()
        except OSError:
            return False
        return True

    def _leave(self) -> None:
        """Ends a process that hangs in Ray. Whatever the search knows stands in its study, and a lease ends with it."""
        if not self._ended.wait(SECONDS_TO_LEAVE):
            print(f"igcv: {self._words()}", file=sys.stderr, flush=True)
            os._exit(TRY_AGAIN)

    def _words(self) -> str:
        return (
            f"the head of the Ray cluster at {self._address} has not answered for {SECONDS_OF_PATIENCE:.0f} s; the search "
            "stops here. Its study holds every trial and the checkpoints every finished epoch: when a cluster is back, the "
            "same command goes on"
        )
