"""Every named sampler in one search: within the budget, never twice, and untroubled by stopped and paused trials."""

from __future__ import annotations

import math

import pytest

from orchestrator.opening import Prepared, cost_names
from orchestrator.sampler.named import NAMES, check_sampler, make_proposer
from orchestrator.sampler.proposer import Observation
from search_spaces.space import Architecture


def made_up_accuracy(prepared: Prepared, architecture: Architecture) -> float:
    macs = float(prepared.feasible.costs([architecture])[0][1])
    return 1.0 - 0.5 * math.exp(-macs / 40_000)


@pytest.mark.parametrize("name", [*NAMES, "optuna.samplers:RandomSampler"])
def test_a_sampler_proposes_distinct_networks_within_the_budget(prepared: Prepared, name: str) -> None:
    check_sampler(name)
    proposer = make_proposer(name, prepared.feasible, cost_names(prepared.experiment), prepared.reference_point, 0)
    seen: list[Architecture] = []
    observed: list[Observation] = []
    for turn in range(6):
        pending = seen[-2:] if turn else []
        proposals = proposer.propose(2, observed, pending)
        assert len(proposals) == 2
        for architecture in proposals:
            assert prepared.feasible.contains(architecture)
            assert architecture not in seen
            seen.append(architecture)
        done, stopped = proposals
        observed.append(Observation(architecture=done, accuracy=made_up_accuracy(prepared, done)))
        observed.append(Observation(architecture=stopped, accuracy=None, curve=(0.3, 0.4)))


def test_our_sampler_ends_where_the_space_is_exhausted(prepared: Prepared) -> None:
    size = prepared.feasible.size
    proposer = make_proposer("igcv", prepared.feasible, ("macs",), prepared.reference_point, 0)
    seen: set[Architecture] = set()
    observed: list[Observation] = []
    while proposals := proposer.propose(8, observed, []):
        assert seen.isdisjoint(proposals)
        seen.update(proposals)
        observed = [Observation(architecture=one, accuracy=made_up_accuracy(prepared, one)) for one in proposals]
    assert len(seen) == size
