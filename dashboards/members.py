"""One network of a study in detail: parameters, costs by stage, block diagram, commands, link to its run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dashboards.figures.style import evenly
from dashboards.front import front_rows, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.words import compact, described, duration, percent, plain, shown_name
from search_spaces.cost import cost, stage_costs
from search_spaces.plan import Plan, plan_from_json

StageLine = tuple[str, str, str, str]  # stage, parameters, MACs, activation memory
Command = tuple[str, str]  # what it does, what to type


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One network, in plain text; `plan` is None where the row has none."""

    number: int
    name: str
    family: str
    on_front: bool
    accuracy: str
    facts: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str], ...]
    stages: tuple[StageLine, ...]
    plan: Plan | None
    commands: tuple[Command, ...]
    run_url: str | None


def members(rows: Sequence[TrialRow], facts: StudyFacts, most: int) -> list[Member]:
    """The front, or an even choice of it where it is longer than `most`, and the references."""
    on_front = front_rows(rows, facts.objectives)
    known = [row for row, is_reference in zip(rows, references(rows), strict=True) if is_reference]
    return [member(on_front[index], facts, on_front=True) for index in evenly(len(on_front), most)] + [
        member(row, facts) for row in known
    ]


def member(row: TrialRow, facts: StudyFacts, on_front: bool = False) -> Member:
    """Everything that a page tells of one network."""
    plan = plan_from_json(row.plan) if row.plan else None
    return Member(
        number=row.number,
        name=plain(shown_name(row), 160),
        family=plain(row.family, 40),
        on_front=on_front,
        accuracy=percent(row.accuracy),
        facts=_facts(row),
        parameters=tuple((plain(name, 40), plain(value, 80)) for name, value in described(row.parameters).items()),
        stages=stage_lines(plan) if plan else (),
        plan=plan,
        commands=trial_commands(row, facts, on_front),
        run_url=run_url(row, facts),
    )


def stage_lines(plan: Plan) -> tuple[StageLine, ...]:
    """What each stage costs, and the whole."""
    costs = {**stage_costs(plan), "whole": cost(plan)}
    return tuple(
        (stage, f"{part.params:,}", f"{part.macs:,}", f"{part.activation_bytes / 1024:,.0f} KiB")
        for stage, part in costs.items()
        if stage != "input"
    )


def study_commands(facts: StudyFacts) -> tuple[Command, ...]:
    """What one may do next with the study."""
    study = shlex.quote(plain(facts.study, 200))
    return (
        ("watch it in the browser", f"igcv dashboard {study}"),
        ("score it on test images", f"igcv evaluate {study}"),
        ("print the front", f"igcv front {study}"),
        ("draw it for a paper", f"igcv front {study} --figure front.pdf"),
        ("write this report anew", f"igcv report {study}"),
    )


def trial_commands(row: TrialRow, facts: StudyFacts, on_front: bool = False) -> tuple[Command, ...]:
    """What one may do with one network. Weights are kept of the front and of references; others are trained again."""
    if row.state != "complete":
        return ()
    study = plain(facts.study, 200)
    kept = "" if on_front or row.source == "reference" else " --retrain"
    commands = (
        ("as ONNX and torch.export", f"igcv export {shlex.quote(study)} {row.number} -o network{kept}"),
        ("trained again, to the end", f"igcv train {shlex.quote(f'{study}:{row.number}')}"),
        ("its latency and memory", f"igcv measure {shlex.quote(f'{study}:{row.number}')}"),
    )
    if row.source != "reference":
        return commands
    name = shlex.quote(plain(shown_name(row), 200))
    return (
        ("its costs, layer by layer", f"igcv cost {name} --layers"),
        ("its block diagram", f"igcv draw {name} -o network.svg"),
        *commands,
    )


def run_url(row: TrialRow, facts: StudyFacts) -> str | None:
    """The address of the trial's run in MLflow."""
    page = web_address(facts.mlflow_url)
    run = row.mlflow_run_id
    return f"{page.rstrip('/')}/runs/{run}" if page and run and run.isalnum() else None


def web_address(text: str | None) -> str | None:
    """The text where it is an http(s) address, else None: no other scheme becomes a link."""
    return text if text and urlsplit(text).scheme in ("http", "https") else None


def _facts(row: TrialRow) -> tuple[tuple[str, str], ...]:
    spread = f" ± {100 * row.accuracy_std:.2f} over {row.seeds} seeds" if row.accuracy_std is not None else ""
    told = [
        ("accuracy", percent(row.accuracy) + spread),
        ("as published", percent(row.published_accuracy) if row.published_accuracy is not None else ""),
        ("MACs", f"{row.macs:,}" if row.macs is not None else ""),
        ("parameters", f"{row.params:,}" if row.params is not None else ""),
        ("depth", f"{row.depth} layers" if row.depth is not None else ""),
        ("latency", f"{row.latency_ms:.3g} ms" if row.latency_ms is not None else ""),
        ("throughput", f"{compact(row.images_per_second)} images/s" if row.images_per_second else ""),
        ("training", duration(row.seconds) if row.seconds is not None else ""),
        ("attempts", f"{row.attempts}, {row.losses} lost workers" if row.attempts > 1 or row.losses else ""),
        ("plan", row.plan_key),
    ]
    return tuple((name, plain(text)) for name, text in told if text)
