"""A table of recorded trainings: a Parquet file with one row for each network.

Reserved columns: `macs`, `params`, `accuracy`; optional `accuracy_seeds` (list, one for each training), `curve` (list,
validation accuracy after each epoch), `epoch_seconds` (list as long as the curve), `family`. Every other column is an
architecture parameter: integers are ordered, strings categorical, null where it does not matter; a name may carry its
family (`igcv2.width_1`). A table need not hold every combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from orchestrator.sampler.encoding import Encoding, Floats, Parameter, in_order
from orchestrator.sampler.questions import Question, Questions
from search_spaces.block_costs import Integers
from search_spaces.networks import Value
from search_spaces.space import Architecture

RESERVED = ("macs", "params", "accuracy", "accuracy_seeds", "curve", "epoch_seconds", "family")
NEEDED = ("macs", "params", "accuracy")
NO_FAMILY = "network"  # of tables without a family column
ABSENT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What training one network gave. `accuracy` is the mean over `seeds` (one or more accuracies)."""

    accuracy: float
    seeds: tuple[float, ...]
    curve: tuple[float, ...] = ()
    epoch_seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows in the file's order; costs (n, 2) are (macs, params)."""

    architectures: tuple[Architecture, ...]
    costs: Floats
    recorded: tuple[Recorded, ...]
    path: str = "table"

    @property
    def epochs(self) -> int:
        """The length of the curves; 1 where there are none."""
        return max((len(recorded.curve) for recorded in self.recorded), default=0) or 1


def read_table(path: str | Path) -> Table:
    """Reads a Parquet file. ValueError names the column or the row that is wrong."""
    try:
        columns = pq.read_table(path).to_pydict()
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a Parquet file that can be read ({error})") from error
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise ValueError(f"{path}: the table lacks {', '.join(missing)}; it has {', '.join(columns)}")
    names = [name for name in columns if name not in RESERVED]
    count = len(columns["accuracy"])
    if not names or not count:
        raise ValueError(f"{path}: a table has rows and at least one column beside {', '.join(RESERVED)}")
    families = [str(name) for name in columns.get("family", [NO_FAMILY] * count)]
    architectures = tuple(
        Architecture(family=family, values=_values(family, names, [columns[name][row] for name in names], row))
        for row, family in enumerate(families)
    )
    table = Table(
        architectures=architectures,
        costs=np.array([columns["macs"], columns["params"]], dtype=np.float64).T,
        recorded=tuple(_recorded({name: columns[name][row] for name in columns}, row) for row in range(count)),
        path=str(path),
    )
    _check(table)
    return table


def _values(
    family: str, names: Sequence[str], values: Sequence[Value | None], row: int
) -> tuple[tuple[str, Value], ...]:
    found = []
    for name, value in zip(names, values, strict=True):
        owner, _, own = name.rpartition(".")
        if value is None:
            continue
        if owner and owner != family:
            raise ValueError(f"row {row} is of family {family}, but {name} is {value!r}; expected null")
        if not isinstance(value, int | float | str | bool):
            raise ValueError(f"row {row}: {name} is {value!r}; a parameter is a number or a text")
        found.append((own, value))
    return tuple(found)


def _recorded(cells: dict[str, object], row: int) -> Recorded:
    def numbers(name: str) -> tuple[float, ...]:
        given = cells.get(name)
        return tuple(float(number) for number in given) if isinstance(given, list) else ()

    accuracy = cells["accuracy"]
    if not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
        raise ValueError(f"row {row}: accuracy is {accuracy!r}; expected a fraction between 0 and 1")
    curve, seconds = numbers("curve"), numbers("epoch_seconds")
    if seconds and len(seconds) != len(curve):
        raise ValueError(f"row {row}: epoch_seconds has {len(seconds)} numbers, the curve {len(curve)}")
    return Recorded(
        accuracy=accuracy, seeds=numbers("accuracy_seeds") or (accuracy,), curve=curve, epoch_seconds=seconds
    )


def _check(table: Table) -> None:
    if not np.isfinite(table.costs).all():
        raise ValueError(f"{table.path}: macs and params must be there for every row")
    first: dict[Architecture, int] = {}
    for row, architecture in enumerate(table.architectures):
        if first.setdefault(architecture, row) != row:
            raise ValueError(f"{table.path}: rows {first[architecture]} and {row} are the same network")


class TableSource:
    """The rows of a table within limits, as a source of candidates. A code is the number of a row."""

    cost_names: tuple[str, ...] = ("macs", "params")

    def __init__(self, table: Table, max_macs: int | None, max_params: int | None) -> None:
        self.table = table
        self._limits = {"max_macs": (0, max_macs), "max_params": (1, max_params)}
        limits = np.array([max_macs or np.inf, max_params or np.inf])
        self.members: npt.NDArray[np.bool_] = np.all(table.costs <= limits, axis=1)
        self._numbers = np.flatnonzero(self.members)
        if not len(self._numbers):
            cheapest = table.costs.min(axis=0).astype(int).tolist()
            raise ValueError(
                f"{table.path}: none of {len(table.costs)} networks keeps the budget; "
                f"the least MACs are {cheapest[0]:,}, the least parameters {cheapest[1]:,}"
            )
        self._rows = {architecture: row for row, architecture in enumerate(table.architectures)}
        families = tuple(dict.fromkeys(architecture.family for architecture in table.architectures))
        self.parameters = _parameters(table.architectures)
        self._encoding = Encoding(self.parameters, families)
        self.summaries: Sequence[bool] = self._encoding.is_summary
        self._features = np.stack([self._encoding.row(one.family, one.values) for one in table.architectures])

    def sample(self, rng: np.random.Generator, count: int) -> Integers:
        return rng.choice(self._numbers, count)[:, None]

    def neighbours(self, codes: Integers) -> Integers:
        found = [self._around(int(code)) for code in codes[:, 0]]
        return np.unique(np.concatenate([codes[:0, 0], *found]))[:, None]

    def costs(self, codes: Integers) -> Floats:
        return np.asarray(self.table.costs[codes[:, 0]])

    def features(self, codes: Integers) -> Floats:
        return np.asarray(self._features[codes[:, 0]])

    def excess(self, code: Integers) -> dict[str, float]:
        costs = self.table.costs[int(code[0, 0])]
        return {name: costs[column] / most - 1 for name, (column, most) in self._limits.items() if most is not None}

    def nearest(self, architecture: Architecture) -> Architecture | None:
        """The row most like it by features, of its family; the row itself where the table has it."""
        if architecture in self._rows:
            return architecture
        own = self._encoding.row(architecture.family, architecture.values)
        same = [row for row, one in enumerate(self.table.architectures) if one.family == architecture.family]
        distances = ((self._features[same] - own) ** 2).sum(axis=1)
        return self.table.architectures[same[int(np.argmin(distances))]]

    @cached_property
    def questions(self) -> Questions:
        """A parameter that some rows of a family lack may be left out."""
        families = dict.fromkeys(architecture.family for architecture in self.table.architectures)
        return {family: self._family_questions(family) for family in families}

    def _family_questions(self, family: str) -> tuple[Question, ...]:
        own = [architecture for architecture in self.table.architectures if architecture.family == family]
        return tuple(
            Question(
                name=one.name,
                values=(*one.values, None) if one.optional else one.values,
            )
            for one in _parameters(own)
        )

    def contains(self, architecture: Architecture) -> bool:
        row = self._rows.get(architecture)
        return row is not None and bool(self.members[row])

    def encode(self, architectures: Sequence[Architecture]) -> Integers:
        try:
            rows = [self._rows[architecture] for architecture in architectures]
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is not in the table") from error
        return np.array(rows, dtype=np.int64).reshape(-1, 1)

    def decode(self, codes: Integers) -> list[Architecture]:
        return [self.table.architectures[row] for row in codes[:, 0].tolist()]

    @cached_property
    def _choices(self) -> npt.NDArray[np.int32]:
        """(rows, 1 + parameters): the family's number and the ranks of values, ABSENT where null."""
        names = [parameter.name for parameter in self.parameters]
        ranks = [{value: rank for rank, value in enumerate(parameter.values)} for parameter in self.parameters]
        families = {
            name: number for number, name in enumerate(dict.fromkeys(a.family for a in self.table.architectures))
        }
        given = [(families[one.family], dict(one.values)) for one in self.table.architectures]
        return np.array(
            [
                [
                    family,
                    *(
                        rank[values[name]] if name in values else ABSENT
                        for name, rank in zip(names, ranks, strict=True)
                    ),
                ]
                for family, values in given
            ],
            dtype=np.int32,
        )

    def _around(self, row: int) -> Integers:
        """Members of the same family that differ in one parameter that matters in both."""
        own = self._choices[row]
        others = self._choices[self._numbers]
        differ = ((others != own) & (others != ABSENT) & (own != ABSENT)).sum(axis=1)
        return np.asarray(self._numbers[(differ == 1) & (others[:, 0] == own[0])])


def _parameters(architectures: Sequence[Architecture]) -> list[Parameter]:
    """Every parameter with the values that occur; optional where a row lacks it."""
    seen: dict[str, list[Value]] = {}
    counts: dict[str, int] = {}
    for architecture in architectures:
        for name, value in architecture.values:
            seen.setdefault(name, []).append(value)
            counts[name] = counts.get(name, 0) + 1
    return [
        Parameter(name=name, values=in_order(values), optional=counts[name] < len(architectures))
        for name, values in seen.items()
    ]
