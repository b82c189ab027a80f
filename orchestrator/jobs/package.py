"""What a cluster is sent: this program's packages as plain folders, and an experiment file as data.

Ray would install a wheel with pip and all that it depends on, on every node and for every job, and would take one wheel
for another where their file names agree. So a wheel's contents are sent, which Ray names by their digest; the libraries
are the cluster's own.
"""

from __future__ import annotations

import shutil
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("orchestrator", "workers", "search_spaces", "dashboards")
DISTRIBUTION = "igcv-search"
BUILT = shutil.ignore_patterns("__pycache__", "*.pyc")


def packages(wheel: Path | None, folder: Path) -> list[Path]:
    """The program's packages under `folder`: a wheel's, or those of the program that runs. ValueError if not whole."""
    if wheel is None:
        _copy_installed(folder)
    else:
        _unpack(wheel, folder)
    missing = [room for room in ROOMS if not (folder / room / "__init__.py").is_file()]
    if missing:
        raise ValueError(
            f"--wheel {wheel}: no wheel of {DISTRIBUTION}, it lacks {', '.join(missing)}; `make wheel` makes one"
        )
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _copy_installed(folder: Path) -> None:
    for room in ROOMS:
        found = find_spec(room)
        assert found is not None
        assert found.origin is not None
        shutil.copytree(Path(found.origin).parent, folder / room, ignore=BUILT)
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return
    facts = folder / f"{DISTRIBUTION.replace('-', '_')}-{installed.version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {installed.version}\n")


def _unpack(wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"--wheel {wheel}: cannot be read as a wheel ({error}); `make wheel` makes one") from error
