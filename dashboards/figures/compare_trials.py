"""Several studies trial by trial: learning curves, workers, importance, parameters and failures, one colour a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import plotly.graph_objects as go

from dashboards.figures.compare import DASHES, Study, no_template, placed, study_colour
from dashboards.figures.failures import UNKNOWN
from dashboards.figures.parallel import parallel_lines
from dashboards.figures.style import evenly, new_figure, note, numbers
from dashboards.figures.timeline import stints
from dashboards.front import front_rows
from dashboards.importance import LEAST_TRIALS, importances
from dashboards.table import StudyFacts, TrialRow
from dashboards.theme import STATE_COLOURS
from dashboards.words import duration, safe, shown_name

MOST_CURVES, MOST_STAYS, MOST_BARS = 7, 1500, 12  # of each study; parameters in all


def compared_curves(studies: Sequence[Study]) -> go.Figure:
    """The curves of each front's members, and faint those of references."""
    figure = new_figure(460).update_yaxes(title="validation accuracy", tickformat=".0%")
    figure.update_xaxes(title="epoch", rangemode="tozero")
    for place, (rows, facts) in enumerate(studies):
        members = [row for row in front_rows(rows, facts.objectives) if row.epochs]
        shown = [members[index] for index in evenly(len(members), MOST_CURVES)]
        _add_curves(figure, shown, place, facts.study, opacity=0.9)
        beside = [row for row in rows if row.source == "reference" and row.epochs]
        _add_curves(figure, beside, place, f"{facts.study}, references", opacity=0.35)
    return figure.update_layout(showlegend=True) if figure.data else note(figure, "No front has a learning curve yet.")


def _add_curves(figure: go.Figure, rows: list[TrialRow], place: int, name: str, opacity: float) -> None:
    if not rows:
        return
    lengths = [len(row.epochs) + 1 for row in rows]
    figure.add_trace(
        go.Scatter(
            x=list(chain.from_iterable([*(point.epoch for point in row.epochs), None] for row in rows)),
            y=list(chain.from_iterable([*(point.accuracy for point in row.epochs), None] for row in rows)),
            customdata=placed(place, np.repeat(numbers(rows), lengths)),
            mode="lines",
            line={"color": study_colour(place), "width": 1.6, "dash": DASHES[place % len(DASHES)]},
            opacity=opacity,
            name=safe(name, 50),
            hovertemplate="#%{customdata[1]}, epoch %{x}: %{y:.2%}<extra>" + no_template(name) + "</extra>",
        )
    )


def compared_timelines(studies: Sequence[Study]) -> go.Figure:
    """Each study's workers below each other, all from the start of their own study."""
    names: list[str] = []
    figure = new_figure(200)
    for place, (rows, facts) in enumerate(studies):
        known = [(row, stint) for row in rows for stint in stints(row)][-MOST_STAYS:]
        start = min((stint.started_at for _, stint in known), default=0.0)
        last = max((stint.ended_at or stint.started_at for _, stint in known), default=0.0)
        now = max(facts.updated_at or last, last)
        workers = sorted({stint.worker for _, stint in known})
        for ended in dict.fromkeys(stint.ended or "training" for _, stint in known):
            stays = [(row, stint) for row, stint in known if (stint.ended or "training") == ended]
            spans = [(stint.started_at - start, (stint.ended_at or now) - start) for _, stint in stays]
            figure.add_trace(
                go.Scatter(
                    x=list(chain.from_iterable((first / 60, end / 60, None) for first, end in spans)),
                    y=np.repeat([len(names) + workers.index(stint.worker) for _, stint in stays], 3),
                    customdata=placed(place, np.repeat(numbers([row for row, _ in stays]), 3)),
                    hovertext=list(
                        chain.from_iterable(
                            [f"{safe(shown_name(row), 40)} #{row.number}<br>{safe(ended)}, {duration(end - first)}"] * 3
                            for (row, _), (first, end) in zip(stays, spans, strict=True)
                        )
                    ),
                    hovertemplate="%{hovertext}<extra>" + no_template(facts.study) + "</extra>",
                    mode="lines",
                    line={"color": STATE_COLOURS.get(ended, STATE_COLOURS["queued"]), "width": 12},
                    name=safe(ended, 20),
                    legendgroup=safe(ended, 20),
                    showlegend=not any(trace.legendgroup == safe(ended, 20) for trace in figure.data),
                )
            )
        names += [f"{safe(facts.study, 24)}: {safe(worker, 24)}" for worker in workers]
    if not figure.data:
        return note(figure, "No training has started yet.")
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6])
    figure.update_xaxes(title="minutes since the study's start", rangemode="tozero")
    return figure.update_layout(showlegend=True, height=150 + 26 * max(3, len(names)))


def compared_importances(studies: Sequence[Study], family: str | None) -> go.Figure:
    """A bar for each study at each parameter; parameters in the order of their greatest share."""
    known = {
        place: {one.parameter: one for one in importances(rows, facts.objectives, family)}
        for place, (rows, facts) in enumerate(studies)
    }
    greatest: Counter[str] = Counter()
    for shares in known.values():
        for name, one in shares.items():
            greatest[name] = max(greatest[name], one.share)  # type: ignore[assignment]
    names = [name for name, share in greatest.most_common(MOST_BARS) if share > 0][::-1]
    figure = new_figure(max(220, 120 + 34 * len(names)))
    if not names:
        return note(figure, f"Needs {LEAST_TRIALS} complete trainings in a study, and a parameter that matters in it.")
    for place, (_, facts) in enumerate(studies):
        shares = known[place]
        figure.add_trace(
            go.Bar(
                x=[shares[name].share if name in shares else 0.0 for name in names],
                y=[safe(name, 30) for name in names],
                orientation="h",
                marker={"color": study_colour(place)},
                name=safe(facts.study, 40),
                text=[f"prefers {safe(shares[name].preferred, 24)}" if name in shares else "" for name in names],
                textposition="auto",
                textfont={"size": 11},
                constraintext="none",
                cliponaxis=False,
                hovertemplate="%{y}: %{x:.0%}, %{text}<extra>" + no_template(facts.study) + "</extra>",
            )
        )
    figure.update_layout(barmode="group", showlegend=True, legend={"traceorder": "reversed"})
    return figure.update_xaxes(title="share of the difference", tickformat=".0%")


def compared_parameters(studies: Sequence[Study], family: str | None) -> go.Figure:
    """Parallel coordinates of all studies' networks, the study as first axis."""
    rows = [(facts.study, row) for rows, facts in studies for row in rows]
    facts: StudyFacts = studies[0][1]
    numbered = [replace(row, number=index) for index, (_, row) in enumerate(rows)]
    return parallel_lines(numbered, facts, family, studies={index: name for index, (name, _) in enumerate(rows)})


def compared_failures(studies: Sequence[Study]) -> go.Figure:
    """Failed trials by kind, a bar for each study."""
    counts = [Counter(row.failure_kind or UNKNOWN for row in rows if row.state == "failed") for rows, _ in studies]
    total: Counter[str] = sum(counts, Counter())
    kinds = [kind for kind, _ in total.most_common()][::-1]
    figure = new_figure(150 + 44 * max(2, len(kinds)))
    if not kinds:
        return note(figure, "Nothing failed.")
    for place, (_, facts) in enumerate(studies):
        figure.add_trace(
            go.Bar(
                x=[counts[place][kind] for kind in kinds],
                y=[safe(kind.replace("_", " "), 30) for kind in kinds],
                orientation="h",
                marker={"color": study_colour(place)},
                name=safe(facts.study, 40),
                hovertemplate="%{y}: %{x}<extra>" + no_template(facts.study) + "</extra>",
            )
        )
    figure.update_layout(barmode="group", showlegend=True)
    return figure.update_xaxes(title="trials", tickformat="d")
