"""What `igcv bench train` measures: the peer's very network, ours in a process, and the arithmetic between them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path

import pytest
import torch

from tests.workers.making import small_plan
from workers.allocator import worker_environment
from workers.benchmarks import training
from workers.benchmarks.bounds import bounds, step_bytes, step_flops
from workers.benchmarks.by_hand import network
from workers.benchmarks.families import compared
from workers.benchmarks.network import PARAMETERS, forms_named, members, peer_plan
from workers.benchmarks.ours import ChannelsLast, write_images
from workers.benchmarks.training import clean_environment, measure, parts, ratios, run
from workers.builder import build, count_parameters
from workers.units import NATIVE, chosen_forms, units

SPEEDS = {
    "peer": [100.0, 80.0],
    "peer_same_allocator": [200.0, 160.0],
    "ours_grouped": [250.0, 250.0],
    "ours_grouped_channels_last": [300.0, 300.0],
    "ours_composed": [400.0, 300.0],
    "ours": [600.0, 640.0],
    "ours_clean_environment": [310.0, 310.0],
}


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


def test_ratios_are_of_pairs_and_factors_multiply_to_the_whole() -> None:
    assert ratios(SPEEDS) == {
        "ratio_median": 7.0,
        "ratios": [6.0, 8.0],
        "ratio_median_same_allocator": 3.5,
        "ratios_same_allocator": [3.0, 4.0],
    }
    *rows, alone = parts(SPEEDS)
    assert [row["part"] for row in rows] == ["plain loop", *list(training.PARTS)[1:]]
    assert prod(row["factor"] for row in rows) == pytest.approx(620 / 90, rel=0.02)
    assert alone == {"part": "all but the allocator", "images_per_second": 310.0, "factor": 0.5}


def test_the_peer_runs_in_a_clean_environment_and_in_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("LD_PRELOAD", "")
    seen: list[tuple[str, bool, bool]] = []

    def fake(command: list[str], environment: Mapping[str, str]) -> dict[str, float]:
        assert "MALLOC_ARENA_MAX" not in environment
        assert "LD_PRELOAD" not in environment
        seen.append(
            (command[2] if command[1] == "-m" else command[1], "MALLOC_TOP_PAD_" in environment, "synthetic" in command)
        )
        return {"images_per_second": 1.0, "first_step_seconds": 2.0, "matmul_gflops": 1.0, "copy_gb_per_second": 1.0}

    monkeypatch.setattr(training, "run", fake)
    result = measure(2, 3, 1, "other.py", True, lambda line: None)
    assert seen[:3] == [("other.py", False, True), ("other.py", True, True), ("workers.benchmarks.ours", True, False)]
    assert len(seen) == 2 * 7 + 2
    assert seen[-2] == ("workers.benchmarks.by_hand", True, False)
    assert {"ratio_median", "ratios", "ratio_median_same_allocator", "ours", "peer", "parts", "bounds"} <= set(result)
    assert result["compile_seconds"] == 2.0
    json.dumps(result)


def test_what_bounds_a_step_is_the_nearer_limit() -> None:
    plan = small_plan()
    forms = chosen_forms(plan, native=True)
    limits = {"matmul_gflops": 100.0, "copy_gb_per_second": 10.0}
    found = bounds(plan, forms, 1e9 * 50 / step_flops(plan), limits)
    assert found["arithmetic_share"] == 0.5
    assert found["memory_share"] == pytest.approx(step_bytes(plan, forms) * 50 / step_flops(plan) / 10, abs=0.01)
    slow = bounds(plan, forms, 1.0, {"matmul_gflops": 1e-9, "copy_gb_per_second": 1e9})
    assert slow["bound"] == "arithmetic"


def test_native_units_pass_over_memory_less_often() -> None:
    plan = peer_plan()
    native, plain = (step_bytes(plan, forms_named(plan, name)) for name in (NATIVE, "grouped"))
    assert native < plain / 1.5


def test_the_layout_changes_no_score() -> None:
    plan, x = peer_plan(), torch.randn(2, 3, 32, 32)
    plain, other = build(plan), ChannelsLast(plan)
    other.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(x), other(x), rtol=1e-4, atol=1e-4)
    stem = other.nodes[1](x.contiguous(memory_format=torch.channels_last))
    assert stem.is_contiguous(memory_format=torch.channels_last)


def test_ours_trains_in_a_process_of_its_own(tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    command = [sys.executable, "-m", "workers.benchmarks.ours", "1", "1", "chosen", str(tmp_path), "channels_last"]
    assert run(command, clean_environment() | worker_environment(1))["images_per_second"] > 0


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(ValueError, match=r"(?s)ended with 1: .*ZeroDivisionError"):
        run([sys.executable, "-c", "1 / 0"], clean_environment())


def test_a_network_of_a_family_is_compared_layer_by_layer() -> None:
    plan = members("mobilenetv1")["narrow"]
    found = compared(plan, batch=2, rounds=1)
    assert found["ratio"] > 0
    assert len(found["layers"]) == len(units(plan))
    assert found["layers"][0].startswith("stem")
