"""Costs that only workers can tell: learnt from what was measured, by ours and by Optuna's samplers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from orchestrator.opening import Prepared, prepare
from orchestrator.sampler.model import AccuracyModel, CostModel
from orchestrator.sampler.named import make_proposer
from orchestrator.sampler.proposer import Observation
from orchestrator.sampler.source import FeasibleSource
from search_spaces.block_costs import Integers
from search_spaces.pareto import hypervolume
from search_spaces.space import Architecture
from tests.orchestrator.conftest import make_experiment


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    ranges = {"width": [[8, 16, 24], [16, 32, 48]], "blocks": [1, 2, 3], "k": [4, 8], "spatial": "channelwise"}
    return prepare(make_experiment(tmp_path_factory.mktemp("space"), families={"igcv2": ranges}, budget={}))


def latencies(source: FeasibleSource, codes: Integers) -> np.ndarray:
    """Depth counts more than MACs do, as on a real machine with small networks."""
    names = source.cost_names
    costs = source.costs(codes)
    return np.asarray(0.05 + 0.03 * costs[:, names.index("depth")] + 2e-7 * costs[:, names.index("macs")])


def test_the_cost_of_unseen_networks_is_learnt_from_two_dozen(space: Prepared) -> None:
    source = FeasibleSource(space.feasible)
    rng = np.random.default_rng(0)
    known, others = source.sample(rng, 24), source.sample(rng, 200)
    model = CostModel(source, AccuracyModel(source))
    noisy = latencies(source, known) * np.exp(rng.normal(0, 0.03, 24))
    model.learn(known, noisy, 24)
    off = np.abs(np.log(model.expected(others) / latencies(source, others)))
    assert np.median(off) < 0.05
    assert off.max() < 0.4


def searched(space: Prepared, sampler: str, costs: tuple[str, ...], seed: int, trials: int = 24) -> float:
    """The hypervolume after some trials of a made-up problem in which both objectives pull apart."""
    source = FeasibleSource(space.feasible)
    bounds = {"latency_ms": math.nan, "macs": 5e6}
    proposer = make_proposer(sampler, space.feasible, costs, [0.9, *(bounds[name] for name in costs)], seed)
    seen: list[tuple[float, ...]] = []
    news: list[Observation] = []
    names: set[Architecture] = set()
    for _ in range(trials):
        (architecture,) = proposer.propose(1, news, [])
        assert architecture not in names
        names.add(architecture)
        code = source.encode([architecture])
        latency = float(latencies(source, code)[0])
        error = 0.1 + 0.7 * math.exp(-float(source.costs(code)[0, source.cost_names.index("params")]) / 3000)
        news = [Observation(architecture=architecture, accuracy=1 - error, curve=(1 - error,), measured=(latency,))]
        seen.append((error, latency))
    return hypervolume(np.array(seen), np.array([0.9, 0.8]))


def test_ours_finds_more_than_uniform_draws_where_the_cost_has_to_be_learnt(space: Prepared) -> None:
    ours = [searched(space, "igcv", ("latency_ms",), seed) for seed in range(3)]
    uniform = [searched(space, "uniform", ("latency_ms",), seed) for seed in range(3)]
    assert min(ours) > np.mean(uniform)


@pytest.mark.parametrize("sampler", ["igcv", "uniform", "tpe", "nsga2"])
def test_every_sampler_takes_a_measured_cost_beside_an_exact_one(space: Prepared, sampler: str) -> None:
    assert searched(space, sampler, ("latency_ms", "macs"), seed=0, trials=12) > 0


def test_what_was_never_measured_teaches_accuracy_alone(space: Prepared) -> None:
    proposer = make_proposer("igcv", space.feasible, ("latency_ms",), [0.9, math.nan], 0)
    drawn = space.feasible.sample(np.random.default_rng(1), 24)
    source = FeasibleSource(space.feasible)
    earlier = [Observation(architecture=one, accuracy=0.5, earlier=True) for one in drawn[:12]]
    assert len(proposer.propose(2, earlier, [])) == 2, "nothing is measured yet: a design"
    cost = latencies(source, source.encode(drawn[12:]))
    own = [
        Observation(architecture=one, accuracy=0.5 + index / 100, measured=(float(value),))
        for index, (one, value) in enumerate(zip(drawn[12:], cost, strict=True))
    ]
    assert len(proposer.propose(2, own, [])) == 2


def test_there_may_be_curves_and_latencies_before_any_training_ended(space: Prepared) -> None:
    """As at the rungs of early stopping: a model, and an empty front."""
    for costs, measured in ((("latency_ms",), (0.3,)), (("macs",), ()), (("latency_ms", "macs"), (0.3,))):
        reference = [0.9, *({"latency_ms": math.nan, "macs": 5e6}[name] for name in costs)]
        proposer = make_proposer("igcv", space.feasible, costs, reference, 0)
        drawn = space.feasible.sample(np.random.default_rng(1), 12)
        paused = [
            Observation(architecture=one, accuracy=None, curve=(0.2 + index / 100,), measured=measured)
            for index, one in enumerate(drawn[:10])
        ]
        assert len(proposer.propose(2, paused, drawn[10:])) == 2
        assert len(proposer.propose(2, [], [])) == 2, "none is pending either"


def test_a_measured_cost_is_a_positive_number(space: Prepared) -> None:
    architecture = space.feasible.sample(np.random.default_rng(0), 1)[0]
    with pytest.raises(ValueError, match="positive"):
        Observation(architecture=architecture, accuracy=0.5, measured=(math.nan,))


def test_the_reference_of_a_latency_is_the_experiment_s_or_the_dearest(tmp_path: Path) -> None:
    given = make_experiment(tmp_path, objectives=["accuracy", "latency_ms"], reference_latency_ms=2.5)
    assert prepare(given).reference_point == (0.5, 2.5)
    free = make_experiment(tmp_path, objectives=["accuracy", "latency_ms"])
    assert math.isnan(prepare(free).reference_point[1])
