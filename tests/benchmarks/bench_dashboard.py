"""How long the live page takes for 20,000 trials and for 200: python -m tests.benchmarks.bench_dashboard [--json]

Each opening is a fresh browser context, as a person's first visit is; the server is warm after the first of each study.
Beside the seconds stand those of processor time, of server and browser together, which other programs disturb less.
Needs Chromium, as the tests in tests/browser do.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter

import click
import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from dashboards.report import write_report
from dashboards.table import write_table
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.dashboards.sample import sample_study

WAIT = 60_000  # milliseconds
DRAWN = """title => {
  const plot = document.querySelector('#figure .js-plotly-plot');
  return plot && plot._fullLayout && plot.calcdata && plot.querySelector('.points path')
    && plot._fullLayout.xaxis.title.text === title;
}"""
Taken = tuple[float, float]  # seconds by the clock, and of processor time
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@click.command()
@click.option("--trials", default=20_000, show_default=True, help="Of the large study.")
@click.option("--few", default=200, show_default=True, help="Of the small one.")
@click.option("--repeats", default=5, show_default=True, help="Openings of each, in turn.")
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON on stdout.")
def main(trials: int, few: int, repeats: int, as_json: bool) -> None:
    """Measures the first view and a change of an axis, of a large and of a small study, in turn."""
    with tempfile.TemporaryDirectory() as name, _browser() as browser:
        folder = Path(name)
        sizes = {"large": trials, "small": few}
        for study, size in sizes.items():
            write_table(folder / f"{study}.parquet", *sample_study(size))
        with _served(folder, [f"{study}.parquet" for study in sizes]) as address:
            result = _measure(browser, address, sizes, repeats)
        result["report_mib"] = _report_mib(folder / "report.html", trials)
    click.echo(json.dumps(result) if as_json else "\n".join(_lines(result)))


def _measure(browser: Browser, address: str, sizes: dict[str, int], repeats: int) -> dict[str, object]:
    names = ("first", "cold", "axis", "first_cpu", "axis_cpu")
    seconds: dict[str, list[float]] = {f"{what}_{study}": [] for study in sizes for what in names}
    for repeat in range(repeats + 1):
        for study in sizes:
            opened, changed, size = _visit(browser, f"{address}?study={study}")
            seconds[f"{'first' if repeat else 'cold'}_{study}"].append(opened[0])
            seconds[f"first_cpu_{study}"].append(opened[1])
            seconds[f"axis_{study}"].append(changed[0])
            seconds[f"axis_cpu_{study}"].append(changed[1])
            click.echo(f"{study}: first view {opened[0]:.2f} s, {size / 1e6:.2f} MB; axis {changed[0]:.2f} s", err=True)
    medians = {f"{name}_s": statistics.median(values) for name, values in seconds.items()}
    return {
        "trials": sizes["large"],
        "few": sizes["small"],
        "repeats": repeats,
        **medians,
        "ratio_first": medians["first_large_s"] / medians["first_small_s"],
        "ratio_first_cpu": medians["first_cpu_large_s"] / medians["first_cpu_small_s"],
        "ratio_axis": medians["axis_large_s"] / medians["axis_small_s"],
        "seconds": seconds,
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
    }


def _visit(browser: Browser, address: str) -> tuple[Taken, Taken, int]:
    """What the first view took, what another axis took, and the bytes of all answers."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    sizes: list[int] = []
    page.on("requestfinished", lambda asked: sizes.append(asked.sizes()["responseBodySize"]))
    opened = _timed(page, lambda: page.goto(address, wait_until="commit"), "MACs")
    received = sum(sizes)
    page.locator("#x").click()
    option = page.get_by_role("option", name="parameters", exact=True)
    option.wait_for()
    changed = _timed(page, option.click, "parameters")
    context.close()
    return opened, changed, received


def _timed(page: Page, act: Callable[[], object], title: str) -> Taken:
    began, used = perf_counter(), _processor_seconds()
    act()
    page.wait_for_function(DRAWN, arg=title, polling=20)
    page.evaluate(PAINTED)
    return perf_counter() - began, _processor_seconds() - used


def _processor_seconds() -> float:
    """Of all processes that this one has started: the server, and the browser with its own."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _report_mib(path: Path, trials: int) -> float:
    write_report(path, *sample_study(trials))
    return path.stat().st_size / 2**20


@contextmanager
def _browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        raise click.ClickException("needs Chromium: apt-get install chromium, or set IGCV_CHROMIUM")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def _served(folder: Path, studies: list[str]) -> Iterator[str]:
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", "dashboard", *studies]
    with subprocess.Popen([*command, "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _lines(result: dict[str, object]) -> list[str]:
    shown = {name: value for name, value in result.items() if isinstance(value, int | float | str)}
    return [
        f"{name:<20}{value:.2f}" if isinstance(value, float) else f"{name:<20}{value}" for name, value in shown.items()
    ]


if __name__ == "__main__":
    main()
