"""The house itself: imports keep their direction, packages hold a docstring, pure rooms drag in no framework."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("search_spaces", "workers", "dashboards", "orchestrator")
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("search_spaces/plan.py", "import torch"),
        ("search_spaces/cost.py", "import workers.records"),
        ("workers/records.py", "import optuna"),
        ("dashboards/table.py", "import workers.records"),
        ("orchestrator/trials.py", "import torch"),
    ],
)
def test_a_forbidden_import_turns_the_check_red(tmp_path: Path, file: str, line: str) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / file
    path.write_text(
        path.read_text().replace(
            "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n"
        )
    )
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(LINT, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode != 0, result.stdout
    assert "BROKEN" in result.stdout


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("__init__.py"):
            body = ast.parse(path.read_text()).body
            assert len(body) == 1, path
            assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("search_spaces.feasible", ("torch", "ray", "optuna", "mlflow", "pandas")),
        ("workers.data.facts", ("torch", "ray", "optuna", "mlflow")),
        ("workers.trainer", ("ray", "optuna", "mlflow", "sklearn", "pyarrow", "torchvision")),
        ("orchestrator.cli.main", ("torch", "ray", "optuna", "mlflow", "numpy")),
        ("orchestrator.decisions", ("torch", "ray", "optuna", "mlflow")),
    ],
)
def test_importing_a_module_drags_in_no_framework(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
