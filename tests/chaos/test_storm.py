"""A short storm: a worker, a node and the driver are killed while a submitted search trains. `make test-chaos`: long ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.program import make_wheel
from tests.chaos.storm import Storm
from tests.chaos.verdict import judge


@pytest.mark.ray
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_short_storm_costs_no_trial_and_no_finished_epoch(
    tmp_path: Path, request: pytest.FixtureRequest, place: str
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    s3 = request.getfixturevalue("s3_server") if place == "bucket" else None
    storm = Storm(folder=tmp_path, seed=seed, trials=12, epochs=2, nodes=2, wheel=make_wheel(tmp_path), s3=s3)
    weather = random.Random(seed).sample(["worker", "node", "driver"], 3)
    storm.run(weather)
    counts = judge(storm)
    assert [entry["what"] for entry in storm.log if entry["what"] in weather] == weather
    drivers = [entry for entry in storm.log if entry["what"] == "driver" and entry["detail"].startswith("process")]
    assert counts["submissions"] > len(drivers), "the search was submitted again for each driver that was killed"
