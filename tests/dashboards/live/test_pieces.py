"""Reading, drawing and listing behind the live page, without a browser."""

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from dash.development.base_component import Component

from dashboards.evaluation import EvaluationRow, write_evaluation
from dashboards.front import front_rows
from dashboards.live.address import VIEWS, Shown
from dashboards.live.app import make_app
from dashboards.live.drawing import choices, draw, told
from dashboards.live.panel import HINT, network_panel
from dashboards.live.reader import StudyReader, make_readers
from dashboards.live.trial_list import Order, columns_of, found_trials, to_csv, trial_table
from dashboards.parts import append_part, merge_parts, read_study
from dashboards.table import TrialRow, write_table
from tests.dashboards.sample import sample_study

ROWS, FACTS = sample_study(60)
COLUMNS = columns_of([("one", ROWS, FACTS)])


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyReader]:
    folder = tmp_path_factory.mktemp("studies")
    write_table(folder / "one.parquet", ROWS, FACTS)
    write_table(folder / "two.parquet", *sample_study(40, seed=1))
    write_table(folder / "empty.parquet", [], FACTS)
    return make_readers([(name, folder / f"{name}.parquet") for name in ("one", "two", "empty")])


def test_a_reader_follows_a_growing_table(tmp_path: Path) -> None:
    reader = StudyReader(name="study", path=tmp_path)
    assert reader.read()[0] == []
    stamps = [reader.stamp()]
    for end in (20, 40):
        append_part(tmp_path, ROWS[end - 20 : end], FACTS)
        stamps.append(reader.stamp())
        assert [row.number for row in reader.read()[0]] == [row.number for row in ROWS[:end]]
    merge_parts(tmp_path)
    stamps.append(reader.stamp())
    assert len(set(stamps)) == len(stamps)
    assert reader.read()[0] == [
        replace(row, plan=None, epochs=(), stints=(), failure_traceback=None) for row in ROWS[:40]
    ]
    assert reader.whole([3, 7]) == [ROWS[3], ROWS[7]]


def test_evaluated_networks_have_their_spread_over_seeds(tmp_path: Path) -> None:
    append_part(tmp_path, ROWS, FACTS)
    reader = StudyReader(name="study", path=tmp_path)
    before = reader.stamp()
    row = front_rows(ROWS, FACTS.objectives)[0]
    trainings = [evaluated(row, seed, accuracy) for seed, accuracy in enumerate((0.80, 0.82, 0.84))]
    trainings += [replace(evaluated(row, seed, 0.1), split="test", number=seed + 5) for seed in range(2)]
    write_evaluation(tmp_path, trainings)
    assert reader.stamp() != before
    shown = {row.number: row for row in reader.read()[0]}[row.number]
    assert (shown.accuracy, shown.seeds) == (row.accuracy, 3)
    assert shown.accuracy_std == pytest.approx(0.02)
    bars = [trace.error_y.array for trace in draw(Shown(study="study"), {"study": reader}, "light").data]
    assert any(bar is not None and max(bar) == pytest.approx(0.02) for bar in bars)
    assert {each.number for each in read_study(tmp_path)[0] if each.seeds == 3} == {row.number}


def evaluated(row: TrialRow, seed: int, accuracy: float) -> EvaluationRow:
    return EvaluationRow(
        number=seed,
        trial=row.number,
        plan_key=row.plan_key,
        name=row.name,
        family=row.family,
        source=row.source,
        split="validation",
        seed=seed,
        recipe="search",
        recipe_key="k",
        as_searched=True,
        epochs_asked=27,
        state="complete",
        accuracy=accuracy,
        macs=row.macs or 0,
        params=row.params or 0,
    )


def test_an_unchanged_table_is_not_read_again(readers: dict[str, StudyReader]) -> None:
    assert readers["one"].read() is readers["one"].read()


def test_studies_of_one_name_are_told_apart() -> None:
    assert [*make_readers([("a", Path("x")), ("a", Path("y")), ("a", Path("z"))])] == ["a", "a (2)", "a (3)"]


@pytest.mark.parametrize("study", ["one", "empty"])
@pytest.mark.parametrize("view", [view for view in VIEWS if view != "trials"])
def test_every_view_and_choice_is_drawn(readers: dict[str, StudyReader], study: str, view: str) -> None:
    rows, facts = readers[study].read()
    for beside in ((), ("two",)):
        shown = Shown(study=study, beside=beside, view=view)
        for choice in choices(rows, facts, shown) or [""]:
            figure = draw(replace(shown, choice=choice), readers, "dark")
            assert figure.data or figure.layout.annotations
        assert told(rows, facts, shown)


@pytest.mark.parametrize("view", ["front", "hypervolume", "curves", "importance", "parallel", "workers", "failures"])
def test_studies_compared_are_both_seen(readers: dict[str, StudyReader], view: str) -> None:
    figure = draw(Shown(study="one", beside=("two",), view=view), readers, "light")
    text = figure.to_json()
    assert "one" in text
    assert "two" in text
    for trace in figure.data:
        for data in trace.customdata or ():
            assert len(data) == 2


def test_a_third_quantity_is_a_colour(readers: dict[str, StudyReader]) -> None:
    figure = draw(Shown(study="one", z="params"), readers, "light")
    assert figure.layout.coloraxis.colorbar.title.text == "parameters"
    on_front = {number for trace in figure.data if "of the three" in (trace.name or "") for number in trace.customdata}
    assert on_front == {row.number for row in front_rows(ROWS, ("accuracy", "macs", "params"))}


def test_the_table_of_two_studies_says_whose_trials_are_whose() -> None:
    others = sample_study(10, seed=1)
    columns = columns_of([("one", ROWS, FACTS), ("two", *others)])
    table = to_csv(columns, found_trials(columns, "two", Order()))
    lines = list(csv.DictReader(StringIO(table)))
    assert {line["study"] for line in lines} == {"two"}
    assert len(lines) == len(others[0])
    assert "study" not in to_csv(COLUMNS, [0]).splitlines()[0]


def test_clicks_get_plain_numbers(readers: dict[str, StudyReader]) -> None:
    members = [row.number for row in front_rows(ROWS, FACTS.objectives)]
    data = draw(Shown(study="one"), readers, "light").to_plotly_json()["data"]
    numbers = [number for trace in data if trace.get("mode") == "markers+text" for number in trace["customdata"]]
    assert set(members) <= set(numbers)
    both = draw(Shown(study="one", beside=("two",)), readers, "light").to_plotly_json()["data"]
    assert {place for trace in both for place, _ in trace["customdata"]} == {0, 1}


def test_zoom_is_kept_while_the_same_is_shown(readers: dict[str, StudyReader]) -> None:
    drawn = [
        draw(shown, readers, "light").layout.uirevision
        for shown in (Shown(study="one"), Shown(study="one", trial="5@one"), Shown(study="one", x="params"))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_panel_tells_of_one_network(readers: dict[str, StudyReader]) -> None:
    number = front_rows(ROWS, FACTS.objectives)[0].number
    text = str(network_panel(f"{number}@one", readers, "dark"))
    assert f"#{number} " in text
    assert "on the front" in text
    assert "data:image/svg+xml;base64," in text
    assert HINT in str(network_panel("", readers, "light"))
    assert HINT in str(network_panel("99999@one", readers, "light"))


def test_a_failed_trial_tells_why(readers: dict[str, StudyReader]) -> None:
    failed = next(row for row in ROWS if row.state == "failed")
    assert failed.failure_message in str(network_panel(f"{failed.number}@one", readers, "light"))


def test_trials_are_found_by_words_and_by_number() -> None:
    assert [COLUMNS["number"][place] for place in found_trials(COLUMNS, "#7", Order())] == [7]
    found = found_trials(COLUMNS, "igcv3 COMPLETE", Order())
    assert [ROWS[place].number for place in found] == [
        row.number for row in ROWS if "igcv3" in row.family + row.name and row.state == "complete"
    ]


def test_what_is_unknown_comes_last_either_way() -> None:
    for up in (True, False):
        values = [COLUMNS["accuracy"][place] for place in found_trials(COLUMNS, "", Order(column="accuracy", up=up))]
        known = [value for value in values if value is not None]
        assert values[: len(known)] == sorted(known, reverse=not up)  # type: ignore[type-var]
        assert len(values) == len(ROWS)


def test_heads_turn_the_order() -> None:
    assert Order().turned("number") == Order(up=False)
    assert Order().turned("accuracy") == Order(column="accuracy", up=False)
    assert Order().turned("macs") == Order(column="macs")


def test_a_page_of_the_table_has_its_lines_and_says_its_order() -> None:
    table = trial_table(COLUMNS, range(60), Order(), 1)
    assert len(table.children[1].children) == 25
    heads = [getattr(head, "aria-sort") for head in table.children[0].children.children]
    assert heads == ["ascending", *["none"] * 8]


def test_csv_holds_no_formulas() -> None:
    rows = [replace(ROWS[5], name='=HYPERLINK("x"),\n1')]
    lines = list(csv.DictReader(StringIO(to_csv(columns_of([("one", rows, FACTS)]), [0]))))
    assert lines[0]["name"].startswith("'=")
    assert lines[0]["number"] == "5"


def test_the_application_answers_this_machine_alone(readers: dict[str, StudyReader]) -> None:
    client = make_app(readers).server.test_client()
    assert client.get("/", base_url="http://127.0.0.1:8050").status_code == 200
    assert client.get("/", base_url="http://localhost").status_code == 200
    assert client.get("/", base_url="http://evil.example:8050").status_code == 403
    assert isinstance(make_app(readers).layout(), Component)
