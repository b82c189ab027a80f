"""Every family by name. Adding a family is adding its file and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.networks import AnyFamily

FAMILIES: Mapping[str, AnyFamily] = {}
