"""How many workers fit on nodes, and which nodes a selector takes."""

from __future__ import annotations

import pytest

from orchestrator.pools.fitting import NodeFacts, fitting, matches


def node(cpus: float = 8, gpus: float = 0, **labels: str) -> NodeFacts:
    return NodeFacts(id="0", name="n", cpus=cpus, gpus=gpus, labels=labels)


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ({}, True),
        ({"kind": "a"}, True),
        ({"kind": "b"}, False),
        ({"kind": "!b"}, True),
        ({"kind": "in(b, a)"}, True),
        ({"kind": "!in(a,b)"}, False),
        ({"absent": "!x"}, True),
        ({"absent": "x"}, False),
        ({"kind": "a", "zone": "2"}, False),
    ],
)
def test_selectors(selector: dict[str, str], taken: bool) -> None:
    assert matches({"kind": "a", "zone": "1"}, selector) is taken


@pytest.mark.parametrize(
    ("cpus", "gpus", "count"),
    [(1, 0, 16), (3, 0, 4), (1, 1, 4), (1, 0.25, 8), (0.5, 0.25, 16), (1, 0.4, 8), (1, 2, 2), (9, 0, 0)],
)
def test_workers_fit_node_by_node_and_shares_of_a_gpu_never_span_two(cpus: float, gpus: float, count: int) -> None:
    assert fitting([node(gpus=4), node(gpus=0)], cpus, gpus, {}) == count
    assert fitting([node(gpus=4, kind="a"), node(gpus=4, kind="b")], cpus, gpus, {"kind": "b"}) <= count
