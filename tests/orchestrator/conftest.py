"""A small space on digits, shared by the tests of the study and of the search."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.experiment import Experiment
from orchestrator.opening import Prepared, prepare


def make_experiment(output: Path, **changes: object) -> Experiment:
    content: dict[str, object] = {
        "name": "small",
        "families": {
            "igcv2": {
                "stem_width": 8,
                "spatial": "channelwise",
                "inner": "none",
                "skip": True,
                "width": [[8, 16], [16, 32]],
                "blocks": [1, 2],
                "k": [4, 8],
            }
        },
        "budget": {"max_macs": "200k"},
        "trials": 4,
        "training": {"epochs": 2, "batch_size": 128},
        "resources": {"pool": "inline"},
        "tracking": "off",
        "output": str(output),
    }
    return Experiment.model_validate({**content, **changes})


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return make_experiment(tmp_path)


@pytest.fixture
def prepared(experiment: Experiment) -> Prepared:
    return prepare(experiment)
