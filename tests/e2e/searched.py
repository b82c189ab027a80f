"""A small finished search whose test split is poison, for tests of what comes after a search."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from workers.data.digits import DigitsSource

TEST_IMAGES = 7  # so few that an accuracy tells by itself that it was counted on them
POISON = b"whoever reads this has read the test split"
EXPERIMENT = """
name: small
data: {{name: npz, path: {data}, validation_fraction: 0.25}}
families:
  igcv2: {{stem_width: 8, spatial: channelwise, inner: none, skip: true, width: [[8, 16], [16, 32]], blocks: [1, 2], k: [4, 8]}}
budget: {{max_macs: 200k}}
references: [igcv2-c64-d8]
trials: 3
training: {{epochs: 2, batch_size: 64, crop_padding: 1, flip: false}}
resources: {{pool: inline, workers: 2}}
tracking: off
"""


def write_data(folder: Path) -> None:
    """400 digits to train and validate on, and a test split that cannot be read."""
    folder.mkdir(parents=True)
    part = DigitsSource().read("train")
    np.savez(folder / "train.npz", images=part.images_NCHW[:400, 0], labels=part.labels_N[:400])
    (folder / "test.npz").write_bytes(POISON)


def put_right(folder: Path) -> None:
    """A test split of few images."""
    part = DigitsSource().read("test")
    np.savez(folder / "test.npz", images=part.images_NCHW[:TEST_IMAGES, 0], labels=part.labels_N[:TEST_IMAGES])


def write_experiment(folder: Path) -> None:
    (folder / "experiment.yaml").write_text(EXPERIMENT.format(data=folder / "data"))


def igcv(folder: Path, *arguments: object) -> Result:
    """The command in this process, in a folder."""
    from orchestrator.cli.main import igcv as group

    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(group, [str(argument) for argument in arguments])
    finally:
        os.chdir(before)


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """The command in a process group of its own, to be killed."""
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, start_new_session=True, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], text: str) -> Sequence[str]:
    """The lines that it says up to the one with a text in it. AssertionError where it ends before."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was not said, but: {''.join(lines)}")
