"""Numbers and architectures in words; the summary; tables to paste."""

import re
from dataclasses import replace

import pytest

from dashboards.publish import front_latex, front_markdown, front_table
from dashboards.summary import comparisons, summary
from dashboards.table import StudyFacts
from dashboards.words import architecture, compact, described, duration, percent, plain, safe
from tests.dashboards.sample import HOSTILE, sample_study

ROWS, FACTS = sample_study(120)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.7, "1.00k"),
        (15_000, "15.0k"),
        (1_234_567, "1.23M"),
        (999_600, "1.00M"),
        (312_970_176, "313M"),
        (5e9, "5.00G"),
        (None, "–"),
        (float("nan"), "–"),
        (0.1234, "0.123"),
    ],
)
def test_compact_numbers(value: float | None, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (59.6, "1 min"), (80, "1 min 20 s"), (3600, "1 h"), (90_000, "1 d 1 h"), (None, "–")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_percent() -> None:
    assert percent(0.91234) == "91.23 %"


def test_parameters_of_stages_stand_together() -> None:
    given = {"igcv2.skip": True, "igcv2.width_1": 16, "igcv2.width_2": 32, "igcv2.multiplier": 0.5}
    assert described(given) == {"skip": "yes", "width": "16-32", "multiplier": "0.5"}


def test_plain_text_is_one_line_without_control_characters() -> None:
    assert plain("a\nb\x00c\u202ed") == "a bcd"
    assert plain("x" * 100, 10) == "x" * 9 + "…"
    assert "<" not in safe(HOSTILE)


def test_the_summary_counts_what_is_in_the_rows() -> None:
    searched, was_found, beside, failed = summary(ROWS, FACTS)
    complete = sum(row.state == "complete" and row.source == "search" for row in ROWS)
    assert f"{complete} trained to the end" in " ".join(searched.sentences)
    assert "at most 60.0M MACs" in searched.sentences[0]
    assert re.search(r"\d+ networks on the front of accuracy and MACs", was_found.sentences[0])
    assert len(beside.sentences) == 2
    assert failed.sentences[0].startswith(f"{sum(row.state == 'failed' for row in ROWS)} trials failed")


def test_comparisons_are_the_cheapest_as_accurate_and_the_best_as_cheap() -> None:
    complete = [row for row in ROWS if row.state == "complete" and row.source == "search"]
    for comparison in comparisons(ROWS, FACTS):
        accuracy, macs = comparison.reference.accuracy, comparison.reference.macs
        assert accuracy is not None
        assert macs is not None
        cheaper = [row.macs for row in complete if (row.accuracy or 0) >= accuracy]
        better = [row.accuracy for row in complete if (row.macs or 0) <= macs]
        assert (comparison.cheapest.macs if comparison.cheapest else None) == min(cheaper, default=None)
        assert (comparison.best.accuracy if comparison.best else None) == max(better, default=None)


def test_a_reference_that_nothing_reaches_is_said_to_be_so() -> None:
    best = [replace(row, accuracy=0.999) if row.source == "reference" else row for row in ROWS]
    assert "Nothing found is as accurate" in summary(best, FACTS)[2].sentences[0]


def test_an_empty_study_has_a_summary() -> None:
    sections = summary([], StudyFacts(study="s"))
    assert sections[1].sentences == ("No network is trained to the end yet.",)
    assert sections[3].sentences == ("Nothing failed.",)


def test_the_front_table_has_the_front_and_then_the_references() -> None:
    heading, lines = front_table(ROWS, FACTS)
    assert all(len(line) == len(heading) for line in lines)
    assert [line[0] for line in lines[-2:]] == ["*", "*"]
    assert architecture(ROWS[5])


def test_markdown_has_one_cell_for_each_heading_whatever_the_names() -> None:
    rows, facts = sample_study(60, hostile=True)
    rows = [replace(row, name=f"a|b`c{row.number}") for row in rows]
    lines = front_markdown(rows, facts).splitlines()
    cells = [re.split(r"(?<!\\)\|", line) for line in lines]
    assert len({len(row) for row in cells}) == 1
    assert "<script" not in front_markdown(rows, facts)


def test_latex_escapes_its_special_characters() -> None:
    rows = [replace(row, name=r"a_b & 50% #1 {x}^2 \cmd $m$ ~") for row in ROWS]
    text = front_latex(rows, FACTS)
    assert r"a\_b \& 50\% \#1 \{x\}\textasciicircum{}2 \textbackslash{}cmd \$m\$ \textasciitilde{}" in text
    ends = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in ends}) == 1
