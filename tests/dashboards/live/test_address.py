"""The page's address: it reads back, and nothing in it can ask for what is not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.front import OBJECTIVES
from dashboards.live.address import COLOURS, SCALES, VIEWS, Shown, from_query, to_query, trial_of

STUDIES = ("digits", "a b&c=d", "ü#?", "digits (2)")


@given(
    st.builds(
        Shown,
        study=st.sampled_from(STUDIES),
        beside=st.lists(st.sampled_from(STUDIES), unique=True).map(tuple),
        view=st.sampled_from([*VIEWS]),
        choice=st.text(alphabet="abc &=#", max_size=8).map(str.strip),
        x=st.sampled_from([*OBJECTIVES]),
        y=st.sampled_from([*OBJECTIVES]),
        z=st.sampled_from(COLOURS),
        scale=st.sampled_from(SCALES),
        trial=st.sampled_from(["", "12@digits", "0@a b&c=d"]),
    )
)
def test_an_address_reads_back(shown: Shown) -> None:
    back = from_query(to_query(shown), STUDIES)
    assert back.studies == shown.studies
    assert [getattr(back, name) for name in ("view", "choice", "x", "y", "z", "scale", "trial")] == [
        getattr(shown, name) for name in ("view", "choice", "x", "y", "z", "scale", "trial")
    ]


@given(st.text(max_size=80))
def test_any_address_is_a_page(query: str) -> None:
    shown = from_query(query, STUDIES)
    assert shown.study in STUDIES
    assert shown.view in VIEWS
    assert {shown.x, shown.y} <= set(OBJECTIVES)


def test_what_is_unknown_is_as_on_a_fresh_page() -> None:
    assert from_query("?study=x&view=x&x=x&z=x&scale=x&beside=x&trial=5@x", STUDIES) == Shown(study="digits")
    assert from_query(None, STUDIES) == Shown(study="digits")


@pytest.mark.parametrize("text", ["", "5", "@digits", "x@digits", "5@other", "-5@digits", "1" * 20 + "@digits"])
def test_what_names_no_trial(text: str) -> None:
    assert trial_of(text, STUDIES) is None


def test_a_trial_is_named_by_number_and_study() -> None:
    assert trial_of("5@ü#?", STUDIES) == ("ü#?", 5)
