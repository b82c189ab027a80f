"""A picture of the live page, for the README: python -m tests.browser.picture STUDY -o docs/results/dashboard.png

Chromium opens the page as `igcv dashboard STUDY` serves it, on a network of the front, and nothing else is done
to the picture.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import sync_playwright

from dashboards.front import front_rows
from orchestrator.locate import read_rows
from tests.browser.conftest import CHROMIUM, FLAGS

WAIT = 60_000  # milliseconds


@click.command()
@click.argument("study")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--query", default="", help="The rest of the page's address, such as view=curves.")
@click.option("--width", default=1280, show_default=True)
@click.option("--height", default=860, show_default=True)
@click.option("--dark", is_flag=True)
def main(study: str, output: Path, query: str, width: int, height: int, dark: bool) -> None:
    """Takes the picture of STUDY's page."""
    if CHROMIUM is None:
        raise click.ClickException("needs Chromium: apt-get install chromium, or set IGCV_CHROMIUM")
    rows, facts = read_rows(study)
    members = front_rows(rows, facts.objectives)
    chosen = f"trial={members[len(members) // 2].number}@{Path(study).name}" if members else ""
    command = [
        sys.executable,
        "-c",
        "from orchestrator.cli.main import main; main()",
        "dashboard",
        study,
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        assert server.stdout
        address = f"{server.stdout.readline().strip()}?{query or chosen}"
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        ).new_page()
        page.goto(address)
        page.wait_for_selector("#figure .main-svg, #table tbody tr", timeout=WAIT)
        page.wait_for_timeout(3000)
        picture = page.screenshot()
        browser.close()
        server.terminate()
    Image.open(io.BytesIO(picture)).convert("RGB").save(output, optimize=True)
    click.echo(f"{output} ({output.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
