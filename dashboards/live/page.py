"""The page's skeleton: controls, figure, table and panel, which callbacks fill."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboards.live.address import VIEWS
from dashboards.live.aria import aria
from dashboards.live.drawing import Readers

SECONDS_BETWEEN_LOOKS = 2.0
GRAPH: Any = {
    "displaylogo": False,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud"],
    "responsive": True,
    "toImageButtonOptions": {"format": "svg"},
}

PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"
# Dash asks for the five megabytes of Plotly when the page stands; asked at once, they are read while Dash waits for
# its answers. Dash takes a promise in Plotly's place, and Plotly puts itself there.
EARLY = f"""window.Plotly = new Promise((done, fail) => {{
  const script = document.createElement("script");
  Object.assign(script, {{ src: "{PLOTLY}", async: true, onload: () => done(), onerror: fail }});
  document.head.append(script);
}});"""


def page(readers: Readers) -> Component:
    """Everything that a browser shows."""
    names = list(readers)
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Interval(id="tick", interval=1000 * SECONDS_BETWEEN_LOOKS),
            *(dcc.Store(id=name) for name in ("shown", "stamp")),
            dcc.Store(id="theme"),
            dcc.Store(id="order", data={"column": "number", "up": True}),
            dcc.Store(id="page", data=0),
            dcc.Download(id="file"),
            _header(names),
            aria(html.Nav(_radio("view", VIEWS)), label="Views"),
            html.Main([_left(), aria(html.Aside(id="panel"), label="The chosen network", live="polite")]),
        ]
    )


def shell() -> str:
    """The HTML around the page, with its style and its own program inside."""
    assets = files("dashboards") / "assets"
    report, live, program = (
        (assets / name).read_text(encoding="utf-8") for name in ("report.css", "live.css", "live.js")
    )
    return (
        '<!DOCTYPE html><html lang="en"><head>{%metas%}<title>{%title%}</title>{%css%}'
        f"<style>{report}{live}</style><script>{EARLY}</script></head><body>"
        "{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}"
        f"</footer><script>{program}</script></body></html>"
    )


def _header(names: list[str]) -> Component:
    several = {"display": "flex" if len(names) > 1 else "none"}
    study = dcc.Dropdown(id="study", options=names, value=names[0], clearable=False, searchable=False)
    beside = dcc.Dropdown(id="beside", options=names, multi=True, placeholder="none", searchable=False)
    return html.Header(
        [
            html.Div([html.H1(id="title"), aria(html.P(id="headline", className="faint"), live="polite")]),
            html.Div([_labelled("Study", study), _labelled("compared with", beside)], className="tools", style=several),
            aria(html.Button("◐", id="turn", type="button"), label="Switch between light and dark"),
        ]
    )


def _left() -> Component:
    axes = [
        _labelled("Across", dcc.Dropdown(id="x", clearable=False, searchable=False)),
        _labelled("up", dcc.Dropdown(id="y", clearable=False, searchable=False)),
        html.Div(_labelled("colours", dcc.Dropdown(id="z", clearable=False, searchable=False)), id="colours"),
        _radio("scale", {"": "usual scale", "log": "logarithmic", "linear": "linear"}),
    ]
    figure = dcc.Graph(id="figure", config=GRAPH, responsive=True, className="live-figure")
    return html.Div(
        [
            html.P(id="told", className="faint"),
            html.Div(dcc.RadioItems(id="choice", inline=True), id="choices", className="choices"),
            html.Div(axes, id="axes", className="tools"),
            html.Div(figure, id="figure-box", className="scroll"),
            html.Div(_table(), id="table-box"),
            html.Div(id="below"),
        ],
        className="left",
    )


def _table() -> list[Component]:
    search = dcc.Input(id="search", type="search", debounce=0.3, value="", autoComplete="off")
    return [
        html.Div(
            [_labelled("Search", search), html.Button("Download as CSV", id="download", type="button")],
            className="tools",
        ),
        aria(html.Div(id="table-page", className="scroll", tabIndex=0, role="region"), label="All trials"),
        html.Div(
            [
                html.Button("Previous", id="previous", type="button"),
                aria(html.Span(id="pages"), live="polite"),
                html.Button("Next", id="next", type="button"),
            ],
            className="tools",
        ),
    ]


def _labelled(text: str, control: Component) -> Component:
    return html.Label([html.Span(text), control], className="labelled")


def _radio(name: str, options: object) -> Component:
    return html.Div(dcc.RadioItems(id=name, options=options, inline=True), className="choices")
