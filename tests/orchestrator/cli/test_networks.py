"""`igcv cost`, `catalog`, `space` and `draw` as a person calls them: what is printed, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import igcv, main
from tests.search_spaces.test_references import EXACT

DIGITS = str(Path(__file__).parents[3] / "examples" / "digits.yaml")
LARGE = """
name: large
data: {name: digits}
families:
  igcv3:
    g1: 2
    g2: [2, 4]
    permutations: both
    activations: middle
    skip: true
    width: [[16, 24, 32, 40], [16, 24, 32, 40], [16, 24, 32, 40], [16, 24, 32, 40],
            [48, 64, 80, 96], [48, 64, 80, 96], [48, 64, 80, 96], [48, 64, 80, 96]]
    stride: [[1], [1], [2], [1], [2], [1], [1], [1]]
objectives: [accuracy, macs]
budget: {max_macs: 2M}
trials: 1
"""


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(igcv, arguments)
    assert result.exit_code == 0, result.output
    return result


def refusal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What the whole command says on stderr, of an end with exit code 2."""
    monkeypatch.setattr("sys.argv", ["igcv", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def network_file(folder: Path, text: str) -> str:
    path = folder / "network.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("experiment") / "large.yaml"
    path.write_text(LARGE)
    return str(path)


def test_the_catalogue_as_json_has_every_known_figure_to_the_unit() -> None:
    rows = {row["name"]: row for row in json.loads(run("catalog", "--json").stdout)}
    assert {name: (rows[name]["ours"], rows[name]["published"]) for name in EXACT} == {
        name: (figure, figure) for name, (_, figure) in EXACT.items()
    }
    words = {"conv": "convolutions", "conv+fc": "convolutions and FC", "all": "everything"}
    assert all(words[what] in rows[name]["convention"] for name, (what, _) in EXACT.items())
    compared = [figure for row in rows.values() for figure in row["comparisons"]]
    assert all(figure["within"] or (figure["difference"] and figure["why"]) for figure in compared)


def test_the_catalogue_says_in_words_how_a_figure_compares() -> None:
    text = run("catalog").stdout
    assert "exact" in text
    assert "off: the published layer table is unknown" in text


def test_cost_lists_the_layers_and_they_add_up() -> None:
    facts = json.loads(run("cost", "igcv2-c64-d8", "--json", "--layers").stdout)
    assert facts["params_conv"] == 46_720
    assert facts["flops"] == 2 * facts["macs"]
    for key in ("params", "macs"):
        assert sum(layer[key] for layer in facts["layers"]) == facts[key]
        assert sum(stage[key] for stage in facts["stages"].values()) == facts[key]
    assert [condition["strict"] for condition in facts["conditions"]] == [True, False, False]


def test_cost_prints_parts_paths_and_layers() -> None:
    text = run("cost", "igcv2star-c416-d20", "--layers").stdout
    assert "650,112" in text
    assert "832 channels, K=8 with 4 factors: pairs joined 4-5 times" in " ".join(text.split())
    assert "times the balanced weights" in " ".join(text.split())
    assert "1×1 416 → 416, 52 groups" in text


def test_cost_tells_the_memory_of_a_training() -> None:
    small, large = (
        json.loads(run("cost", "igcv2-c64-d8", "--json", "--image-size", size).stdout)["training_memory"]
        for size in ("32", "64")
    )
    assert small["batch_size"] == 128
    grown = [found["cpu"]["total"] - found["cpu"]["context"] - found["cpu"]["parameters"] for found in (small, large)]
    assert 3.9 < grown[1] / grown[0] < 4.1  # four times the pixels
    assert f"{small['cpu']['total'] / 2**30:.2f} GiB on a CPU" in run("cost", "igcv2-c64-d8").stdout


def test_cost_takes_other_images() -> None:
    facts = json.loads(run("cost", "igcv3-1.0-cifar", "--image-size", "64", "--classes", "100", "--json").stdout)
    assert (facts["image_size"], facts["classes"], facts["params"]) == (64, 100, 2_338_788)


def test_a_network_file_costs_what_the_reference_costs(tmp_path: Path) -> None:
    stages = "".join(
        f"  - {{width: {width}, blocks: 2, k: 8, stride: {stride}}}\n" for width, stride in ((64, 1), (128, 2))
    )
    path = network_file(tmp_path, f"family: igcv2\nstem_width: 64\nstages:\n{stages}")
    facts = json.loads(run("cost", path, "--classes", "7", "--json").stdout)
    assert facts["params_linear"] == 7 * 128 + 7
    assert list(facts["stages"]) == ["stem", "stage1", "stage2", "head"]


@pytest.mark.parametrize(
    ("text", "arithmetic"),
    [
        ("family: igcv2\nstem_width: 64\nstages: [{width: 64, k: 6}]", "6 does not divide 64 channels (remainder 4)"),
        ("family: igcv2\nstem_width: 32\nstages: [{width: 32, k: 64}]", "K=64 is larger than the width 32"),
        (
            "family: igcv2\ncondition: strict\nstem_width: 74\nstages: [{width: 74, k: 8}]",
            "the product 74 = 2 * 37",
        ),
        ("family: igcv1\nstem_width: 48\nstages: [{width: 50}]", "24 does not divide 50 channels (remainder 2)"),
        ("family: igcv3\nstages: [{widht: 16}]", "stage 1: unknown ['widht']; known: "),
        ("family: igcv9\nstages: [{}]", "unknown family 'igcv9'; known: igcv1, igcv2, igcv3"),
    ],
)
def test_what_makes_no_network_is_refused_with_the_arithmetic(
    text: str, arithmetic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arithmetic in refusal(capsys, monkeypatch, "cost", network_file(tmp_path, text))


def test_unknown_names_and_impossible_images_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "did you mean igcv2-c64-d8" in refusal(capsys, monkeypatch, "cost", "igcv2-c65-d8")
    assert "0 is not in the range x>=1" in refusal(capsys, monkeypatch, "cost", "igcv2-c64-d8", "--image-size", "0")


def test_a_space_beyond_ten_to_the_twelve_is_counted_exactly_under_one_limit(large: str) -> None:
    facts = json.loads(run("space", large, "--samples", "3", "--json").stdout)
    assert facts["space_size"] > 10**12
    assert facts["is_exact"]
    assert 10**12 < facts["feasible_size"] < facts["space_size"]
    assert facts["macs"][1] <= 2_000_000
    assert len(facts["samples"]) == 3


def test_an_estimated_size_says_how_sure_it_is(large: str) -> None:
    text = run("space", large, "budget.max_params=150000", "--samples", "0").stdout
    assert "(within 1%, 95% sure; " in text
    assert "of the draws are kept)" in text


def test_a_small_space_is_printed_with_ranges_and_samples() -> None:
    lines = run("space", DIGITS, "--samples", "2").stdout.splitlines()
    told = {line[:18].strip(): line[18:] for line in lines}
    assert told["feasible size"].endswith(" (exact)")
    assert " to " in told["macs"]
    assert told["cheapest"].startswith("igcv")
    assert sum(line.startswith("sample") for line in lines) == 2


def test_an_impossible_budget_names_the_nearest_network(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal(capsys, monkeypatch, "space", DIGITS, "budget.max_macs=1000")
    assert "max_macs=1,000 is below the cheapest network igcv" in said


def test_a_drawing_is_svg_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "drawings" / "network.svg"
    assert run("draw", "igcv2-c64-d8", "-o", str(path)).stdout == f"{path}\n"
    texts = ["".join(element.itertext()) for element in ElementTree.parse(path).iter() if element.tag.endswith("text")]
    assert any(text.startswith("stage2, block1") for text in texts)
    assert texts.count("linear product") == 6
