"""Workers import and train where nothing but torch and NumPy is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from search_spaces.plan import plan_to_json
from tests.workers.making import images, small_plan, write_npz

BARE = """
import importlib, importlib.metadata, pkgutil, re, sys, sysconfig

# What an environment with torch and NumPy alone would hold: they, and what torch requires.
def required(name, found):
    if name in found:
        return found
    found.add(name)
    for line in importlib.metadata.requires(name) or ():
        if "extra ==" not in line:
            needed = re.split(r"[^A-Za-z0-9_.-]", line)[0].lower().replace("_", "-")
            try:
                required(needed, found)
            except importlib.metadata.PackageNotFoundError:
                pass
    return found

present = required("torch", set()) | {"numpy"}
tops = importlib.metadata.packages_distributions()

def here(name):
    top = name.partition(".")[0]
    owners = {owner.lower().replace("_", "-") for owner in tops.get(top, ())}
    return not owners or bool(owners & present) or top in {"workers", "search_spaces"}

class Bare:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return self.finder.find_spec(name, path, target) if here(name) else None

sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path if hasattr(finder, "find_spec")]
for absent in ("pyarrow", "PIL", "sklearn", "torchvision", "ray", "optuna", "mlflow", "pandas", "scipy"):
    try:
        importlib.import_module(absent)
    except ImportError:
        continue
    raise SystemExit(f"{absent} is not blocked")

import workers
for module in pkgutil.walk_packages(workers.__path__, "workers."):
    importlib.import_module(module.name)

from search_spaces.plan import plan_from_json
from workers.guard import run
from workers.records import DataSpec, Metrics, Recipe, TrainRequest

plan = plan_from_json(sys.argv[2])
data = DataSpec(name="npz", path=sys.argv[1])
*_, outcome = run(TrainRequest(key="t", plan=plan, data=data, recipe=Recipe(epochs=2, batch_size=16)))
print(type(outcome).__name__, getattr(outcome, "message", ""))
*_, outcome = run(TrainRequest(key="t", plan=plan, data=DataSpec(), recipe=Recipe(epochs=2)))
print(type(outcome).__name__, outcome.kind, outcome.message)
"""


def test_workers_import_and_train_with_torch_and_numpy_alone(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "set.npz", train=(images(60, channels=1)[..., 0], [index % 3 for index in range(60)]))
    plan = plan_to_json(small_plan(classes=3))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", BARE, str(path), plan]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    trained, digits = result.stdout.strip().splitlines()
    assert trained.strip() == "Metrics"
    assert digits.startswith("Failure data the data set 'digits' ships with scikit-learn, which is not installed")
