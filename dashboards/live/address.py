"""What the page shows, as the part of its address after the question mark: every view can be shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

from dashboards.front import OBJECTIVES

VIEWS: Mapping[str, str] = {  # key -> its name on the page
    "front": "Front",
    "hypervolume": "Progress",
    "curves": "Curves",
    "importance": "Importance",
    "parallel": "Parameters",
    "workers": "Workers",
    "failures": "Failures",
    "trials": "Table",
}
FAMILY = "family"  # what colours tell of, where it is no quantity
COLOURS = (FAMILY, *OBJECTIVES)
SCALES = ("", "log", "linear")  # "": as is usual for the quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The state of the page. `trial` is NUMBER@STUDY, or empty; `choice` is one of the view's figures.

    Points stand at `x` and `y`, and their colours tell of `z`.
    """

    study: str
    beside: tuple[str, ...] = ()
    view: str = "front"
    choice: str = ""
    x: str = "macs"
    y: str = "accuracy"
    z: str = FAMILY
    scale: str = ""
    trial: str = ""

    @property
    def studies(self) -> tuple[str, ...]:
        """The study, and those compared with it."""
        return (self.study, *(name for name in self.beside if name != self.study))


def to_query(shown: Shown) -> str:
    """Only what differs from a fresh page."""
    fresh = Shown(study=shown.study)
    told = {name: getattr(shown, name) for name in ("study", "view", "choice", "x", "y", "z", "scale", "trial")}
    parts = [(name, value) for name, value in told.items() if name == "study" or value != getattr(fresh, name)]
    return "?" + urlencode([*parts, *(("beside", name) for name in shown.beside)])


def from_query(query: str | None, studies: Sequence[str]) -> Shown:
    """The state that an address asks for; what is unknown in it is as on a fresh page."""
    given = parse_qs((query or "").removeprefix("?"))
    first = {name: values[0] for name, values in given.items()}
    shown = Shown(study=first.get("study", studies[0]), choice=first.get("choice", "")[:60])
    known: dict[str, Sequence[str] | Mapping[str, object]] = {
        "study": studies, "view": VIEWS, "x": OBJECTIVES, "y": OBJECTIVES, "z": COLOURS,
        "scale": SCALES,
    }  # fmt: skip
    fresh = Shown(study=studies[0])
    for name, names in known.items():
        value = first.get(name, getattr(fresh, name))
        shown = replace(shown, **{name: value if value in names else getattr(fresh, name)})
    beside = tuple(name for name in dict.fromkeys(given.get("beside", ())) if name in studies and name != shown.study)
    trial = first.get("trial", "")
    return replace(shown, beside=beside, trial=trial if trial_of(trial, studies) else "")


def trial_of(text: str, studies: Sequence[str]) -> tuple[str, int] | None:
    """(study, number) of NUMBER@STUDY, None where it is no such thing."""
    number, _, study = text.partition("@")
    return (study, int(number)) if number.isdecimal() and len(number) < 12 and study in studies else None
