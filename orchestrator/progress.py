"""What a person sees while a search runs: a live display on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dashboards.front import front_rows
from dashboards.table import TrialRow

SECONDS_BETWEEN_LINES = 5.0
FRONT_ROWS = 8
ENDED = ("complete", "pruned", "failed")


class Display(Protocol):
    """A sink for changed trials that shows them, and says single messages without breaking what is shown."""

    def update(self, rows: Iterable[TrialRow]) -> None: ...
    def say(self, message: str) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progress:
    """The search so far, as the displays draw it."""

    def __init__(self, objectives: tuple[str, ...], trials_asked: int | None, clock: Callable[[], float]) -> None:
        self.objectives = objectives
        self.asked = trials_asked
        self.clock = clock
        self.rows: dict[int, TrialRow] = {}
        self.started_at = clock()
        self.ended_before: int | None = None

    def update(self, rows: Iterable[TrialRow]) -> list[TrialRow]:
        """Takes changed rows; returns those that ended just now."""
        ended = []
        for row in rows:
            before = self.rows.get(row.number)
            self.rows[row.number] = row
            if row.state in ENDED and (before is None or before.state not in ENDED):
                ended.append(row)
        if self.ended_before is None:  # the first update brings what an earlier run did
            self.ended_before = self.count(ENDED)
            return []
        return ended

    def count(self, states: Iterable[str]) -> int:
        wanted = set(states)
        return sum(row.state in wanted for row in self.rows.values())

    def searched(self) -> int:
        """Search trials that ended."""
        return sum(row.state in ENDED and row.source == "search" for row in self.rows.values())

    def summary(self) -> str:
        """`7/24 done, 2 training, 1 failed`."""
        states: Counter[str] = Counter(row.state for row in self.rows.values())
        asked = f"/{self.asked}" if self.asked else ""
        parts = [f"{self.searched()}{asked} done"]
        parts += [f"{states[state]} {state}" for state in ("training", "queued", "paused", "lost") if states[state]]
        parts += [
            f"{states[state]} {word}"
            for state, word in (("pruned", "stopped early"), ("failed", "failed"))
            if states[state]
        ]
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """From the mean pace of this run; None before the first trial has ended or where only time ends the search."""
        done = self.count(ENDED) - (self.ended_before or 0)
        if self.asked is None or done < 1:
            return None
        return (self.clock() - self.started_at) / done * max(self.asked - self.searched(), 0)

    def front(self) -> list[TrialRow]:
        """The members, the cheapest first."""
        return front_rows([row for row in self.rows.values() if row.state == "complete"], self.objectives)


class LiveDisplay:
    """Redraws in place on a terminal."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._draw, transient=True)

    def update(self, rows: Iterable[TrialRow]) -> None:
        for row in self._progress.update(rows):
            if row.state == "failed":
                self.say(f"trial {row.number} failed ({row.failure_kind}): {row.failure_message}")

    def say(self, message: str) -> None:
        self._console.print(Text(message))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._live.stop()

    def _draw(self) -> Panel:
        progress = self._progress
        elapsed = duration(progress.clock() - progress.started_at)
        left = progress.seconds_left()
        time_line = f"{elapsed} so far" + (f", about {duration(left)} left" if left is not None else "")
        bar = ProgressBar(total=progress.asked, completed=progress.searched()) if progress.asked else Text("")
        return Panel(
            Group(
                Text(progress.summary()),
                Padding(bar, 0),
                Text(time_line, style="dim"),
                front_table(progress.front(), FRONT_ROWS),
            ),
            title=Text(self._title),
            title_align="left",
        )


class PlainDisplay:
    """One line a few seconds, for logs and pipes."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._said_at = progress.clock()
        self._title = title

    def update(self, rows: Iterable[TrialRow]) -> None:
        ended = self._progress.update(rows)
        for row in ended:
            if row.state == "failed":
                self.say(f"trial {row.number} failed ({row.failure_kind}): {row.failure_message}")
        if ended and self._progress.clock() - self._said_at >= SECONDS_BETWEEN_LINES:
            self._said_at = self._progress.clock()
            left = self._progress.seconds_left()
            best = max((row.accuracy or 0.0 for row in self._progress.front()), default=0.0)
            self.say(
                f"{self._progress.summary()}; front {len(self._progress.front())}, best {best:.2%}"
                + (f"; about {duration(left)} left" if left is not None else "")
            )

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        self.say(self._title)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pass


def make_display(progress: Progress, title: str) -> Display:
    """Live on a terminal, plain elsewhere."""
    return LiveDisplay(progress, title) if sys.stderr.isatty() else PlainDisplay(progress, title)


def front_table(rows: list[TrialRow], most: int | None = None) -> Table:
    """The front as a table, the cheapest first; the middle is left out where it is longer than `most`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right")
    table.add_column("accuracy", justify="right")
    table.add_column("MACs", justify="right")
    table.add_column("params", justify="right")
    table.add_column("network", overflow="fold")
    shown = rows if most is None or len(rows) <= most else rows[: most // 2] + rows[-(most - most // 2) :]
    for index, row in enumerate(shown):
        if len(shown) < len(rows) and index == most // 2 if most else False:
            table.add_row("…", "", "", "", f"{len(rows) - len(shown)} more")
        table.add_row(str(row.number), f"{row.accuracy or 0:.2%}", count(row.macs), count(row.params), Text(row.name))
    return table


def count(number: float | None) -> str:
    """1,234 below a million, else three digits: 12.3 M."""
    if number is None:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:#.3g}".rstrip(".") + f" {letter}"
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
