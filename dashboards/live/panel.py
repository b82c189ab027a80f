"""One network beside the figure: facts, parameters, costs by stage, block diagram, curve, commands."""

from __future__ import annotations

from base64 import b64encode

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from dashboards.diagram import draw_plan
from dashboards.figures.style import INK, new_figure, template
from dashboards.front import front_rows
from dashboards.live.address import trial_of
from dashboards.live.aria import aria
from dashboards.live.drawing import Readers
from dashboards.members import Command, member
from dashboards.table import TrialRow
from dashboards.theme import BLUE, Theme
from dashboards.words import plain

HINT = "A click on a point, or on a number in the table, shows the network here."


def network_panel(trial: str, readers: Readers, theme: Theme) -> list[Component]:
    """The panel's content; a hint where no network is chosen."""
    chosen = trial_of(trial, list(readers))
    rows = readers[chosen[0]].whole([chosen[1]]) if chosen else []
    if chosen is None or not rows:
        return [html.P(HINT, className="faint")]
    row, (all_rows, facts) = rows[0], readers[chosen[0]].read()
    shown = member(row, facts, on_front=any(one.number == row.number for one in front_rows(all_rows, facts.objectives)))
    mark = "on the front" if shown.on_front else "reference" if row.source == "reference" else row.state
    return [
        html.H2(f"#{shown.number} {shown.name}"),
        html.P(f"{shown.family}, {mark}" + (f", {chosen[0]}" if len(readers) > 1 else ""), className="faint"),
        *_failure(row),
        _list([*shown.facts]),
        *([html.H3("Parameters"), _list([*shown.parameters])] if shown.parameters else []),
        *([html.H3("Costs by stage"), _stages([*shown.stages])] if shown.stages else []),
        *([html.H3("Blocks"), _diagram(draw_plan(shown.plan), shown.number, theme)] if shown.plan else []),
        *([html.H3("Learning curve"), _curve(row, theme)] if row.epochs else []),
        *([html.H3("What next"), *_commands(shown.commands)] if shown.commands else []),
        *([html.P(html.A("Its run in MLflow", href=shown.run_url))] if shown.run_url else []),
    ]


def _failure(row: TrialRow) -> list[Component]:
    if row.state != "failed":
        return []
    text = row.failure_traceback or row.failure_message or "nothing was recorded"
    kind = plain((row.failure_kind or "unknown").replace("_", " "), 40)
    return [html.P(f"Failed: {kind}, {plain(row.failure_message or 'no message')}"), html.Pre(text[-4000:], tabIndex=0)]


def _list(facts: list[tuple[str, str]]) -> Component:
    return html.Dl([part for name, text in facts for part in (html.Dt(name), html.Dd(text))])


def _stages(lines: list[tuple[str, str, str, str]]) -> Component:
    heads = ("stage", "parameters", "MACs", "memory")
    return html.Table(
        [
            html.Thead(html.Tr([html.Th(name, scope="col", className=_side(i)) for i, name in enumerate(heads)])),
            html.Tbody([html.Tr([html.Td(cell, className=_side(i)) for i, cell in enumerate(line)]) for line in lines]),
        ],
        className="numbers",
    )


def _side(index: int) -> str:
    return "number" if index else ""


def _diagram(svg: str, number: int, theme: Theme) -> Component:
    """As an image, in which no script runs."""
    coloured = svg.replace("<svg ", f'<svg color="{INK[theme]}" ', 1)
    address = f"data:image/svg+xml;base64,{b64encode(coloured.encode()).decode()}"
    picture = html.Img(src=address, alt=f"Block diagram of #{number}")
    return aria(html.Div(picture, className="scroll diagram", tabIndex=0, role="region"), label="Block diagram")


def _curve(row: TrialRow, theme: Theme) -> Component:
    figure = new_figure(220).update_yaxes(tickformat=".0%").update_xaxes(title="epoch")
    figure.add_trace(
        go.Scatter(
            x=[point.epoch for point in row.epochs],
            y=[point.accuracy for point in row.epochs],
            mode="lines+markers",
            line={"color": BLUE},
            hovertemplate="epoch %{x}: %{y:.2%}<extra></extra>",
        )
    )
    return dcc.Graph(figure=figure.update_layout(template=template(theme)), config={"displayModeBar": False})


def _commands(commands: tuple[Command, ...]) -> list[Component]:
    return [html.P([f"{what}: ", html.Code(command)]) for what, command in commands]
