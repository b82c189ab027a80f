"""Every family in files that compute the same on real digits; a file that does not is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import workers.export
from search_spaces.feasible import Budget, FeasibleSet
from search_spaces.networks import Task
from search_spaces.plan import Plan
from search_spaces.space import make_space
from search_spaces.summary import describe
from tests.workers.making import request, small_plan
from tests.workers.test_inference import trained
from workers.checkpoint import Checkpoint, Progress, save, signature
from workers.export import Exported, export
from workers.inference import inference_network
from workers.records import DataSpec

DIGITS = Task(image_size=8, channels=1, classes=10)
DATA = DataSpec()
FAMILIES = ("igcv1", "igcv2", "igcv3", "xception", "mobilenetv1", "mobilenetv2")


def write_weights(path: Path, plan: Plan) -> Path:
    network, _ = trained(plan, seed=1)
    agreed = signature(request(plan=plan))
    save(path, Checkpoint(signature=agreed, progress=Progress(epoch=1), network=network.state_dict(), optimiser={}))
    return path


def exported(plan: Plan, folder: Path) -> Exported:
    return export(plan, write_weights(folder / "weights.pt", plan), DATA, folder, plan.key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, exported."""
    made = tmp_path_factory.mktemp("export")
    exported(small_plan(), made)
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_the_same_network_in_every_file(family: str, tmp_path: Path) -> None:
    feasible = FeasibleSet(make_space(DIGITS, {family: {}}), Budget())
    plan = feasible.space.plan(describe(feasible).cheapest)
    made = exported(plan, tmp_path)
    assert [check.file for check in made.checks] == ["model.pt2", "model.onnx"]
    for check in made.checks:
        assert check.images == 256
        assert check.same_top1 == 256
        assert check.max_difference <= check.tolerance
    assert made.image_shape == (1, 8, 8)
    assert made.classes == tuple("0123456789")
    assert 0 <= made.validation_accuracy <= 1


def test_the_onnx_file_needs_onnxruntime_and_numpy_alone(folder: Path) -> None:
    plan = small_plan()
    network, _ = trained(plan, seed=1)
    images = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    np.save(folder / "images.npy", images)
    code = """
import sys
for name in ("torch", "workers", "search_spaces", "onnx"):
    sys.modules[name] = None
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
images = numpy.load("images.npy")
scores = [session.run(["scores"], {"images": part})[0] for part in (images[:1], images[1:])]
numpy.save("scores.npy", numpy.concatenate(scores))
print(session.get_inputs()[0].shape, session.get_modelmeta().custom_metadata_map["plan_key"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['batch', 1, 8, 8] {plan.key}"
    with torch.inference_mode():
        wanted = network(torch.from_numpy(images)).numpy()
    assert np.load(folder / "scores.npy") == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_the_safetensors_file_holds_the_weights_as_they_were_trained(folder: Path) -> None:
    from safetensors.torch import load_file

    network, _ = trained(small_plan(), seed=1)
    found = load_file(folder / "model.safetensors")
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


def test_no_file_names_a_place_on_this_machine(folder: Path) -> None:
    here = str(Path(__file__).parents[2]).encode()
    assert all(here not in file.read_bytes() for file in folder.glob("model.*"))


def test_a_form_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: workers.export.PlanNetwork) -> torch.nn.Module:
        found = inference_network(network)
        for parameter in found.parameters():
            parameter.mul_(1.001)
        return found

    monkeypatch.setattr(workers.export, "inference_network", wrong)
    with pytest.raises(ValueError, match=r"model\.pt2 is not what was trained: .* images are sorted alike"):
        exported(small_plan(), tmp_path)


def test_weights_of_another_network_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    file = write_weights(tmp_path / "weights.pt", small_plan())
    with pytest.raises(ValueError, match="weights of another network"):
        export(small_plan(width=32), file, DATA, tmp_path, "")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="no weights here that can be read"):
        export(small_plan(), file, DATA, tmp_path, "")


def test_a_missing_package_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.export, "PACKAGES", ("onnx", "package_that_is_not_there"))
    with pytest.raises(ValueError, match=re.escape("needs package_that_is_not_there, not installed here; pip install")):
        export(small_plan(), tmp_path / "weights.pt", DATA, tmp_path / "new", "")
    assert not list(tmp_path.iterdir())
