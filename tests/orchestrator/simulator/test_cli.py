"""`igcv simulate` and `igcv table` as commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dashboards.table import EpochPoint, StudyFacts, TrialRow, write_table
from orchestrator.cli.main import igcv
from orchestrator.simulator.tables import read_table
from tests.orchestrator.simulator.making import write

FILE = """
name: small
families: {igcv2: {stem_width: 8, width: [[8, 16], [16, 32]], blocks: [1, 2], k: [4, 8]}}
training: {epochs: 2}
trials: 1
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(igcv, [str(argument) for argument in arguments])


def test_simulate_compares_samplers_and_draws_them(tmp_path: Path) -> None:
    path, page = write(tmp_path / "t.parquet"), tmp_path / "page.html"
    common = ("--max-macs", "12k", "--reference-error", 0.7, "--trials", 12, "--seeds", "3:5", "--workers", 2)
    result = call("simulate", path, *common, "--sampler", "igcv", "--sampler", "nsga2", "--raw", "-o", page, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert [(row["sampler"], row["guarded"]) for row in facts["samplers"]] == [
        ("igcv", True),
        ("nsga2", False),
        ("nsga2", True),
    ]
    assert facts["settings"]["seeds"] == [3, 4]
    assert facts["reference"] == [0.7, 12_000]
    ours = facts["samplers"][0]
    assert ours["distinct"] == [12, 12]
    assert len(ours["by_trainings"]["mean"]) == 12
    assert ours["by_seconds"]["mean"][-1] == pytest.approx(ours["by_trainings"]["mean"][-1])
    drawn = page.read_text()
    assert "nsga2 (raw)" in drawn
    assert "12 trials; 2 workers; 2 searches of each sampler; at most 12,000 MACs; bands are" in drawn


def test_epochs_may_count_instead_of_seconds(tmp_path: Path) -> None:
    path, page = write(tmp_path / "t.parquet"), tmp_path / "page.html"
    common = ("--reference-error", 0.7, "--trials", 6, "--seeds", 1, "--sampler", "uniform", "--even-seconds", "--json")
    result = call("simulate", path, *common, "-o", page)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["samplers"]
    epochs = read_table(path).epochs
    assert row["by_seconds"]["at"][-1] == pytest.approx(6 * epochs)
    assert "each epoch counted as one second" in page.read_text()
    (tmp_path / "e.yaml").write_text(FILE)
    result = call("simulate", "--synthetic", 1, tmp_path / "e.yaml", "--even-seconds")
    assert result.exit_code == 2
    assert "--even-seconds is for recorded trainings" in result.output


def test_simulate_tells_a_table(tmp_path: Path) -> None:
    result = call("simulate", write(tmp_path / "t.parquet"), "--trials", 6, "--seeds", 2, "--reference-error", 0.7)
    assert result.exit_code == 0, result.output
    assert "±" in result.stdout
    assert "true hypervolume" in " ".join(result.stdout.split())


def test_simulate_makes_trainings_up_over_an_experiment_file(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(FILE)
    result = call(
        "simulate", "--synthetic", 1, tmp_path / "e.yaml", "budget.max_params=20k", "--trials", 9, "--seeds", 1,
        "--rungs", "1", "--reference-error", 0.9, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert not facts["is_true"]
    assert facts["samplers"][0]["launched"][0] >= 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sampler", "best"), "'best' is none of igcv"),
        (("--max-macs", "many"), "is not a count above 0"),
        (("--max-macs", "10"), "none of 84 networks keeps the budget"),
        (("--seeds", "5:5"), "give a number of seeds"),
        (("--rungs", "one"), "epochs separated by commas"),
        (("--rungs", "9"), "rungs are ascending epochs between 0 and 4"),
        (("trials=3",), "belongs to an experiment file"),
    ],
)
def test_simulate_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = call("simulate", write(tmp_path / "t.parquet"), *arguments)
    assert result.exit_code != 0
    assert message in f"{result.output} {result.exception}"


def test_a_study_becomes_a_table_that_can_be_searched(tmp_path: Path) -> None:
    def row(number: int, state: str = "complete", source: str = "search") -> TrialRow:
        return TrialRow(
            number=number,
            key=f"s/{number}",
            plan_key=str(number),
            name="",
            family="igcv2",
            state=state,  # type: ignore[arg-type]
            source=source,  # type: ignore[arg-type]
            parameters={"igcv2.k": 4 + number, "igcv2.inner": "none"} | ({"igcv2.skip": True} if number else {}),
            accuracy=0.5 + number / 10 if state == "complete" else None,
            macs=100 * (number + 1),
            params=10,
            epochs=(EpochPoint(epoch=1, accuracy=0.4, seconds=2.0), EpochPoint(epoch=2, accuracy=0.5, seconds=3.0)),
        )

    rows = [row(0), row(1), row(2, "pruned"), row(3, source="reference")]
    write_table(tmp_path / "trials.parquet", rows, StudyFacts(study="s"))
    result = call("table", tmp_path / "trials.parquet", "-o", tmp_path / "x.parquet")
    assert result.exit_code == 0, result.output
    table = read_table(tmp_path / "x.parquet")
    assert [one.parameters for one in table.architectures] == [
        {"igcv2.k": 4, "igcv2.inner": "none"},
        {"igcv2.k": 5, "igcv2.inner": "none", "igcv2.skip": True},
    ]
    assert table.costs[:, 0].tolist() == [100, 200]
    assert table.recorded[1].curve == (0.4, 0.5)
    assert table.recorded[1].epoch_seconds == (2.0, 3.0)
    assert call("simulate", tmp_path / "x.parquet", "--seeds", 1, "--reference-error", 0.9).exit_code == 0


def test_a_study_without_trainings_makes_no_table(tmp_path: Path) -> None:
    write_table(tmp_path / "trials.parquet", [], StudyFacts(study="s"))
    result = call("table", tmp_path / "trials.parquet", "-o", tmp_path / "x.parquet")
    assert result.exit_code != 0
    assert "nothing to record" in str(result.exception)
