"""What several pieces of the page share: words for screen readers, and hiding."""

from __future__ import annotations

from dash.development.base_component import Component

HIDDEN: dict[str, str] = {"display": "none"}
VISIBLE: dict[str, str] = {}


def aria(component: Component, **words: str) -> Component:
    """The component with `aria-NAME` attributes, for those who cannot see it."""
    for name, text in words.items():
        setattr(component, f"aria-{name}", text)
    return component
