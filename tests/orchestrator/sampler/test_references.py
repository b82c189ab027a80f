"""Reference networks as points of a space, and what a search learns of them."""

from __future__ import annotations

import pytest

from orchestrator.sampler.history import History
from orchestrator.sampler.ledger import Ledger
from orchestrator.sampler.references import reference_points
from orchestrator.sampler.source import FeasibleSource
from orchestrator.trials import Trial
from search_spaces.feasible import Budget, FeasibleSet
from search_spaces.networks import Task
from search_spaces.references import reference
from search_spaces.space import Space, make_space
from tests.orchestrator.making import candidate, metrics

NAME = "igcv1-l24m2-d8"


def space_around(name: str, **other: list[object]) -> Space:
    """The family of a reference with every field fixed at the reference's, but for `other`."""
    network = reference(name).network
    shared = {field: getattr(network.shared, field) for field in network.shared.__dataclass_fields__}
    fields = network.stages[0].__dataclass_fields__
    stages = {field: [[getattr(stage, field)] for stage in network.stages] for field in fields}
    known = {key: value for key, value in {**shared, **stages}.items() if value is not None}
    return make_space(Task(), {network.family: {**known, **other}})


def test_a_reference_is_the_point_that_lowers_to_its_plan() -> None:
    blocks = sorted({stage.blocks for stage in reference(NAME).network.stages} | {3, 4})
    space = space_around(NAME, blocks=list(blocks))
    found = reference_points(space, [NAME])
    assert space.family(found[NAME].family).network(*space.family(found[NAME].family).split(found[NAME])) == (
        reference(NAME).network
    )


def test_a_reference_out_of_range_or_of_another_family_is_left_out() -> None:
    space = space_around(NAME, blocks=[91, 92])
    assert reference_points(space, [NAME, "igcv2-c64-d8"]) == {}
    with pytest.raises(ValueError, match="no-such"):
        reference_points(space, ["no-such"])


def test_a_trained_reference_teaches_and_is_not_on_the_front_of_what_was_found() -> None:
    space = space_around(NAME, blocks=[1, reference(NAME).network.stages[0].blocks])
    ledger = Ledger(references=reference_points(space, [NAME]))
    trained = Trial(number=0, candidate=candidate(NAME, source="reference"))
    ledger.changed(trained)
    assert ledger.take()[1] == (reference_points(space, [NAME])[NAME],)
    trained.phase, trained.metrics = "complete", metrics(3, 0.8)
    ledger.changed(trained)
    observed, pending = ledger.take()
    assert pending == ()
    source = FeasibleSource(FeasibleSet(space, Budget()))
    history = History(source, [source.cost_names.index("macs")])
    history.take(observed)
    (row,) = history.rows.values()
    assert row.error == pytest.approx(0.2)
    assert not row.is_final
    assert history.is_seen(source.encode([one.architecture for one in observed])) == [True]
