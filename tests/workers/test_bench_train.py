"""The network that the benchmark trains is the peer's: the same parameters and, with its weights, the same scores."""

from __future__ import annotations

import torch

from tests.benchmarks.bench_train import PARAMETERS, peer_plan
from tests.benchmarks.train_by_hand import network
from workers.builder import build, count_parameters
from workers.units import chosen_forms


def test_the_plan_is_the_network_written_by_hand() -> None:
    by_hand, plan = network(), peer_plan()
    own = build(plan, forms=chosen_forms(plan, native=False))
    assert count_parameters(by_hand) == count_parameters(own) == PARAMETERS
    states = zip(own.state_dict().values(), by_hand.state_dict().values(), strict=True)
    with torch.no_grad():
        for mine, theirs in states:
            mine.copy_(theirs)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(own(x), by_hand(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(own.eval()(x), by_hand.eval()(x), rtol=1e-3, atol=1e-3)
