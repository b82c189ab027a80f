"""A study in words: what was searched, what was found, how it compares with the references, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.front import OBJECTIVES, found, front_rows, references
from dashboards.table import StudyFacts, TrialRow
from dashboards.words import amount, count, duration, percent, plain, shown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and its sentences; plain text, not escaped."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A reference network and what was found beside it, under one recipe; None where nothing was."""

    reference: TrialRow
    cheapest: TrialRow | None  # of the found that are at least as accurate
    best: TrialRow | None  # the most accurate of the found that cost no more


def summary(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[Section, ...]:
    """The four sections on top of a report."""
    return (
        Section(title="What was searched", sentences=_searched(rows, facts)),
        Section(title="What was found", sentences=_found(rows, facts)),
        Section(title="Beside the references", sentences=_compared(rows, facts)),
        Section(title="What failed", sentences=_failed(rows)),
    )


def cost_objective(facts: StudyFacts) -> str:
    """The cost that the study trades against accuracy: its first objective that is none."""
    return next((name for name in facts.objectives if name != "accuracy"), "macs")


def comparisons(rows: Sequence[TrialRow], facts: StudyFacts) -> list[Comparison]:
    """One for each reference network that was trained to the end, the cheapest first."""
    cost = cost_objective(facts)
    whole = [row for row, counts in zip(rows, found(rows, ("accuracy", cost)), strict=True) if counts]
    known = [row for row, is_reference in zip(rows, references(rows), strict=True) if is_reference]
    known = [row for row in known if row.accuracy is not None and getattr(row, cost) is not None]
    return [_compare(reference, whole, cost) for reference in sorted(known, key=lambda row: getattr(row, cost))]


def _compare(reference: TrialRow, whole: list[TrialRow], cost: str) -> Comparison:
    as_accurate = [row for row in whole if _accuracy(row) >= _accuracy(reference)]
    as_cheap = [row for row in whole if getattr(row, cost) <= getattr(reference, cost)]
    return Comparison(
        reference=reference,
        cheapest=min(as_accurate, key=lambda row: getattr(row, cost), default=None),
        best=max(as_cheap, key=_accuracy, default=None),
    )


def _accuracy(row: TrialRow) -> float:
    return row.accuracy if row.accuracy is not None else 0.0


def _searched(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[str, ...]:
    families = facts.families or tuple(sorted({row.family for row in rows if row.source == "search"}))
    searched = [row for row in rows if row.source == "search"]
    limits = [f"at most {amount(name, limit)}" for name, limit in facts.limits.items()]
    limits += [f"at least {amount(name, limit)}" for name, limit in facts.lower_limits.items()]
    budget = f", with {_listed(limits)}" if limits else ""
    states: Counter[str] = Counter(row.state for row in searched)
    told = [f"{states[state]:,} {word}" for state, word in _STATE_WORDS if states[state]]
    asked = f" of {facts.trials_asked:,}" if facts.trials_asked else ""
    return (
        f"{_listed([plain(name, 40) for name in families]) or 'Networks'} on {plain(facts.data, 80) or 'the images'}"
        f"{_classes(facts)}, for {_objectives(facts)}{budget}.",
        f"{len(searched):,}{asked} trials{': ' + _listed(told) if told else ''}.",
        *_recipe(facts),
        *_took(rows),
    )


_STATE_WORDS = (
    ("complete", "trained to the end"),
    ("pruned", "stopped early"),
    ("failed", "failed"),
    ("training", "training"),
    ("paused", "paused"),
    ("lost", "waiting after a lost worker"),
    ("queued", "queued"),
)


def _classes(facts: StudyFacts) -> str:
    if not facts.class_names:
        return ""
    names = [plain(name, 30) for name in facts.class_names[:10]]
    more = ", …" if len(facts.class_names) > 10 else ""
    return f" ({count(len(facts.class_names), 'class', 'classes')}: {', '.join(names)}{more})"


def _recipe(facts: StudyFacts) -> tuple[str, ...]:
    parts = [f"recipe {plain(facts.recipe, 40)}"] if facts.recipe else []
    parts += [count(facts.epochs, "epoch")] if facts.epochs else []
    parts += [f"compared at epochs {_listed([str(rung) for rung in facts.rungs])}"] if facts.rungs else []
    parts += [f"sampler {plain(facts.sampler, 40)}"] if facts.sampler else []
    parts += [f"seed {facts.seed}"] if facts.seed is not None else []
    parts += [count(facts.workers, "worker")] if facts.workers else []
    text = ", ".join(parts)
    return (f"{text[0].upper()}{text[1:]}.",) if text else ()


def _took(rows: Sequence[TrialRow]) -> tuple[str, ...]:
    starts = [row.started_at for row in rows if row.started_at is not None]
    ends = [row.ended_at for row in rows if row.ended_at is not None]
    if not starts or not ends:
        return ()
    trained = sum(row.seconds or 0.0 for row in rows)
    return (
        f"From the first start to the last end {duration(max(ends) - min(starts))}; {duration(trained)} of training.",
    )


def _found(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[str, ...]:
    members = front_rows(rows, facts.objectives)
    if not members:
        return ("No network is trained to the end yet.",)
    cost = cost_objective(facts)
    first, last = members[0], max(members, key=_accuracy)
    sentences = [f"{count(len(members), 'network')} on the front of {_objectives(facts)}."]
    if first is last:
        sentences.append(f"It is {_with_costs(first, cost)}.")
    else:
        sentences.append(f"The cheapest is {_with_costs(first, cost)}; the most accurate {_with_costs(last, cost)}.")
    if all(row.seeds is None for row in members):
        sentences.append("Each accuracy is one training's; differences within the spread of seeds mean nothing.")
    return tuple(sentences)


def _with_costs(row: TrialRow, cost: str) -> str:
    return f"#{row.number} {plain(shown_name(row), 60)} ({percent(row.accuracy)}, {amount(cost, getattr(row, cost))})"


def _compared(rows: Sequence[TrialRow], facts: StudyFacts) -> tuple[str, ...]:
    cost = cost_objective(facts)
    told = tuple(_comparison(comparison, cost) for comparison in comparisons(rows, facts))
    return told or ("No reference network was trained to the end under this recipe.",)


def _comparison(comparison: Comparison, cost: str) -> str:
    reference = comparison.reference
    name = plain(shown_name(reference), 60)
    text = f"{name} reaches {percent(reference.accuracy)} with {amount(cost, getattr(reference, cost))}"
    if reference.published_accuracy is not None:
        text += f" (published, under its own recipe: {percent(reference.published_accuracy)})"
    text += ". "
    if comparison.cheapest is None:
        text += "Nothing found is as accurate"
    else:
        row = comparison.cheapest
        title = OBJECTIVES[cost].title
        ratio = getattr(row, cost) / max(getattr(reference, cost), 1e-12)
        text += (
            f"As accurate at the least cost: #{row.number}, {percent(row.accuracy)} with {ratio:.2g} times the {title}"
        )
    if comparison.best is None:
        return f"{text}; nothing found costs as little."
    gain = 100 * (_accuracy(comparison.best) - _accuracy(reference))
    return f"{text}; the best at no more cost: #{comparison.best.number}, {gain:+.2f} points."


def _failed(rows: Sequence[TrialRow]) -> tuple[str, ...]:
    failed = [row for row in rows if row.state == "failed"]
    losses = sum(row.losses for row in rows)
    kinds = Counter(plain(row.failure_kind or "unknown", 40).replace("_", " ") for row in failed)
    sentences = [
        f"{count(len(failed), 'trial')} failed: {_listed([f'{n} {kind}' for kind, n in kinds.most_common(6)])}."
    ]
    if not failed:
        sentences = ["Nothing failed."]
    if losses:
        sentences.append(f"{count(losses, 'worker')} lost while training; their trials went on from a checkpoint.")
    return tuple(sentences)


def _objectives(facts: StudyFacts) -> str:
    return _listed([OBJECTIVES[name].title for name in facts.objectives])


def _listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""
