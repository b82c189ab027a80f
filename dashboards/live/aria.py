"""Words for those who cannot see a piece of the page."""

from __future__ import annotations

from dash.development.base_component import Component


def aria(component: Component, **words: str) -> Component:
    """The component with `aria-NAME` attributes."""
    for name, text in words.items():
        setattr(component, f"aria-{name}", text)
    return component
