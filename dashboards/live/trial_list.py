"""The table of all trials: found, sorted and cut into pages on this side, so that a browser never holds them all."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from dash import html
from dash.development.base_component import Component

from dashboards.front import front
from dashboards.live.aria import aria
from dashboards.report import trial_columns
from dashboards.table import StudyFacts, TrialRow
from dashboards.words import MISSING, percent

PER_PAGE = 25
TITLES = {
    "study": "study", "number": "#", "accuracy": "accuracy", "macs": "MACs", "params": "parameters", "seconds": "seconds",
    "state": "state", "mark": "mark", "family": "family", "name": "network",
}  # fmt: skip
NUMERIC = ("number", "accuracy", "macs", "params", "seconds")
Columns = dict[str, list[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By which column, and which way."""

    column: str = "number"
    up: bool = True

    def turned(self, column: str) -> Order:
        """After a click on a column's head; accuracies start with the best."""
        return Order(column=column, up=not self.up if column == self.column else column != "accuracy")


def found_trials(columns: Columns, words: str, order: Order) -> list[int]:
    """Places of the trials that hold every word (`#12` is that trial alone), in order; what is unknown comes last."""
    wanted = words.lower().split()
    texts = zip(*(columns[name] for name in ("number", "name", "family", "state", "mark", "study")), strict=True)
    places = [index for index, cells in enumerate(texts) if _holds(cells, wanted)]
    values = columns[order.column if order.column in TITLES else "number"]
    known = [index for index in places if values[index] is not None]
    unknown = [index for index in places if values[index] is None]
    return sorted(known, key=lambda index: values[index], reverse=not order.up) + unknown  # type: ignore[arg-type,return-value]


def _holds(cells: tuple[object, ...], wanted: list[str]) -> bool:
    text = " ".join(map(str, cells[1:])).lower()
    return all(word == f"#{cells[0]}" if word[1:].isdecimal() and word[0] == "#" else word in text for word in wanted)


def to_csv(columns: Columns, places: Sequence[int]) -> str:
    """Comma-separated values; text that a spreadsheet would take for a formula is quoted by an apostrophe."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = _titles(columns)
    writer.writerow(names)
    writer.writerows([_harmless(columns[name][index]) for name in names] for index in places)
    return text.getvalue()


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def columns_of(studies: Sequence[tuple[str, Sequence[TrialRow], StudyFacts]]) -> Columns:
    """The table's columns over all studies; each study has its own front."""
    parts = [trial_columns(rows, front(rows, facts.objectives)) for _, rows, facts in studies]
    columns: Columns = {name: [cell for part in parts for cell in part[name]] for name in parts[0]}
    return columns | {"study": [name for name, rows, _ in studies for _ in rows]}


def _titles(columns: Columns) -> list[str]:
    """The study is a column where there are several."""
    return [name for name in TITLES if name != "study" or len(set(columns["study"])) > 1]


def trial_table(columns: Columns, places: Sequence[int], order: Order, page: int) -> Component:
    """One page of the table; heads and numbers are buttons."""
    shown = places[page * PER_PAGE : (page + 1) * PER_PAGE]
    return html.Table(
        [
            html.Thead(html.Tr([_head(name, order) for name in _titles(columns)])),
            html.Tbody([_line(columns, i) for i in shown]),
        ],
        className="numbers",
        id="table",
    )


def _head(name: str, order: Order) -> Component:
    way = "none" if name != order.column else "ascending" if order.up else "descending"
    button = html.Button(TITLES[name], id={"type": "sort", "column": name}, type="button")
    return aria(html.Th(button, scope="col", className=_side(name)), sort=way)


def _line(columns: Columns, index: int) -> Component:
    number = columns["number"][index]
    button = html.Button(
        f"{number}",
        id={"type": "trial", "number": number, "study": columns["study"][index]},
        type="button",
        className="link",
    )
    cells = [
        html.Td(button if name == "number" else _written(name, columns[name][index]), className=_side(name))
        for name in _titles(columns)
    ]
    return html.Tr(cells, className="front" if columns["mark"][index] in ("front", "reference") else "")


def _side(name: str) -> str:
    return "number" if name in NUMERIC else "long" if name == "name" else ""


def _written(name: str, value: object) -> str:
    if value is None:
        return MISSING
    if name == "accuracy":
        return percent(float(str(value)))
    return f"{value:,}" if isinstance(value, int | float) else str(value)
