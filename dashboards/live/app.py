"""The live page: a Dash application over studies' trial tables, with every view at an address of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas  # noqa: F401  # before any thread: plotly must not meet it half imported by another one
import plotly.graph_objects as go
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from flask import Flask, abort, request

from dashboards.front import OBJECTIVES, front_rows
from dashboards.live.address import FAMILY, Shown, from_query, to_query
from dashboards.live.drawing import PROJECTIONS, Readers, choices, draw, known_axes, told
from dashboards.live.page import page, shell
from dashboards.live.panel import network_panel
from dashboards.live.trial_page import add_table
from dashboards.theme import Theme
from dashboards.words import count, plain

MOST_FAILURES = 40
HIDDEN: dict[str, str] = {"display": "none"}
VISIBLE: dict[str, str] = {}
HOSTS = ("127.0.0.1", "localhost", "[::1]")
BOXES = ("axes", "colours", "choices", "figure-box", "table-box")  # shown or hidden
CONTROLS = ("study", "beside", "view", "choice", "x", "y", "z", "scale")
TURN = """(clicks, now) => {
  const stored = localStorage.getItem("igcv-theme");
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = clicks ? (now === "dark" ? "light" : "dark") : (stored || preferred);
  if (clicks) localStorage.setItem("igcv-theme", theme);
  document.documentElement.dataset.theme = theme;
  return theme;
}"""


def make_app(readers: Readers) -> Dash:
    """The application; `app.server` is its WSGI side. It answers this machine's own names alone."""
    assert readers
    app = Dash(
        "dashboards.live",
        title="IGCV search",
        update_title="",
        index_string=shell(),
        include_assets_files=False,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = lambda: page(readers)
    _guard(app.server)
    _follow(app, readers)
    _address(app, readers)
    _figures(app, readers)
    add_table(app, readers)
    return app


def _guard(server: Flask) -> None:
    """Refuses pages of other sites that point their own name at this machine."""

    @server.before_request
    def only_this_machine() -> None:
        if request.host.rpartition(":")[0] not in HOSTS and request.host not in HOSTS:
            abort(403)


def _follow(app: Dash, readers: Readers) -> None:
    turn: Any = app.clientside_callback  # untyped in Dash
    turn(TURN, Output("theme", "data"), Input("turn", "n_clicks"), State("theme", "data"))

    @app.callback(
        Output("stamp", "data", allow_duplicate=True),
        Input("tick", "n_intervals"),
        State("shown", "data"),
        State("stamp", "data"),
        prevent_initial_call=True,
    )
    def look(_: int | None, query: str | None, before: str | None) -> Any:
        stamp = stamp_of(from_query(query, list(readers)), readers)
        return stamp if stamp != before else no_update


def _address(app: Dash, readers: Readers) -> None:
    """Controls, clicks and the address follow each other; whatever is drawn follows `shown`."""
    names = list(readers)

    @app.callback(
        Output("url", "search"),
        Output("shown", "data"),
        Output("stamp", "data"),
        *(Output(name, "value") for name in CONTROLS),
        Output("choice", "options"),
        Output("x", "options"),
        Output("y", "options"),
        Output("z", "options"),
        *(Output(name, "style") for name in BOXES),
        Input("url", "search"),
        Input("figure", "clickData"),
        Input({"type": "trial", "number": ALL, "study": ALL}, "n_clicks"),
        *(Input(name, "value") for name in CONTROLS),
        State("stamp", "data"),
        State("shown", "data"),
    )
    def settle(query: str | None, clicked: Any, _: list[int | None], *values: Any) -> Any:
        *given, stamp_before, before = values
        if isinstance(ctx.triggered_id, dict) and not ctx.triggered[0]["value"]:
            raise PreventUpdate  # the table was drawn anew
        if before is None or ctx.triggered_id in (None, "url"):
            shown = from_query(query, names)
        else:
            shown = _chosen(_from_controls(from_query(before, names), given, names), clicked)
        rows, facts = readers[shown.study].read()
        options = choices(rows, facts, shown)
        if shown.choice not in options:
            shown = replace(shown, choice=options[0] if options else "")
        axes = [{"label": OBJECTIVES[name].title, "value": name} for name in known_axes(rows)]
        colours = [{"label": "families", "value": FAMILY}, *axes]
        on_plane = shown.view == "front" and shown.choice != PROJECTIONS
        is_table, is_alone = shown.view == "trials", len(shown.studies) == 1
        seen = (on_plane, on_plane and is_alone, bool(options), not is_table, is_table)
        address, stamp = to_query(shown), stamp_of(shown, readers)
        return (
            address,
            address if address != before else no_update,
            stamp if stamp != stamp_before else no_update,
            *(list(shown.beside) if name == "beside" else getattr(shown, name) for name in CONTROLS),
            options,
            axes,
            axes,
            colours,
            *(VISIBLE if is_seen else HIDDEN for is_seen in seen),
        )


def stamp_of(shown: Shown, readers: Readers) -> str:
    """Changes whenever a table does that is shown."""
    return "|".join(readers[name].stamp() for name in shown.studies)


def _from_controls(before: Shown, values: list[Any], names: list[str]) -> Shown:
    """The controls' values, checked as an address is."""
    given = {name: value for name, value in zip(CONTROLS, values, strict=True) if value is not None}
    given["beside"] = tuple(given.get("beside", ()))
    return from_query(to_query(replace(before, **given)), names)


def _chosen(shown: Shown, clicked: Any) -> Shown:
    """With the network of the click that is being answered, if it is one."""
    if isinstance(ctx.triggered_id, dict):
        return replace(shown, trial=f"{ctx.triggered_id['number']}@{ctx.triggered_id['study']}")
    if ctx.triggered_id != "figure" or not clicked:
        return shown
    data = clicked["points"][0].get("customdata")
    if isinstance(data, list) and len(data) == 2:  # several studies: the study's place, the trial
        return replace(shown, trial=f"{data[1]}@{shown.studies[data[0]]}")
    number = data[0] if isinstance(data, list) and data else data
    return shown if number is None else replace(shown, trial=f"{number}@{shown.study}")


def _figures(app: Dash, readers: Readers) -> None:
    names = list(readers)

    @app.callback(Output("figure", "figure"), Input("shown", "data"), Input("stamp", "data"), Input("theme", "data"))
    def show(query: str | None, stamp: str | None, theme: Theme | None) -> go.Figure:
        shown = from_query(query, names)
        if query is None or stamp is None or theme is None or shown.view == "trials":
            return no_update  # what is missing comes at once, and is drawn then
        return draw(shown, readers, theme)

    @app.callback(
        Output("title", "children"),
        Output("headline", "children"),
        Output("told", "children"),
        Output("below", "children"),
        Output("figure", "style"),
        Input("shown", "data"),
        Input("stamp", "data"),
    )
    def describe(query: str | None, _: str | None) -> Any:
        shown = from_query(query, names)
        rows, facts = readers[shown.study].read()
        below = _failures(shown, readers) if shown.view == "failures" else []
        heads = [_headline(name, readers, len(shown.studies) > 1) for name in shown.studies]
        is_wide = shown.view == "parallel" or shown.choice == PROJECTIONS
        width = {"minWidth": "760px"} if is_wide else {}  # scrolls sideways where there is no room
        title = plain(facts.study, 80) + (f" and {len(heads) - 1} more" if len(heads) > 1 else "")
        return title, heads, told(rows, facts, shown), below, width

    @app.callback(Output("panel", "children"), Input("shown", "data"), Input("theme", "data"))
    def tell(query: str | None, theme: Theme | None) -> list[Component]:
        return network_panel(from_query(query, names).trial, readers, theme or "light")


def _headline(study: str, readers: Readers, is_named: bool) -> Component:
    rows, facts = readers[study].read()
    searched = [row for row in rows if row.source == "search"]
    states = Counter(row.state for row in searched)
    asked = f" of {facts.trials_asked:,}" if facts.trials_asked else ""
    text = (
        f"{len(searched):,}{asked} trials: {', '.join(f'{n:,} {state}' for state, n in states.items()) or 'none yet'}"
    )
    moment = "" if facts.updated_at is None else f"{datetime.fromtimestamp(facts.updated_at, UTC):, as of %H:%M:%S UTC}"
    name = f"{plain(study, 60)}: " if is_named else ""
    on_front = count(len(front_rows(rows, facts.objectives)), "network")
    return html.Div(f"{name}{text}; {on_front} on the front{moment}")


def _failures(shown: Shown, readers: Readers) -> list[Component]:
    return [part for study in shown.studies for part in _failures_of(study, readers, len(shown.studies) > 1)]


def _failures_of(study: str, readers: Readers, is_named: bool) -> list[Component]:
    failed = [row.number for row in readers[study].read()[0] if row.state == "failed"][-MOST_FAILURES:]
    name = f"{plain(study, 40)} " if is_named else ""
    return [
        html.Details(
            [
                html.Summary(
                    f"{name}#{row.number} {plain(row.name, 60)}: {plain(row.failure_kind or 'unknown', 40).replace('_', ' ')}, "
                    f"{plain(row.failure_message or 'no message')}"
                ),
                html.Pre((row.failure_traceback or row.failure_message or "nothing was recorded")[-4000:], tabIndex=0),
            ]
        )
        for row in readers[study].whole(failed)
    ]
