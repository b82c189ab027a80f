"""The figures: what they show of a study, at any size, and that other people's text stays text."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.figures.curves import MOST_FAINT, curves_figure
from dashboards.figures.failures import failures_figure
from dashboards.figures.front import front_figure
from dashboards.figures.history import hypervolume_figure
from dashboards.figures.importance import importance_figure
from dashboards.figures.parallel import parallel_figure
from dashboards.figures.style import themed
from dashboards.figures.third import coloured_figure, projections_figure
from dashboards.figures.timeline import stints, timeline_figure
from dashboards.front import front, hypervolume_shares
from dashboards.table import StudyFacts, TrialRow
from dashboards.views import known_costs, views
from tests.dashboards.sample import sample_study

ROWS, FACTS = sample_study(120)
FIGURES: dict[str, Callable[..., go.Figure]] = {
    "front": front_figure,
    "params": partial(front_figure, x="params"),
    "coloured": partial(coloured_figure, x="macs", y="accuracy", colour="params"),
    "all pairs": projections_figure,
    "hypervolume": hypervolume_figure,
    "time": partial(hypervolume_figure, against="time"),
    "curves": curves_figure,
    "parallel": parallel_figure,
    "importance": importance_figure,
    "timeline": timeline_figure,
    "failures": failures_figure,
}


def traces(figure: go.Figure, part: str) -> list[object]:
    return [trace for trace in figure.data if part in (trace.name or "")]


def numbers(figure: go.Figure, part: str) -> set[int]:
    return {int(number) for trace in traces(figure, part) for number in trace.customdata}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_an_empty_study_says_why_nothing_is_drawn(draw: Callable[..., go.Figure]) -> None:
    figure = draw([], StudyFacts(study="empty"))
    assert len(figure.data) == 0
    assert len(figure.layout.annotations[0].text) > 5


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_a_study_without_a_complete_trial_is_drawn(draw: Callable[..., go.Figure]) -> None:
    queued = [replace(row, state="queued", accuracy=None, epochs=(), stints=(), started_at=None) for row in ROWS]
    draw(queued, FACTS).to_json()


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_hostile_text_is_escaped_in_what_plotly_reads_as_markup(draw: Callable[..., go.Figure]) -> None:
    figure = draw(*sample_study(60, hostile=True))
    for trace in figure.data:
        if isinstance(trace, go.Parcoords):
            trace.update(dimensions=[dimension.update(ticktext=[]) for dimension in trace.dimensions])  # drawn as text
    text = figure.to_json()
    assert "<script" not in text
    assert "<img" not in text
    assert "\\u003cscript" not in text


def test_hostile_text_never_becomes_a_template() -> None:
    rows, facts = sample_study(60, hostile=True)
    for draw in FIGURES.values():
        for trace in draw(rows, facts).data:
            assert "%{x} \\bad" not in (getattr(trace, "hovertemplate", None) or "")


def test_the_front_figure_marks_the_front_the_dominated_and_the_references() -> None:
    figure = front_figure(ROWS, FACTS)
    mask = front(ROWS, FACTS.objectives)
    complete = {row.number for row in ROWS if row.state == "complete" and row.source == "search"}
    members = {row.number for row, is_member in zip(ROWS, mask, strict=True) if is_member}
    assert numbers(figure, "on the front") == members
    assert numbers(figure, "dominated") == complete - members
    assert numbers(figure, "reference, same recipe") == {0, 1}
    assert "budget 60.0M MACs" in [annotation.text for annotation in figure.layout.annotations]


def test_the_axis_shows_every_network_and_the_budget() -> None:
    low, high = front_figure(ROWS, FACTS).layout.xaxis.range
    known = [row.macs for row in ROWS if row.accuracy is not None and row.macs is not None]
    assert 10**low < min(known) < max(known) < 6e7 < 10**high


def test_members_of_the_studys_own_front_are_ringed_where_another_cost_is_shown() -> None:
    ringed = numbers(front_figure(ROWS, FACTS, x="params"), "all objectives")
    own, shown = front(ROWS, ("accuracy", "macs")), front(ROWS, ("accuracy", "params"))
    assert ringed == {ROWS[index].number for index in np.flatnonzero(own & ~shown)}
    assert ringed


def test_spread_over_seeds_becomes_error_bars() -> None:
    rows = [replace(row, accuracy_std=0.01) if row.number > 1 and row.accuracy else row for row in ROWS]
    shown = traces(front_figure(rows, FACTS), "on the front")
    assert all(set(trace.error_y.array) == {0.01} for trace in shown)


def test_many_dominated_trials_are_thinned_and_the_front_is_not() -> None:
    rows, facts = sample_study(1500, distinct=30)
    figure = front_figure(rows, facts, most_dominated=100)
    assert len(numbers(figure, "dominated")) == 100
    assert len(numbers(figure, "on the front")) == front(rows, facts.objectives).sum()
    faint = traces(curves_figure(rows, facts), "stopped")[0]
    assert np.isnan(np.asarray(faint.y, dtype=float)).sum() == MOST_FAINT


def test_the_hypervolume_ends_where_it_is() -> None:
    figure = hypervolume_figure(ROWS, FACTS)
    _, shares = hypervolume_shares(ROWS, FACTS)
    assert figure.data[0].y[-1] == pytest.approx(shares[-1])
    assert (np.diff(figure.data[0].y) >= 0).all()
    assert figure.layout.annotations[0].text == "the references alone"


def test_rungs_and_stops_stand_in_the_learning_curves() -> None:
    figure = curves_figure(ROWS, FACTS)
    assert [annotation.text for annotation in figure.layout.annotations] == ["rung 3", "rung 9"]
    ends = next(trace for trace in figure.data if trace.mode == "markers" and trace.legendgroup == "stopped at a rung")
    assert set(ends.x) == {3, 9}


def test_parallel_coordinates_of_a_family_have_its_parameters_and_nothing_of_another() -> None:
    dimensions = parallel_figure(ROWS, FACTS, "igcv3").data[0].dimensions
    labels = [dimension.label for dimension in dimensions]
    assert {"expansion_1", "accuracy", "MACs", "front"} <= set(labels)
    assert not {"k_1", "family"} & set(labels)
    widths = next(dimension for dimension in dimensions if dimension.label == "width_1")
    assert list(widths.ticktext) == ["16", "24", "32"]


def test_an_inactive_parameter_has_a_place_of_its_own() -> None:
    labels = {d.label: d.ticktext for d in parallel_figure(ROWS, FACTS, "igcv2").data[0].dimensions}
    if "spatial_k" in labels:
        assert "inactive" in labels["spatial_k"]
    rows = [replace(row, parameters={"igcv2.a": 1} if row.number % 2 else {"igcv2.b": 2}) for row in ROWS]
    rows = [replace(row, family="igcv2") for row in rows]
    labels = {d.label: d.ticktext for d in parallel_figure(rows, FACTS, "igcv2").data[0].dimensions}
    assert list(labels["a"]) == ["inactive", "1"]


def test_the_timeline_shows_each_stay_and_each_loss() -> None:
    figure = timeline_figure(ROWS, FACTS)
    stays = sum(len(stints(row)) for row in ROWS)
    assert sum(len(trace.x) // 3 for trace in figure.data if trace.mode == "lines") == stays
    assert len(traces(figure, "worker lost")[0].x) == sum(row.losses for row in ROWS)


def test_a_trial_without_recorded_stays_has_one_from_start_to_end() -> None:
    row = replace(ROWS[5], stints=(), worker="w", started_at=1.0, ended_at=2.0, state="failed")
    assert [(stint.worker, stint.started_at, stint.ended_at, stint.ended) for stint in stints(row)] == [
        ("w", 1.0, 2.0, "failed")
    ]


def test_failures_are_counted_by_kind() -> None:
    figure = failures_figure(ROWS, FACTS)
    total = sum(sum(trace.x) for trace in figure.data)
    assert total == sum(row.state == "failed" for row in ROWS)


def test_a_figure_has_a_dark_look() -> None:
    figure = front_figure(ROWS, FACTS)
    light = json.loads(figure.to_json())
    dark = json.loads(themed(figure, "dark").to_json())
    assert light["data"] == dark["data"]
    assert (
        light["layout"]["template"]["layout"]["font"]["color"] != dark["layout"]["template"]["layout"]["font"]["color"]
    )


def test_views_offer_the_costs_that_are_known() -> None:
    assert known_costs(ROWS, FACTS) == ["macs", "params"]
    timed = [replace(row, latency_ms=1.0) for row in ROWS]
    assert known_costs(timed, FACTS) == ["macs", "params", "latency_ms"]
    assert views(ROWS, FACTS)[0].key == "front"


def test_rows_of_one_family_need_no_choice() -> None:
    rows: list[TrialRow] = [row for row in ROWS if row.family == "igcv3"]
    choices = {view.key: [name for name, _ in view.choices] for view in views(rows, FACTS)}
    assert choices["importance"] == ["igcv3"]


def test_all_pairs_mark_the_same_front_everywhere() -> None:
    figure = projections_figure(ROWS, replace(FACTS, objectives=("accuracy", "macs", "params"), reference_point=None))
    members = {row.number for row in ROWS if front(ROWS, ("accuracy", "macs", "params"))[ROWS.index(row)]}
    seen: dict[str, set[int]] = {}
    for trace in traces(figure, "on the study"):
        seen.setdefault(trace.xaxis, set()).update(int(number) for number in trace.customdata)  # type: ignore[attr-defined]
    assert list(seen.values()) == [members] * 3


def test_published_points_stand_beside_references_and_the_papers_others_wait_in_the_legend() -> None:
    figure = front_figure(ROWS, FACTS)
    ours = [row for row in ROWS if row.source == "reference"]
    known = next(trace for trace in figure.data if trace.name == "reference, as published")
    assert list(known.y) == [row.published_accuracy for row in ours]
    assert known.visible is True
    others = next(trace for trace in figure.data if trace.name == "other networks, as published")
    assert others.visible == "legendonly"
    assert len(others.x) > 5
    assert not {row.name for row in ours} & {text.split(",")[0] for text in others.hovertext}
    assert not traces(front_figure(ROWS, replace(FACTS, data="digits")), "other networks")
