"""The measurement of a resume goes on with a real study, in a new process."""

from __future__ import annotations

from orchestrator.benchmarks.resume import measure


def test_a_study_is_made_and_gone_on_with_by_one_trial_each_time() -> None:
    said: list[str] = []
    result = measure(5, 2, said.append)
    assert result["trials"] == 5
    assert len(result["runs"]) == len(said) == 2
    for each in result["runs"]:
        assert 0 < each["seconds"] < each["in_all"]
