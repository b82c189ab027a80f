"""The table of all trials on the live page: what its controls do."""

from __future__ import annotations

from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update

from dashboards.live.address import Shown, from_query
from dashboards.live.drawing import Readers
from dashboards.live.trial_list import PER_PAGE, Columns, Order, columns_of, found_trials, to_csv, trial_table
from dashboards.words import count


def add_table(app: Dash, readers: Readers) -> None:
    """Search, sort, pages, download."""
    names = list(readers)

    @app.callback(
        Output("order", "data"), Input({"type": "sort", "column": ALL}, "n_clicks"), State("order", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def sort(_: list[int | None], order: dict[str, Any]) -> Any:
        if not isinstance(ctx.triggered_id, dict) or not ctx.triggered[0]["value"]:
            return no_update
        turned = Order(**order).turned(str(ctx.triggered_id["column"]))
        return {"column": turned.column, "up": turned.up}

    @app.callback(
        Output("page", "data"),
        Input("previous", "n_clicks"),
        Input("next", "n_clicks"),
        Input("search", "value"),
        Input("order", "data"),
        State("page", "data"),
    )
    def leaf(_: int | None, __: int | None, words: str, order: object, now: int) -> int:
        return (
            max(0, now + {"previous": -1, "next": 1}[ctx.triggered_id])
            if ctx.triggered_id in ("previous", "next")
            else 0
        )

    @app.callback(
        Output("table-page", "children"),
        Output("pages", "children"),
        Output("previous", "disabled"),
        Output("next", "disabled"),
        Input("shown", "data"),
        Input("stamp", "data"),
        Input("search", "value"),
        Input("order", "data"),
        Input("page", "data"),
    )
    def fill(query: str | None, _: str | None, words: str | None, order: dict[str, Any], now: int) -> Any:
        shown = from_query(query, names)
        if shown.view != "trials":
            return (no_update,) * 4
        columns = _columns(shown, readers)
        places = found_trials(columns, words or "", Order(**order))
        pages = max(1, -(-len(places) // PER_PAGE))
        now = min(now, pages - 1)
        text = f"{count(len(places), 'trial')}, page {now + 1} of {pages}"
        return trial_table(columns, places, Order(**order), now), text, now == 0, now >= pages - 1

    @app.callback(
        Output("file", "data"),
        Input("download", "n_clicks"),
        State("shown", "data"),
        State("search", "value"),
        State("order", "data"),
        prevent_initial_call=True,
    )
    def download(clicks: int | None, query: str | None, words: str | None, order: dict[str, Any]) -> Any:
        columns = _columns(from_query(query, names), readers)
        text = to_csv(columns, found_trials(columns, words or "", Order(**order)))
        return {"content": text, "filename": "trials.csv", "type": "text/csv"}


def _columns(shown: Shown, readers: Readers) -> Columns:
    return columns_of([(name, *readers[name].read()) for name in shown.studies])
