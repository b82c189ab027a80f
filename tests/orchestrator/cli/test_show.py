"""`igcv status` and `igcv front` on a study's folder: what is printed, and that it can be piped."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboards.front import front_rows
from dashboards.parts import append_part
from dashboards.table import write_table
from orchestrator.cli.show import _pace, front, status
from orchestrator.progress import count
from tests.dashboards.sample import sample_study

ROWS, FACTS = sample_study(60)
MEMBERS = front_rows(ROWS, FACTS.objectives)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("study")
    write_table(folder / "trials.parquet", ROWS[:30], FACTS)
    append_part(folder, ROWS[30:], FACTS)
    return str(folder)


def test_a_piped_front_has_a_line_for_each_member_whatever_its_name(study: str) -> None:
    lines = CliRunner().invoke(front, [study]).stdout.splitlines()
    assert len(lines) == len(MEMBERS) + 1
    assert [line.split()[0] for line in lines] == ["trial", *(str(row.number) for row in MEMBERS)]
    assert all(line == line.rstrip() and "\x1b" not in line for line in lines)


def test_a_long_name_stays_on_its_line(tmp_path: Path) -> None:
    member = replace(MEMBERS[0], name="width=" + "-".join("64" for _ in range(120)))
    write_table(tmp_path / "trials.parquet", [member], FACTS)
    lines = CliRunner().invoke(front, [str(tmp_path)]).stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(member.name)


def test_json_and_csv_hold_the_same_members(study: str) -> None:
    told = json.loads(CliRunner().invoke(front, [study, "--json"]).stdout)
    lines = list(csv.DictReader(StringIO(CliRunner().invoke(front, [study, "--csv"]).stdout)))
    assert [one["number"] for one in told] == [row.number for row in MEMBERS]
    assert [int(line["macs"]) for line in lines] == [row.macs for row in MEMBERS]


def test_an_empty_front_says_so_beside_stdout(tmp_path: Path) -> None:
    write_table(tmp_path / "trials.parquet", [row for row in ROWS if row.state == "failed"], FACTS)
    result = CliRunner().invoke(front, [str(tmp_path)])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing is trained to the end yet\n")


def test_the_front_is_drawn_for_a_paper(study: str, tmp_path: Path) -> None:
    path = tmp_path / "front.svg"
    assert CliRunner().invoke(front, [study, "--figure", str(path), "--against", "params"]).stdout == f"{path}\n"
    assert "parameters" in path.read_text()


def test_status_fits_eighty_columns_and_counts_every_trial(study: str) -> None:
    text = CliRunner().invoke(status, [study]).stdout
    state = json.loads(CliRunner().invoke(status, [study, "--json"]).stdout)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert sum(state["states"].values()) == state["trials"] == sum(row.source == "search" for row in ROWS)
    assert f"front        {len(MEMBERS)} networks" in text
    assert sum(state["failures"].values()) == sum(row.state == "failed" for row in ROWS)


def test_status_tells_the_latest_pace_and_what_is_left(tmp_path: Path) -> None:
    some = [replace(row, state="complete", ended_at=1000.0 + 30 * place) for place, row in enumerate(MEMBERS[:5])]
    write_table(tmp_path / "trials.parquet", some, replace(FACTS, trials_asked=9))
    text = CliRunner().invoke(status, [str(tmp_path)]).stdout
    state = json.loads(CliRunner().invoke(status, [str(tmp_path), "--json"]).stdout)
    assert (state["seconds_a_trial"], state["seconds_left"], state["last_ended_at"]) == (30.0, 120.0, 1120.0)
    assert "pace         2 trials a minute\n" in text, "long ago, so nothing is said of a time left"
    assert "latest       ended " in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert _pace(state, ago=600.0) == "2 trials a minute, about 2 min 00 s left"


def test_large_counts_have_three_digits() -> None:
    numbers = (None, 0, 999_999, 4.4e6, 24_812_345, 123_456_789, 2.5e9)
    assert [count(number) for number in numbers] == ["–", "0", "999,999", "4.40 M", "24.8 M", "123 M", "2.50 G"]
