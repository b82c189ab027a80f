"""Samplers by name, or by import path: ours, Optuna's, and anyone's."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.sampler.hypervolume import HypervolumeProposer
from orchestrator.sampler.proposer import Proposer
from orchestrator.sampler.source import CandidateSource, FeasibleSource
from orchestrator.sampler.uniform import UniformProposer
from search_spaces.feasible import FeasibleSet

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

OURS = "igcv"
UNIFORM = "uniform"  # over the feasible set, unseen; Optuna's "random" draws each parameter by itself
OPTUNA = ("tpe", "tpe-multivariate", "nsga2", "gp", "random")
NAMES = (OURS, UNIFORM, *OPTUNA)


def check_sampler(name: str) -> None:
    """ValueError where `name` is no sampler: neither one of NAMES nor an importable `module:object`."""
    if name not in NAMES:
        _imported(name)


def make_proposer(
    name: str, feasible: FeasibleSet, costs: Sequence[str], reference: Sequence[float], seed: int
) -> Proposer:
    """The proposer of a name. costs: the objectives beside accuracy; reference: the worst (error, *costs) that counts."""
    return proposer_over(FeasibleSource(feasible), name, costs, reference, seed)


def proposer_over(
    source: CandidateSource,
    name: str,
    costs: Sequence[str],
    reference: Sequence[float],
    seed: int,
    guarded: bool = True,
) -> Proposer:
    """The same over any source. What it does not know exactly (a latency) is learnt from what workers measure.

    guarded: False lets a sampler of Optuna propose duplicates and networks over the budget.
    """
    known = [cost for cost in costs if cost in source.cost_names]
    measured = [cost for cost in costs if cost not in source.cost_names]
    bounds = dict(zip(costs, reference[1:], strict=True))
    if name == OURS:
        ordered = [reference[0], *(bounds[cost] for cost in (*known, *measured))]
        return HypervolumeProposer(source, known, ordered, seed, measured=measured)
    if name == UNIFORM:
        return UniformProposer(source, seed)
    from orchestrator.sampler.shadow import OPTUNA_SAMPLERS, ShadowProposer

    sampler = OPTUNA_SAMPLERS[name](seed) if name in OPTUNA_SAMPLERS else _imported(name)
    return ShadowProposer(sampler, source, known, seed, guarded, len(measured))


def _imported(name: str) -> BaseSampler:
    from optuna.samplers import BaseSampler

    module, separator, attribute = name.partition(":")
    if not separator:
        raise ValueError(f"sampler: {name!r} is none of {', '.join(NAMES)}, nor an import path module:object")
    try:
        found = getattr(import_module(module), attribute)
        sampler = found() if isinstance(found, type) else found
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"sampler: {name!r} cannot be imported ({error})") from error
    if not isinstance(sampler, BaseSampler):
        raise ValueError(f"sampler: {name!r} is a {type(sampler).__name__}, expected an optuna.samplers.BaseSampler")
    return sampler
