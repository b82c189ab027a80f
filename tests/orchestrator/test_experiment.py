"""The experiment file: what it accepts, and that every fault is one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.experiment import load_experiment

GOOD = """
name: test
families: [igcv2, igcv3]
budget: {max_macs: 2M}
trials: 10
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(text)
    return path


def test_counts_and_durations_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "wall_clock: 1.5h\n")
    experiment = load_experiment(path, ("budget.max_params=300k", "training.time_limit=90"))
    assert experiment.budget.macs == 2_000_000
    assert experiment.budget.max_params == 300_000
    assert experiment.wall_clock == 5400
    assert experiment.training.time_limit == 90


def test_flops_are_twice_the_macs_and_the_tighter_limit_counts(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, GOOD), ("budget.max_flops=3M",))
    assert experiment.budget.macs == 1_500_000


def test_a_folder_may_be_a_file_address_or_a_bucket_and_nothing_else_is_taken_for_one(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert load_experiment(path, ("checkpoints=file:///shared/c",)).checkpoints == "/shared/c"
    assert load_experiment(path, ("data={name: npz, path: file:///d.npz}",)).data.path == "/d.npz"
    assert load_experiment(path, ("checkpoints=s3://bucket/c?region=eu-west-1",)).checkpoints == (
        "s3://bucket/c?region=eu-west-1"
    )
    assert load_experiment(path, ("data={name: parquet, path: gs://bucket/set}",)).data.path == "gs://bucket/set"
    for key in ("checkpoints", "data.path"):
        with pytest.raises(ValueError, match=f"{key}: hdfs:// is neither a folder nor a bucket"):
            load_experiment(path, (f"{key}=hdfs://host/x",))
        with pytest.raises(ValueError, match=f"{key}: s3://…@bucket/x: credentials stand in this address") as told:
            load_experiment(path, (f"{key}=s3://key:hunter2@bucket/x",))
        assert "hunter2" not in str(told.value)
    with pytest.raises(ValueError, match="output: s3://bucket/x is a bucket; output is a folder"):
        load_experiment(path, ("output=s3://bucket/x",))
    with pytest.raises(ValueError, match=r"data\.name cifar10 reads a folder.*parquet and npz"):
        load_experiment(path, ("data={name: cifar10, path: s3://bucket/x}",))


def test_families_may_be_names_alone(tmp_path: Path) -> None:
    assert load_experiment(write(tmp_path, GOOD)).families == {"igcv2": {}, "igcv3": {}}


def test_what_decides_results_is_fixed_and_the_rest_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    digest = load_experiment(path).digest()
    for free in ("trials=99", "resources.workers=7", "tracking=off", "data.path=/elsewhere", "wall_clock=3h"):
        assert load_experiment(path, (free,)).digest() == digest, free
    for fixed in (
        "seed=1",
        "budget.max_macs=3M",
        "data.split_seed=1",
        "training.epochs=3",
        "objectives=[accuracy,params]",
    ):
        assert load_experiment(path, (fixed,)).digest() != digest, fixed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("familes=[igcv2]", "unknown key 'familes'; did you mean 'families'?"),
        ("budget.max_mac=3", "unknown key 'budget.max_mac'; did you mean 'max_macs'? Known here: max_macs"),
        ("budget.max_macs=-5", "budget.max_macs: Input should be greater than 0, given -5"),
        ("budget.max_macs=lots", "budget.max_macs: Input should be a valid integer"),
        ("trials=null", "a search ends by `trials` or by `wall_clock`"),
        ("objectives=[macs, params]", "objectives start with accuracy"),
        ("objectives=[accuracy, beauty]", "objectives.1: Input should be 'accuracy', 'macs'"),
        ("name=a/b", "name: String should match pattern"),
        ("data.name=imagenet", "data.name: Input should be 'digits'"),
        ("data.name=parquet", "data.name parquet needs data.path"),
        ("data.validation_fraction=1.5", "data.validation_fraction: Input should be less than 1"),
        ("training.schedule=exponential", "training.schedule: Input should be 'cosine' or 'step'"),
        ("resources.pool=slurm", "resources.pool: Input should be 'ray' or 'inline'"),
        ("trials", "an override is key=value"),
        ("trials.inner=3", "trials is no mapping"),
        ("name=[", "is not a YAML value"),
    ],
)
def test_a_fault_is_one_message_that_names_the_key(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        load_experiment(write(tmp_path, GOOD), (change,))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_that_is_no_mapping_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.yaml: no such experiment file"):
        load_experiment(tmp_path / "nothing.yaml")
    with pytest.raises(ValueError, match="a mapping of keys to values, found list"):
        load_experiment(write(tmp_path, "- a\n- b\n"))
    with pytest.raises(ValueError, match="not YAML"):
        load_experiment(write(tmp_path, "a: [\n"))
