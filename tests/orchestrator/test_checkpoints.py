"""What becomes of checkpoints when trials end, also where their place is away at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.checkpoints import Checkpoints
from orchestrator.trials import Trial
from orchestrator.weights import FrontWeights, weights_file
from tests.orchestrator.making import metrics, trial
from workers.places import Folder, Place


@dataclass
class Away:
    """A folder that is reached like a bucket, and that fails as often as `faults` says."""

    folder: Folder
    faults: int = 0
    tried: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.folder.address

    def file(self, name: str) -> str:
        return self.folder.file(name)

    def within(self, name: str) -> Place:
        return self.folder.within(name)

    def prepare(self) -> None:
        self.folder.prepare()

    def names(self) -> list[str]:
        return self.folder.names()

    def versions(self, name: str) -> Iterator[tuple[str, bytes]]:
        return self.folder.versions(name)

    def write(self, name: str, content: bytes | memoryview) -> None:
        self.folder.write(name, content)

    def remove(self, name: str, *, alone: bool = False) -> None:
        self._meet(f"remove {name}")
        self.folder.remove(name)

    def move(self, name: str, target: Path) -> bool:
        self._meet(f"move {name}")
        return self.folder.move(name, target)

    def _meet(self, what: str) -> None:
        self.tried.append(what)
        if self.faults:
            self.faults -= 1
            raise OSError("the bucket is away")


def name(found: Trial) -> str:
    return f"trial-{found.number:06d}.pt"


def ended(number: int, accuracy: float) -> Trial:
    found = trial(number, 100)
    found.phase, found.metrics = "complete", metrics(1, accuracy, number)
    return found


@pytest.fixture
def away(tmp_path: Path) -> Away:
    place = Away(Folder(tmp_path / "checkpoints"))
    place.prepare()
    return place


def test_what_a_place_could_not_do_it_does_at_the_end(tmp_path: Path, away: Away) -> None:
    said: list[str] = []
    checkpoints = Checkpoints(away, name, said.append, FrontWeights(tmp_path, ("macs",), []))
    worse, better = ended(0, 0.4), ended(1, 0.5)
    for found in (worse, better):
        away.write(name(found), str(found.number).encode())
    away.faults = 2  # taking the first, which stands on the front then, and taking the second
    checkpoints.ended(worse)
    checkpoints.ended(better)
    checkpoints.close()
    assert away.names() == []
    assert not weights_file(tmp_path, 0).exists()
    assert weights_file(tmp_path, 1).read_bytes() == b"1"
    assert [line for line in said if "stays where it is for now (the bucket is away)" in line] == said
    assert len(said) == 2


def test_what_stays_away_is_left_for_the_next_start(tmp_path: Path, away: Away) -> None:
    found = ended(0, 0.5)
    away.write(name(found), b"0")
    away.faults = 99
    checkpoints = Checkpoints(away, name, lambda line: None, FrontWeights(tmp_path, ("macs",), []))
    checkpoints.ended(found)
    checkpoints.close()
    assert away.names() == [name(found)]
    away.faults = 0
    again = Checkpoints(away, name, lambda line: None, FrontWeights(tmp_path, ("macs",), [found]))
    again.sweep([found])
    again.close()
    assert away.names() == []
    assert weights_file(tmp_path, 0).read_bytes() == b"0"


def test_what_is_no_fault_of_the_place_is_told(tmp_path: Path, away: Away) -> None:
    class Broken:
        def take(self, trial: Trial, place: Place, name: str) -> None:
            raise TypeError("a fault of ours")

    checkpoints = Checkpoints(away, name, lambda line: None, Broken())
    for number in range(3):
        checkpoints.ended(ended(number, 0.5))
    with pytest.raises(TypeError, match="a fault of ours"):
        checkpoints.close()


def test_a_start_touches_no_trial_that_goes_on_and_nothing_of_others(tmp_path: Path, away: Away) -> None:
    done, running = ended(0, 0.5), trial(1, 100)
    for file in (name(done), f"{name(done)}.prev", name(running), "notes.txt"):
        away.write(file, b"x")
    Checkpoints(away, name, lambda line: None).sweep([done, running, ended(2, 0.6)])
    assert sorted(away.names()) == ["notes.txt", name(running)]
    assert away.tried == [f"remove {name(done)}"], "what is not there is not asked for"
