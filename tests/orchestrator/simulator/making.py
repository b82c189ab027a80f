"""Small tables of made-up trainings: two families, a conditional parameter, curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EPOCHS = 4


def columns() -> dict[str, Any]:
    """84 networks: 60 of family a (width, depth, skip or a kind where there is none) and 24 of family b (width)."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for width in range(1, 7):
        for depth in range(1, 6):
            for skip, kind in (("yes", None), ("no", "relu")):
                rows.append({"family": "a", "a.width": width, "a.depth": depth, "a.skip": skip, "a.kind": kind})
    rows += [{"family": "b", "b.width": width, "b.k": k} for width in range(1, 9) for k in (2, 4, 8)]
    names = ("family", "a.width", "a.depth", "a.skip", "a.kind", "b.width", "b.k")
    for row in rows:
        size = row.get("a.width", row.get("b.width", 1)) * row.get("a.depth", 3)
        row["macs"], row["params"] = 1000 * size, 10 * size
        best = 0.9 - 0.5 / (1 + 0.3 * size) - (0.05 if row["family"] == "b" else 0.0)
        row["accuracy_seeds"] = (best + 0.01 * rng.normal(size=3)).tolist()
        row["accuracy"] = float(np.mean(row["accuracy_seeds"]))
        row["curve"] = [row["accuracy"] - 0.3 * 0.5**epoch for epoch in range(EPOCHS)]
        row["epoch_seconds"] = [0.1 * size] * EPOCHS
    reserved = ("macs", "params", "accuracy", "accuracy_seeds", "curve", "epoch_seconds")
    return {name: [row.get(name) for row in rows] for name in (*names, *reserved)}


def write(path: Path, **changes: Any) -> Path:
    """The table with columns changed; None: without the column."""
    content = {name: values for name, values in {**columns(), **changes}.items() if values is not None}
    pq.write_table(pa.table(content), path)
    return path
