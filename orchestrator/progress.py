"""What a person sees while a search runs: a live display on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dashboards.front import front_rows
from dashboards.table import TrialRow
from dashboards.words import plain
from orchestrator.front_plot import LEAST_WIDTH, front_plot

SECONDS_BETWEEN_LINES = 5.0
FRONT_ROWS = 8
PLOT_WIDTH, PLOT_HEIGHT = 64, 14  # characters, at most
TABLE_WIDTH, GAP = 56, 2  # characters that a line of the front needs, and those before it
LEAST_TABLE = 6  # lines
OTHER_LINES = 6  # of the panel, beside front and plot
LATEST_FAILURES = 2
NARROWEST = 44  # characters; below it lines wrap, and what is redrawn would not be overwritten
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

    def seconds_a_trial(self) -> float | None:
        """The mean pace of this run; None before its first trial has ended."""
        done = self.count(ENDED) - (self.ended_before or 0)
        return (self.clock() - self.started_at) / done if done > 0 else None

    def seconds_left(self) -> float | None:
        """At the pace of this run; None before the first trial has ended or where only time ends the search."""
        pace = self.seconds_a_trial()
        return None if pace is None or self.asked is None else pace * max(self.asked - self.searched(), 0)

    def pace(self) -> str:
        """`4 min 10 s so far, 12.3 trials a minute, about 2 min left`."""
        seconds, left = self.seconds_a_trial(), self.seconds_left()
        parts = [f"{duration(self.clock() - self.started_at)} so far"]
        parts += [rate(seconds)] if seconds else []
        parts += [f"about {duration(left)} left"] if left is not None else []
        return ", ".join(parts)

    def failures(self) -> list[str]:
        """The latest failures, a line each."""
        failed = [row for row in self.rows.values() if row.state == "failed"]
        latest = sorted(failed, key=lambda row: row.ended_at or 0.0)[-LATEST_FAILURES:]
        return [failure_line(row) for row in latest]

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
                self.say(failure_line(row))

    def say(self, message: str) -> None:
        self._console.print(Text(message))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._live.stop()

    def _draw(self) -> Panel:
        progress = self._progress
        bar = ProgressBar(total=progress.asked, completed=progress.searched()) if progress.asked else Text("")
        failures = [Text(line, style="red", overflow="ellipsis", no_wrap=True) for line in progress.failures()]
        return Panel(
            Group(
                Text(progress.summary()),
                Padding(bar, 0),
                Text(progress.pace(), style="dim"),
                *failures,
                self._front(self._console.height - OTHER_LINES - len(failures)),
            ),
            title=Text(self._title),
            title_align="left",
        )

    def _front(self, height: int) -> RenderableType:
        """The front's plot beside its table; one above the other, or one alone, where there is no room for that."""
        members = self._progress.front()
        width = self._console.width - 4
        is_beside = width >= LEAST_WIDTH + GAP + TABLE_WIDTH
        plot_height = min(PLOT_HEIGHT, height if is_beside else height - LEAST_TABLE)
        plot_width = min(PLOT_WIDTH, width - TABLE_WIDTH - GAP if is_beside else width)
        rows = self._progress.rows.values()
        cost = next((name for name in self._progress.objectives if name != "accuracy"), "macs")
        lines = front_plot(rows, members, plot_width, plot_height, cost, is_ascii=self._console.options.ascii_only)
        left = height if is_beside or not lines else height - plot_height
        table = front_table(members, max(2, min(FRONT_ROWS, left - 2)))
        if not lines:
            return table
        plot = Text("\n".join(lines), no_wrap=True)
        plot.highlight_regex("●", "bold cyan")
        plot.highlight_regex("★", "yellow")
        if not is_beside:
            return Group(plot, table)
        grid = Table.grid(padding=(0, GAP))
        grid.add_row(plot, table)
        return grid


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
                self.say(failure_line(row))
        if ended and self._progress.clock() - self._said_at >= SECONDS_BETWEEN_LINES:
            self._said_at = self._progress.clock()
            front = self._progress.front()
            best = max((row.accuracy or 0.0 for row in front), default=0.0)
            self.say(f"{self._progress.summary()}; front {len(front)}, best {best:.2%}; {self._progress.pace()}")

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        self.say(self._title)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pass


def make_display(progress: Progress, title: str) -> Display:
    """Live on a terminal that can be redrawn and is wide enough, plain elsewhere."""
    console = Console(stderr=True)
    is_live = console.is_terminal and not console.is_dumb_terminal and console.width >= NARROWEST
    return LiveDisplay(progress, title) if is_live else PlainDisplay(progress, title)


def front_table(rows: list[TrialRow], most: int | None = None) -> Table:
    """The front as a table, the cheapest first; the middle is left out where it is longer than `most`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right")
    table.add_column("accuracy", justify="right")
    table.add_column("MACs", justify="right")
    table.add_column("params", justify="right")
    timed = any(row.latency_ms is not None for row in rows)
    if timed:
        table.add_column("latency (ms)", justify="right")
    table.add_column("network", overflow="fold")
    shown = rows if most is None or len(rows) <= most else rows[: most // 2] + rows[-(most - most // 2) :]
    for index, row in enumerate(shown):
        if len(shown) < len(rows) and index == most // 2 if most else False:
            table.add_row("…", "", "", *[""] * (1 + timed), f"{len(rows) - len(shown)} more")
        latency = [f"{row.latency_ms:.3g}" if row.latency_ms is not None else "–"] if timed else []
        costs = [count(row.macs), count(row.params), *latency]
        table.add_row(str(row.number), f"{row.accuracy or 0:.2%}", *costs, Text(plain(row.name, 1000)))
    return table


def failure_line(row: TrialRow) -> str:
    """What failed and why, on one line, without control characters."""
    kind = plain(row.failure_kind or "unknown", 40)
    return f"trial {row.number} failed ({kind}): {plain(row.failure_message or 'no message')}"


def rate(seconds: float) -> str:
    """`12.3 trials a minute`, by the hour where they are slow."""
    per_minute = 60 / seconds
    return f"{per_minute:.3g} trials a minute" if per_minute >= 1 else f"{60 * per_minute:.3g} trials an hour"


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
