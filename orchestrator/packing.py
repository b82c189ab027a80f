"""Whether a training fits its worker's share of memory, and in parts of how many images: arithmetic, no I/O.

Several workers share a GPU by fractions, or a machine's memory by `resources.memory_per_worker`. A trial that would not
fit starts with a smaller micro-batch (the effective batch stays); one that fits in no way is refused with its estimate.
What runs out of memory all the same is tried once more in smaller parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.trials import Candidate, Trial
from workers.memory import GIB, LEAST_MICRO_BATCH, TrainingMemory, halved
from workers.records import Failure

ADVICE = (
    "give a worker more (resources.memory_per_worker, or gpus_per_worker), "
    "or bound the networks by budget.max_activation_bytes"
)


@dataclass(frozen=True, slots=True)
class Packing:
    """`estimate` tells the memory of a candidate's training under this search's recipe and data."""

    estimate: Callable[[Candidate], TrainingMemory]

    def fitted(self, trial: Trial, share: int | None) -> int | Failure | None:
        """The micro-batch to start a trial with (None: as the recipe says), or why it is not started."""
        if share is None:
            return trial.micro_batch
        memory = self._memory(trial)
        size = memory.fitting(share)
        if size is None:
            least = memory.total(LEAST_MICRO_BATCH)
            message = (
                f"not started: even {LEAST_MICRO_BATCH} images at a time need an estimated {gib(least)}, "
                f"its worker's share is {gib(share)}; {ADVICE}"
            )
            return Failure(key=str(trial.number), kind="out_of_memory", message=message, epochs=trial.epochs)
        return trial.micro_batch if size == (memory.micro_batch or memory.batch_size) else size

    def smaller(self, trial: Trial) -> int | None:
        """The micro-batch to try once more with after an out-of-memory; None where that was tried, or makes no sense."""
        memory = self._memory(trial)
        return None if trial.shrunk else halved(memory.micro_batch or memory.batch_size)

    def explained(self, trial: Trial, failure: Failure, share: int | None) -> Failure:
        """An out-of-memory with the estimate beside it."""
        memory = self._memory(trial)
        size = memory.micro_batch or memory.batch_size
        limit = f", its worker's share is {gib(share)}" if share is not None else ""
        message = f"{size} images at a time, estimated {gib(memory.total())}{limit}: {failure.message}; {ADVICE}"
        return replace(failure, message=message)

    def _memory(self, trial: Trial) -> TrainingMemory:
        """With the trial's own micro-batch in the place of the recipe's."""
        memory = self.estimate(trial.candidate)
        return memory if trial.micro_batch is None else replace(memory, micro_batch=trial.micro_batch)


def gib(count: int) -> str:
    """`3.25 GiB`."""
    return f"{count / GIB:.2f} GiB"
