"""The pool on a real cluster: logical GPUs by their labels, nodes that come and go, trials that kill or hang, no head."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ray_cluster import RayCluster, stop

ROOT = Path(__file__).parents[2]
EXPERIMENT = """
name: small
families:
  igcv2: {stem_width: 8, spatial: channelwise, inner: none, skip: true, width: [[8, 16], [16, 32]], blocks: [1, 2], k: [4, 8]}
budget: {max_macs: 200k}
training: {epochs: 2, batch_size: 128}
sampler: uniform
tracking: off
"""

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    made = RayCluster(cpus=4, gpus=2, labels="kind=a")
    try:
        made.start(ROOT)
        yield made
    finally:
        made.close()


@pytest.fixture
def file(tmp_path: Path, cluster: RayCluster) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(f"{EXPERIMENT}output: {tmp_path}/runs\nresources: {{address: '{cluster.address}'}}\n")
    return path


def start(cluster: RayCluster, file: Path, runner: str, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.orchestrator.ray_runner", str(file), runner, *overrides],
        env=cluster.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def rows(process: subprocess.Popen[str]) -> list[list[Any]]:
    output, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    found: list[list[Any]] = json.loads(output)
    return found


def notes(file: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (file.parent / "runs/small/checkpoints").glob("note-*.json")]


def test_shares_of_labelled_gpus_as_nodes_join_and_leave(cluster: RayCluster, file: Path) -> None:
    """Half a GPU each, on nodes of kind b: none at first; one joins, with two GPUs, and later leaves for another."""
    process = start(cluster, file, "gpus", "trials=40", "resources.labels={kind: b}", "resources.gpus_per_worker=0.5")
    assert process.stderr is not None
    assert any("on a node with {'kind': 'b'}. The search waits" in line for line in process.stderr), "it says so"
    first = cluster.join(cpus=4, gpus=2, labels="kind=b", cwd=ROOT)
    until = time.monotonic() + 120
    while {note["device"] for note in notes(file)} != {"0", "1"} and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.1)
    before = len(notes(file))
    first.kill()
    cluster.join(cpus=4, gpus=1, labels="kind=b", cwd=ROOT)
    found = rows(process)
    assert [row[1] for row in found] == ["complete"] * 40
    assert all(row[4] <= 1 for row in found), "a lost node is no trial's fault"
    ran = notes(file)
    assert len(ran) > before, "the second node trained too"
    assert {note["device"] for note in ran} == {"0", "1"}, "CUDA_VISIBLE_DEVICES is the share's own GPU"
    for device in ("0", "1"):
        assert most_at_once([note for note in ran if note["device"] == device]) <= 2, "never more than two halves"


def most_at_once(ran: list[dict[str, Any]]) -> int:
    return max(sum(one["began"] <= other["began"] < one["ended"] for one in ran) for other in ran)


def test_a_poisonous_and_a_hung_trial_are_ended_and_named_and_the_others_go_on(cluster: RayCluster, file: Path) -> None:
    limits = (
        "resources.workers=3",
        "resources.max_losses=2",
        "training.time_limit=2s",
        "resources.cpus_per_worker=0.5",
    )
    found = rows(start(cluster, file, "poison", "trials=6", *limits))
    assert [row[1] for row in found if row[0] not in (1, 2)] == ["complete"] * 4
    poisonous, hung = found[1], found[2]
    assert poisonous[1:3] == ["failed", "lost"]
    assert "epoch 2 has lost its worker 2 times" in poisonous[3]
    assert "igcv2-" in poisonous[3] or "igcv2" in poisonous[3]
    assert hung[1:3] == ["failed", "time_limit"]


def test_a_search_whose_head_is_lost_says_so_and_goes_on_from_its_study_alone(cluster: RayCluster, file: Path) -> None:
    """The last test: it takes the cluster's head away, and starts another."""
    process = start(cluster, file, "gpus", "trials=40", "resources.workers=1")
    until = time.monotonic() + 120
    while not notes(file):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    assert cluster.head is not None
    cluster.head.kill()
    for node in cluster.nodes:
        node.kill()
    try:
        _, said = process.communicate(timeout=120)
    finally:
        stop(process)
    assert process.returncode == 75, said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    done = len(notes(file))
    cluster.start(ROOT)
    found = rows(start(cluster, file, "gpus", f"trials={done + 2}", "resources.workers=2"))
    assert [row[1] for row in found] == ["complete"] * (done + 2)
