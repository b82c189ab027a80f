"""The Dockerfile: clean by hadolint, built from files that are there, its last stages without compilers and without root."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker/Dockerfile"
FINAL = ("cpu", "cuda")


def instructions() -> list[tuple[str, str]]:
    """(name, rest) of each instruction, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, by its name, those of the stages it begins with first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, rest in instructions():
        if name == "FROM":
            base, _, stage = rest.split()
            now = found[stage] = list(found.get(base, []))
        elif found:
            now.append((name, rest))
    return found


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint") or shutil.which(Path(sys.executable).with_name("hadolint"))
    if hadolint is None:
        pytest.skip("hadolint is not installed; the extra `test` has it")
    result = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    bad = subprocess.run([hadolint, "-"], input="FROM python\nRUN cd /x\n", capture_output=True, text=True)
    assert "DL3006" in bad.stdout, "hadolint itself does not work here"


@pytest.mark.parametrize("stage", FINAL)
def test_the_last_stages_run_as_nobody_of_importance_and_install_nothing(stage: str) -> None:
    found = stages()[stage]
    users = [rest for name, rest in found if name == "USER"]
    assert users == ["10001:10001"]
    commands = " ".join(rest for name, rest in found if name == "RUN")
    assert not re.search(r"\b(gcc|g\+\+|build-essential|apt-get|pip)\b", commands)
    assert [rest for name, rest in found if name == "COPY"] == [
        "--chmod=755 docker/entrypoints /opt/entrypoints",
        f"--from=packages-{stage} /opt/igcv /opt/igcv",
    ]


def test_images_have_pinned_tags_and_the_wheel_is_built_once() -> None:
    base = next(rest for name, rest in instructions() if name == "ARG").partition("=")[2]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
    assert [rest for name, rest in instructions() if "pip wheel" in rest] == [
        rest for name, rest in stages()["wheel"] if "pip wheel" in rest
    ]
    for stage in ("packages-cpu", "packages-cuda"):
        assert ("COPY", "--from=wheel /dist /dist") in stages()[stage]
        assert any(
            "set -- /dist/*.whl" in rest and '--constraint constraints.txt "$1[buckets]"' in rest
            for _, rest in stages()[stage]
        )


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    for source in sources():
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_nothing_else_reaches_the_builder() -> None:
    there = {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    assert there <= {*sources(), "docker"}, there
    for secret in (".env", "docker/.env", "docker/entrypoints/.env", "docker/secrets/token", ".git/config"):
        assert ignored(secret), secret


def test_every_entry_point_can_be_run_and_says_what_it_takes() -> None:
    for script in (ROOT / "docker/entrypoints").iterdir():
        text = script.read_text()
        if script.name != "common":
            assert script.stat().st_mode & 0o111, script
            assert text.startswith("#!"), script
        assert ".venv" not in text, script
        if text.startswith("#!/bin/sh"):
            subprocess.run(["sh", "-n", script], check=True)


def test_the_packages_that_build_the_wheel_are_pinned() -> None:
    assert re.search(r"^hatchling==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def sources() -> list[str]:
    """What is copied from the repository."""
    copies = [rest.split() for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    return sorted({word for words in copies for word in words[:-1] if not word.startswith("--")})


def ignored(path: str) -> bool:
    """As .dockerignore has it: the last line that matches the path or a folder above it decides."""
    decided = False
    parts = path.split("/")
    prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        names = parts if "**/" in line else prefixes
        if any(fnmatch(name, pattern) and "/" not in name.removeprefix(pattern) for name in names):
            decided = not line.startswith("!")
    return decided
