"""From proposals to candidates: exact costs, the budget, a readable name, and the memory of what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.experiment import Limits
from orchestrator.trials import Candidate
from search_spaces.cost import Cost, cost
from search_spaces.feasible import Budget
from search_spaces.networks import Value
from search_spaces.plan import Plan
from search_spaces.references import reference, reference_plan
from search_spaces.space import Architecture, Space

PLANS_KEPT = 256


@dataclass(slots=True)
class Catalogue:
    """The networks of one study: makes candidates of architectures and reference names, and their plans again."""

    space: Space
    budget: Budget
    seen: set[str] = field(default_factory=set)  # plan keys of every trial of the study
    _plans: dict[Architecture, Plan] = field(default_factory=dict)

    def admit(self, architecture: Architecture) -> Candidate | None:
        """The candidate, or None where it makes no network, breaks the budget, or was seen before."""
        try:
            plan = self._plan(architecture)
        except ValueError:
            return None
        exact = cost(plan)
        if plan.key in self.seen or not self.budget.allows(exact):
            return None
        self.seen.add(plan.key)
        return _candidate(architecture, plan, exact)

    def reference(self, name: str) -> Candidate:
        """A reference network, put to this study's images. It need not keep the budget: it is there to be compared."""
        plan = reference_plan(name, self.space.task)
        self.seen.add(plan.key)
        family = reference(name).network.family
        return Candidate(
            name=name, source="reference", family=family, architecture=None, plan_key=plan.key, cost=cost(plan)
        )

    def plan(self, candidate: Candidate) -> Plan:
        if candidate.architecture is None:
            return reference_plan(candidate.name, self.space.task)
        return self._plan(candidate.architecture)

    def _plan(self, architecture: Architecture) -> Plan:
        """Lowered once for its admission, its launch and its row; the oldest are forgotten."""
        plan = self._plans.get(architecture)
        if plan is None:
            plan = self._plans[architecture] = self.space.plan(architecture)
            if len(self._plans) > PLANS_KEPT:
                self._plans.pop(next(iter(self._plans)))
        return plan


def _candidate(architecture: Architecture, plan: Plan, exact: Cost) -> Candidate:
    return Candidate(
        name=architecture_name(architecture),
        source="search",
        family=architecture.family,
        architecture=architecture,
        plan_key=plan.key,
        cost=exact,
    )


def architecture_name(architecture: Architecture) -> str:
    """A short name such as `igcv2 width=16-32-64 blocks=1-1-2 k=4 skip`: stages joined by dashes, flags bare."""
    grouped: dict[str, list[Value]] = {}
    for name, value in architecture.values:
        stem, _, stage = name.rpartition("_")
        grouped.setdefault(stem if stage.isdigit() else name, []).append(value)
    return " ".join([architecture.family, *(_part(name, values) for name, values in grouped.items())])


def _part(name: str, values: list[Value]) -> str:
    if len(values) == 1 and isinstance(values[0], bool):
        return name if values[0] else f"no-{name}"
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return f"{name}={texts[0] if len(set(texts)) == 1 else '-'.join(texts)}"


def budget_of(limits: Limits) -> Budget:
    """The experiment's limits as the feasible set's budget; FLOPs become MACs."""
    return Budget(
        max_macs=limits.macs,
        min_macs=limits.min_macs,
        max_params=limits.max_params,
        min_params=limits.min_params,
        max_activation_bytes=limits.max_activation_bytes,
        max_depth=limits.max_depth,
    )
