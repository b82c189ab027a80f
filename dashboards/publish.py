"""The front as a table to paste: Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dashboards.front import OBJECTIVES, front_rows, references
from dashboards.summary import Section, summary
from dashboards.table import StudyFacts, TrialRow
from dashboards.words import MISSING, compact, plain, shown_name

Cells = list[str]
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "…": r"\ldots{}", "–": "--", "±": r"$\pm$",
}  # fmt: skip


def front_table(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[Cells, list[Cells]]:
    """Heading and lines, plain text: the front by cost, then the references, marked with a star for a number."""
    costs = [name for name in ("macs", "params", "latency_ms") if _is_known(rows, name)]
    heading = ["#", "accuracy (%)", *(OBJECTIVES[name].title for name in costs), "family", "network"]
    known = [row for row, is_reference in zip(rows, references(rows), strict=True) if is_reference]
    return heading, [_line(row, costs) for row in (*front_rows(rows, facts.objectives), *known)]


def front_markdown(rows: Sequence[TrialRow], facts: StudyFacts) -> str:
    """A Markdown table; what could be read as markup is escaped."""
    heading, lines = front_table(rows, facts)
    rule = " | ".join("---:" if _is_numeric(name) else "---" for name in heading)
    top, *body = [f"| {' | '.join(map(_for_markdown, cells))} |" for cells in (heading, *lines)]
    return "\n".join([top, f"| {rule} |", *body, ""])


def study_markdown(rows: Sequence[TrialRow], facts: StudyFacts, limit: int) -> str:
    """The summary and the front as Markdown of at most `limit` characters; lines that do not fit are left out."""
    parts = [
        f"**{section.title}.** " + " ".join(map(_for_markdown, section.sentences)) for section in _told(rows, facts)
    ]
    lines = ["\n\n".join(parts), "", *front_markdown(rows, facts).splitlines()]
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(kept) + len(line) > limit:
            break
        kept.append(line)
    return "\n".join(kept)


def _told(rows: Sequence[TrialRow], facts: StudyFacts) -> list[Section]:
    return [section for section in summary(rows, facts) if section.sentences]


def front_latex(rows: Sequence[TrialRow], facts: StudyFacts) -> str:
    """A LaTeX `tabular` with the rules of booktabs."""
    heading, lines = front_table(rows, facts)
    columns = "".join("r" if _is_numeric(name) else "l" for name in heading)
    body = [" & ".join(map(_for_latex, cells)) + r" \\" for cells in lines]
    top = " & ".join(map(_for_latex, heading)) + r" \\"
    return "\n".join(
        [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", top, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", ""]
    )


def _is_known(rows: Sequence[TrialRow], name: str) -> bool:
    return any(getattr(row, name) is not None for row in rows)


def _is_numeric(heading: str) -> bool:
    return heading not in ("network", "family")


def _line(row: TrialRow, costs: list[str]) -> Cells:
    spread = f" ± {100 * row.accuracy_std:.2f}" if row.accuracy_std is not None else ""
    accuracy = f"{100 * row.accuracy:.2f}{spread}" if row.accuracy is not None else MISSING
    number = "*" if row.source == "reference" else str(row.number)
    prices = [compact(getattr(row, name)) for name in costs]
    return [number, accuracy, *prices, plain(row.family, 40), plain(shown_name(row), 200)]


def _for_markdown(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", escaped) if text not in ("#", "*") else f"\\{text}"


def _for_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
