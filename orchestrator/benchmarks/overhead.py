"""The search's overhead beside Ray Tune's: no-op trials through the real study, real actors and the real loop.

Each pair runs ours and the peer in turn, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

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
    texts = [str(argument) for argument in arguments]
    command = [sys.executable, "-m", f"orchestrator.benchmarks.{module}", *texts]
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ValueError(f"{' '.join(command[2:])} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    say(f"{module} {' '.join(texts)}: {1000 * result['seconds_per_trial']:.1f} ms a trial")
    return result
