"""A network in a file: a plan's JSON (as MLflow and the table keep it), or YAML with a family and its parameters."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from search_spaces.families.table import FAMILIES
from search_spaces.networks import Network, Task, lower
from search_spaces.plan import Plan, plan_from_json


def read_network(path: Path, task: Task) -> Plan:
    """The file's plan; `task` is ignored by a plan's JSON. ValueError says what the file lacks.

    YAML: `family`, any of the family's own parameters, and `stages`, a list of mappings with the parameters of each.
    """
    text = path.read_text()
    if text.lstrip().startswith("["):
        return plan_from_json(text)
    content = yaml.safe_load(text)
    if not isinstance(content, dict) or "family" not in content or not content.get("stages"):
        raise ValueError(f"{path}: a network file has `family` and `stages` (a list of mappings), or is a plan's JSON")
    name = content.pop("family")
    if name not in FAMILIES:
        raise ValueError(f"{path}: unknown family {name!r}; known: {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    stages = tuple(
        _make(path, f"stage {number}", family.stage_type, values)
        for number, values in enumerate(content.pop("stages"), 1)
    )
    shared = _make(path, name, family.shared_type, content)
    return lower(family, Network(family=name, shared=shared, stages=stages), task)


def _make(path: Path, where: str, kind: type[Any], values: Any) -> Any:
    known = [field.name for field in fields(kind)]
    unknown = [key for key in values if key not in known] if isinstance(values, dict) else [values]
    if unknown:
        raise ValueError(f"{path}: {where}: unknown {unknown}; known: {', '.join(known)}")
    return kind(**values)
