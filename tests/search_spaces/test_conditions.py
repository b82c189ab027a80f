"""The conditions against their definitions, by brute force on products of masks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from search_spaces.conditions import balance_ratio, is_loose, is_strict, path_counts, stage_conditions
from search_spaces.families import igcv2, igcv3
from search_spaces.families.table import FAMILIES
from search_spaces.networks import Network, Task, lower
from search_spaces.plan import Add, Conv, PlanBuilder, Product, Shuffle
from search_spaces.references import reference_plan

Mask = NDArray[np.int64]


def divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


@st.composite
def products(draw: st.DrawFn, largest: int = 12, most_factors: int = 3) -> tuple[Product, int]:
    """A random product and the width that it is given; widths may change from factor to factor."""
    first = draw(st.integers(1, largest))
    channels = first
    factors, shuffles = [], []
    for _ in range(draw(st.integers(1, most_factors))):
        out = draw(st.integers(1, largest)) if draw(st.booleans()) else channels
        groups = draw(st.sampled_from(divisors(math.gcd(channels, out))))
        factors.append(Conv(out_channels=out, groups=groups))
        shuffles.append(draw(st.sampled_from([groups, out // groups, *divisors(out)])))
        channels = out
    return Product(factors=tuple(factors), shuffles=tuple(shuffles)), first


def masks(product: Product, channels: int) -> list[Mask]:
    """Each factor with its shuffle as a 0/1 matrix, entry by entry from the definitions."""
    found = []
    for factor, groups in zip(product.factors, product.shuffles, strict=True):
        out = factor.out_channels
        mask = np.zeros((out, channels), dtype=np.int64)
        for row, column in itertools.product(range(out), range(channels)):
            if row // (out // factor.groups) == column // (channels // factor.groups):
                position = row % (out // groups) * groups + row // (out // groups)
                mask[position, column] = 1
        found.append(mask)
        channels = out
    return found


def multiplied(matrices: list[Mask]) -> Mask:
    total = matrices[0]
    for matrix in matrices[1:]:
        total = matrix @ total
    return total


@given(products())
def test_paths_are_the_product_of_the_masks(case: tuple[Product, int]) -> None:
    product, channels = case
    counts = path_counts(product, channels)
    assert np.array_equal(counts, multiplied(masks(product, channels)))
    assert is_strict(counts) == all(count == 1 for count in multiplied(masks(product, channels)).flat)


def partitions(members: list[int], size: int) -> list[list[list[int]]]:
    """Every partition into parts of one size."""
    if not members:
        return [[]]
    first, rest = members[0], members[1:]
    found = []
    for others in itertools.combinations(rest, size - 1):
        left = [member for member in rest if member not in others]
        found += [[[first, *others], *more] for more in partitions(left, size)]
    return found


def strict_between_super_channels(before: Mask, after: Mask) -> bool:
    """The definition: equal super-channels in the middle, each joined wholly or not at all, one for every pair."""
    middle = before.shape[0]
    for size in divisors(middle):
        for parts in partitions(list(range(middle)), size):
            whole = all(
                (before[part] == before[part[0]]).all() and (after.T[part] == after.T[part[0]]).all() for part in parts
            )
            representatives = [part[0] for part in parts]
            if whole and (after[:, representatives] @ before[representatives] == 1).all():
                return True
    return False


@settings(max_examples=60, deadline=None)
@given(products(largest=6))
def test_loose_is_strict_between_super_channels_at_every_split(case: tuple[Product, int]) -> None:
    product, channels = case
    matrices = masks(product, channels)
    middles = [
        strict_between_super_channels(
            (multiplied(matrices[:split]) > 0).astype(np.int64), (multiplied(matrices[split:]) > 0).astype(np.int64)
        )
        for split in range(1, len(matrices))
    ]
    expected = all(middles) and bool((multiplied(matrices) > 0).all())
    assert is_loose(product, channels) == expected


@given(products(largest=24, most_factors=2))
def test_two_factors_are_loose_where_every_pair_has_as_many_paths(case: tuple[Product, int]) -> None:
    product, channels = case
    if len(product.factors) == 2:
        counts = multiplied(masks(product, channels))
        assert is_loose(product, channels) == (counts.min() == counts.max() >= 1)


@given(products(largest=24))
def test_strict_is_loose(case: tuple[Product, int]) -> None:
    product, channels = case
    if is_strict(path_counts(product, channels)):
        assert is_loose(product, channels)


@given(st.data())
def test_shuffled_layers_join_pairs_floor_or_ceil_of_the_product_over_the_width(data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 48))
    sizes = data.draw(st.lists(st.sampled_from(divisors(channels)), min_size=1, max_size=4))
    groups = tuple(channels // size for size in sizes)
    product = Product(factors=tuple(Conv(out_channels=channels, groups=g) for g in groups), shuffles=groups)
    counts, paths = path_counts(product, channels), math.prod(sizes)
    assert {counts.min(), counts.max()} <= {paths // channels, -(-paths // channels)}


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.sampled_from([1, 9, 25]))
def test_strict_products_weigh_no_less_than_the_balance_allows(sizes: list[int], area: int) -> None:
    channels = math.prod(sizes)
    total = channels * (area * sizes[0] + sum(sizes[1:]))
    assert balance_ratio(total, channels, len(sizes), area) >= 1 - 1e-12


def test_the_balanced_product_is_the_least() -> None:
    assert balance_ratio(36 * (9 * 2 + 18), 36, 2, 9) == pytest.approx(1.0)


def test_a_block_counts_through_normalisation_and_past_its_shortcut() -> None:
    builder = PlanBuilder((4, 8, 8))
    builder.place = "stage1/block1"
    builder.add(Conv(out_channels=8, groups=2))
    builder.add(Shuffle(groups=2))
    last = builder.add(Conv(out_channels=6, groups=2))
    builder.place = "stage1/block1/shortcut"
    shortcut = builder.add(Conv(out_channels=6), 0)
    builder.place = "stage1/block1"
    builder.add(Add(), last, shortcut)
    (stage,) = stage_conditions(builder.build())
    assert (stage.least_paths, stage.most_paths) == (2, 2)
    assert stage.loose
    assert not stage.strict
    assert stage.blocks[0].branches == (2, 4)


def igcv2_conditions(width: int, k: int, **more: object) -> str:
    shared = igcv2.Shared(stem_width=width, condition="any", skip=False)
    stage = igcv2.Stage(width=width, blocks=1, k=k, **more)  # type: ignore[arg-type]
    network = Network(family="igcv2", shared=shared, stages=(stage,))
    return stage_conditions(lower(FAMILIES["igcv2"], network, Task()))[0].explanation


def test_explanations_say_what_fails_and_where() -> None:
    assert igcv2_conditions(432, 8) == "stage 1: 432 channels, K=8 with 3 factors: pairs joined 1-2 times"
    assert igcv2_conditions(128, 16) == ("stage 1: 128 channels, K=16 with 2 factors: every pair joined 2 times, loose")
    assert "75.0% of the pairs are not joined" in igcv2_conditions(64, 4, factors=2)
    assert igcv2_conditions(144, 12) == ""


def test_paths_of_the_published_igcv2_star_network() -> None:
    stages = stage_conditions(reference_plan("igcv2star-c416-d20"))
    assert [(stage.least_paths, stage.most_paths) for stage in stages] == [(1, 2), (4, 5), (2, 3)]
    assert [stage.blocks[-1].in_channels for stage in stages] == [416, 832, 1664]


@pytest.mark.parametrize(("width", "k", "paths"), [(64, 8, 1), (144, 12, 1), (216, 6, 1), (256, 32, 4), (128, 16, 2)])
def test_published_products_have_the_paths_that_were_checked(width: int, k: int, paths: int) -> None:
    count = igcv2.least_factors(width, k)
    groups = width // k
    product = Product(factors=(Conv(out_channels=width, groups=groups),) * count, shuffles=(groups,) * count)
    assert (path_counts(product, width) == paths).all()


def test_igcv1_is_strict_and_igcv3_loose_in_every_stage() -> None:
    assert all(stage.strict for stage in stage_conditions(reference_plan("igcv1-l24m2-d20")))
    stages = stage_conditions(reference_plan("igcv3-1.0-cifar"))
    assert all(stage.loose and not stage.strict for stage in stages)
    assert stages[1].most_paths == 6 * 24 // 4


def test_without_permutations_a_block_of_igcv3_leaves_half_of_its_pairs_unjoined() -> None:
    network = Network(family="igcv3", shared=igcv3.Shared(permutations="none"), stages=(igcv3.Stage(width=16),))
    (stage,) = stage_conditions(lower(FAMILIES["igcv3"], network, Task()))
    assert stage.density == 0.5
    assert not stage.loose
