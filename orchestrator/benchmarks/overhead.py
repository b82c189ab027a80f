"""The search's overhead beside Ray Tune's: no-op trials through the real study, real actors and the real loop.

Each pair runs ours and the peer in turn, each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from orchestrator.benchmarks.child import measured_in_child

Say = Callable[[str], None]
MODES = ("default", "reuse_actors", "mlflow")


def overhead(trials: int, peer_trials: int, pairs: int, say: Say) -> dict[str, Any]:
    """Ratios of seconds per trial, peer to ours: medians over the pairs. `ours` and `peer` hold every run.

    With --reuse-actors, where it is fast, the peer makes as many trials as ours; elsewhere `peer_trials`.
    """
    ours: dict[str, list[Any]] = {}
    peer: dict[str, list[Any]] = {}
    for _ in range(pairs):
        for mode in MODES:
            tracking = "local" if mode == "mlflow" else "off"
            ours.setdefault(mode, []).append(_run("noop", trials, "uniform", tracking, say=say))
            many = trials if mode == "reuse_actors" else peer_trials
            peer.setdefault(mode, []).append(_run("tune_peer", many, mode, say=say))
        ours.setdefault("our_sampler", []).append(_run("noop", max(1, trials // 5), "igcv", "off", say=say))
    ratios = {f"ratio_{mode}": _ratio(peer[mode], ours[mode]) for mode in MODES}
    sampled = [run["seconds_per_trial"] - run["proposal_seconds_per_trial"] for run in ours["our_sampler"]]
    return {
        **ratios,
        "ratio_our_sampler": _ratio(peer["default"], ours["our_sampler"]),
        "ratio_our_sampler_without_its_own_time": round(
            median(run["seconds_per_trial"] for run in peer["default"]) / median(sampled), 1
        ),
        "ours": ours,
        "peer": peer,
    }


def busy(trials: int, say: Say) -> dict[str, Any]:
    """The share of time that two workers are busy in a search of sleeping trials, our sampler, tracking on."""
    from orchestrator.benchmarks.noop import SLEEPER

    result: dict[str, Any] = _run("noop", trials, "igcv", "local", SLEEPER, say=say)
    return result


def _ratio(peer: list[Any], ours: list[Any]) -> float:
    """The median of peer over ours, pair by pair."""
    pairs = zip(peer, ours, strict=True)
    return round(float(median(theirs["seconds_per_trial"] / own["seconds_per_trial"] for theirs, own in pairs)), 1)


def _run(module: str, *arguments: object, say: Say) -> Any:
    result = measured_in_child(module, *arguments)
    say(f"{module} {' '.join(map(str, arguments))}: {1000 * result['seconds_per_trial']:.1f} ms a trial")
    return result
