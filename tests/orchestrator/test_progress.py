"""What a terminal shows of a search, at any size, and what a pipe gets of it."""

import io
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from dashboards.front import front_rows
from orchestrator.front_plot import front_plot
from orchestrator.progress import LiveDisplay, PlainDisplay, Progress, make_display
from tests.dashboards.sample import HOSTILE, sample_study

ROWS, FACTS = sample_study(60)
MEMBERS = front_rows(ROWS, FACTS.objectives)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def searched(clock: Clock, trials: int | None = 80) -> Progress:
    progress = Progress(FACTS.objectives, trials, clock)
    progress.update([])
    clock.now = 300.0
    return progress


def drawn(width: int, height: int, encoding: str = "utf-8") -> str:
    progress = searched(Clock())
    progress.update(ROWS)
    display = LiveDisplay(progress, "igcv search sample")
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    display._console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    display._console.print(display._draw())
    file.flush()
    return raw.getvalue().decode(encoding)


def test_the_plot_holds_every_member_once_and_marks_references() -> None:
    lines = front_plot(ROWS, MEMBERS, 70, 16)
    text = "\n".join(lines)
    assert 0 < text.count("●") <= len(MEMBERS)
    assert 0 < text.count("★") <= 2
    assert lines[0].strip().startswith(f"{max(row.accuracy or 0 for row in ROWS):.1%}")
    assert {len(line) <= 70 for line in lines} == {True}
    assert len(lines) == 16
    best = max(MEMBERS, key=lambda row: row.accuracy or 0)
    assert lines[0].endswith("●"), best  # the most accurate one is the dearest here


def test_no_plot_without_trials_or_room() -> None:
    assert front_plot([], [], 70, 16) == []
    assert front_plot(ROWS, MEMBERS, 20, 16) == []
    assert front_plot(ROWS, MEMBERS, 70, 4) == []


def test_a_single_network_is_plotted() -> None:
    assert sum(line.count("●") for line in front_plot(MEMBERS[:1], MEMBERS[:1], 40, 9)) == 1


@pytest.mark.parametrize(("width", "height"), [(160, 50), (100, 40), (80, 24), (60, 18), (46, 12)])
def test_the_live_view_fits_the_terminal(width: int, height: int) -> None:
    text = drawn(width, height)
    lines = text.rstrip("\n").split("\n")
    assert max(map(len, lines)) <= width
    assert len(lines) <= height + 2  # long names fold
    assert "60/80 done" in text
    assert "12.4 trials a minute" in " ".join(text.split())
    assert "3 failed" in text
    assert ("●" in text) == (height >= 24)


def test_a_terminal_without_unicode_gets_plain_characters() -> None:
    assert " o" in drawn(100, 40, "ascii")


def test_a_pipe_gets_lines_without_boxes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = searched(clock)
    with make_display(progress, "igcv search sample") as display:
        assert isinstance(display, PlainDisplay)
        clock.now += 10
        display.update(ROWS)
    shown, text = capsys.readouterr()
    assert shown == ""
    assert text.splitlines()[0] == "igcv search sample"
    assert "60/80 done" in text.splitlines()[-1]
    assert "about 1 min" in text.splitlines()[-1]
    assert not set(text) & set("╭│─●\x1b")


@pytest.mark.parametrize("terminal", [{"TERM": "dumb"}, {"TERM": "xterm", "COLUMNS": "30"}])
def test_a_poor_terminal_gets_lines(terminal: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in terminal.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(make_display(searched(Clock()), "sample"), PlainDisplay)


def test_failures_are_told_on_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    failed = next(row for row in ROWS if row.state == "failed")
    progress = searched(Clock())
    PlainDisplay(progress, "sample").update([replace(failed, failure_message=f"\x1b[31mred\n{HOSTILE}")])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"trial {failed.number} failed ({failed.failure_kind}): [31mred <script>")
    assert "\x1b" not in lines[0]
