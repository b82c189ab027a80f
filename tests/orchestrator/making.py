"""Trials, candidates and messages for tests of the decisions: no plan is built, only what deciding reads."""

from __future__ import annotations

from orchestrator.trials import Candidate, Trial
from search_spaces.cost import Cost
from search_spaces.space import Architecture
from workers.records import EpochReport, Failure, Metrics


def candidate(name: str = "a", macs: int = 100, source: str = "search") -> Candidate:
    return Candidate(
        name=name,
        source="reference" if source == "reference" else "search",
        family="igcv2",
        architecture=Architecture(family="igcv2", values=(("width", macs),)) if source == "search" else None,
        plan_key=name,
        cost=Cost(params_conv=10, macs_conv=macs),
    )


def trial(number: int, macs: int = 100, source: str = "search") -> Trial:
    return Trial(number=number, candidate=candidate(f"net{number}", macs, source))


def report(epoch: int, accuracy: float = 0.5, number: int = 0) -> EpochReport:
    return EpochReport(key=str(number), epoch=epoch, accuracy=accuracy, train_loss=1.0, learning_rate=0.1, seconds=1.0)


def metrics(epochs: int, accuracy: float = 0.5, number: int = 0) -> Metrics:
    return Metrics(
        key=str(number),
        accuracy=accuracy,
        epochs=epochs,
        seconds=float(epochs),
        images_per_second=1.0,
        peak_memory_mib=1.0,
        device="cpu",
        threads=1,
    )


def failure(kind: str = "nan", number: int = 0) -> Failure:
    assert kind in ("nan", "exception")
    return Failure(key=str(number), kind="nan" if kind == "nan" else "exception", message="it went wrong")
