"""Spaces: ranges are checked, conditional parameters stand only where they matter, points and parameters correspond."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.families.table import FAMILIES
from search_spaces.networks import Domain, Task
from search_spaces.space import Architecture, choices, make_space

TASK = Task(image_size=8, channels=1)


def igcv2(**ranges: Any) -> Any:
    return make_space(TASK, {"igcv2": ranges})


def test_a_conditional_parameter_stands_only_where_it_matters() -> None:
    spatial = Domain(name="spatial", values=("channelwise", "grouped"))
    size = Domain(name="spatial_k", values=(2, 4), when=("spatial", ("grouped",)))
    assert list(choices((spatial, size))) == [
        (("spatial", "channelwise"),),
        (("spatial", "grouped"), ("spatial_k", 2)),
        (("spatial", "grouped"), ("spatial_k", 4)),
    ]


@st.composite
def nested_domains(draw: st.DrawFn) -> tuple[Domain, ...]:
    domains: list[Domain] = []
    for number in range(draw(st.integers(1, 4))):
        values = tuple(range(draw(st.integers(1, 3))))
        when = None
        if domains and draw(st.booleans()):
            parent = draw(st.sampled_from(domains))
            when = (parent.name, tuple(draw(st.sets(st.sampled_from(parent.values), min_size=1))))
        domains.append(Domain(name=f"d{number}", values=values, when=when))
    return tuple(domains)


@given(nested_domains())
def test_choices_are_the_distinct_combinations_of_what_matters(domains: tuple[Domain, ...]) -> None:
    expected = set()
    for values in product(*(domain.values for domain in domains)):
        kept: dict[str, Any] = {}
        for domain, value in zip(domains, values, strict=True):
            if domain.when is None or kept.get(domain.when[0]) in domain.when[1]:
                kept[domain.name] = value
        expected.add(tuple(kept.items()))
    found = list(choices(domains))
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_points_and_their_choices_correspond(family: str) -> None:
    space = make_space(TASK, {family: {}})
    part = space.families[0]
    for shared in part.shared_choices():
        stages = tuple(list(part.stage_choices(stage))[-1] for stage in range(len(part.stages)))
        point = part.architecture(shared, stages)
        assert part.split(point) == (shared, stages)
        assert space.from_parameters(family, {"family": family, **point.parameters}) == point


def test_fixed_parameters_shape_the_plan_but_not_the_point() -> None:
    space = igcv2(stem_width=16, spatial="channelwise", inner="none", skip=True, width=[[16, 32], [64]], k=8, blocks=1)
    part = space.families[0]
    points = [
        part.architecture(shared, (first, second))
        for shared in part.shared_choices()
        for first in part.stage_choices(0)
        for second in part.stage_choices(1)
    ]
    assert points == [Architecture(family="igcv2", values=(("width_1", width),)) for width in (16, 32)]
    assert points[0].parameters == {"igcv2.width_1": 16}
    assert space.plan(points[1]).nodes[-3].shape[0] == 64


def test_parameters_in_any_order_make_the_same_point() -> None:
    space = igcv2()
    part = space.families[0]
    point = part.architecture(next(part.shared_choices()), tuple(next(part.stage_choices(stage)) for stage in range(3)))
    shuffled = dict(reversed(point.parameters.items()))
    assert space.from_parameters("igcv2", shuffled) == point


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"igcv9": {}}, "unknown family 'igcv9'; known: igcv1"),
        ({"igcv2": {"widht": 4}}, "unknown parameter 'widht'; known: .*width"),
        ({"igcv2": {"width": []}}, "wants a value or a list"),
        ({"igcv2": {"width": [16, 16]}}, "lists a value twice"),
        ({"igcv2": {"width": [[16], [32]], "k": [[4], [8], [16]]}}, "different numbers of stages"),
        ({}, "at least one family"),
    ],
)
def test_ranges_that_make_no_space_are_refused(ranges: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_space(TASK, ranges)


def test_points_that_are_not_of_the_space_are_refused() -> None:
    space = igcv2(spatial="channelwise", inner="none", skip=True, blocks=1, k=8, width=[[16, 32]], stem_width=16)
    with pytest.raises(ValueError, match="width_1 is missing"):
        space.plan(Architecture(family="igcv2", values=()))
    with pytest.raises(ValueError, match=r"48 is not in its range \[16, 32\]"):
        space.plan(Architecture(family="igcv2", values=(("width_1", 48),)))
    with pytest.raises(ValueError, match="depth is unknown or does not matter"):
        space.plan(Architecture(family="igcv2", values=(("width_1", 16), ("depth", 3))))
    with pytest.raises(ValueError, match="'igcv3' is not in this space; it has igcv2"):
        space.plan(Architecture(family="igcv3", values=()))


def test_more_stages_than_the_family_s_own_repeat_its_last() -> None:
    space = igcv2(width=[[16], [32], [64], [64]])
    assert len(space.families[0].stages) == 4
    assert space.families[0].stages[3][1:] == space.families[0].stages[2][1:]
