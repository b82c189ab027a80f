"""The experiment file: what is searched, on which images, under which budget, with which machines. Data, never code.

Every key is checked before anything starts; the message of an error names the key, the file and what may stand there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from search_spaces.networks import Task
from search_spaces.space import Space, make_space
from workers.measured import LATENCY, LEAST_REPEATS, MEASURED, MeasuredName, MeasureSpec
from workers.places import absolute, checked_address, is_bucket
from workers.records import DataSpec, Recipe

Objective = Literal["accuracy", "macs", "params", MeasuredName]
MOST_OBJECTIVES = 3
IN_BUCKETS = ("parquet", "npz")  # data sets that are read from one
SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _count(value: Any) -> Any:
    """2_000_000, "2M" or "1.5G" as an integer."""
    if isinstance(value, str) and (match := re.fullmatch(r"([\d_.]+)\s*([kKmMgGbBtT]?)", value.strip())):
        return round(float(match[1].replace("_", "")) * SUFFIXES[match[2].lower()])
    return value


def _duration(value: Any) -> Any:
    """90, "90s", "10m" or "8h" as seconds."""
    if isinstance(value, str) and (match := re.fullmatch(r"([\d.]+)\s*([a-z]*)", value.strip())):
        return float(match[1]) * SECONDS[match[2]] if match[2] in SECONDS else value
    return value


def _off(value: Any) -> Any:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def _address(value: Any) -> Any:
    """file:///PATH as the path, the address of a bucket as it is. ValueError for any other."""
    return checked_address(value) if isinstance(value, str) else value


def _folder(value: Any) -> Any:
    """An address that is a folder's. ValueError for that of a bucket."""
    found = _address(value)
    if isinstance(found, str) and is_bucket(found):
        raise ValueError(
            f"{found} is a bucket; output is a folder of the driver's machine. Checkpoints and images may lie in buckets "
            "(checkpoints, data.path), and studies in a database (storage)"
        )
    return found


Address = Annotated[str | None, BeforeValidator(_address)]  # of a folder or a bucket (workers.places)
Count = Annotated[int, BeforeValidator(_count), Field(gt=0)]
Duration = Annotated[float, BeforeValidator(_duration), Field(gt=0)]


class Section(BaseModel):
    """A part of the file: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """`data`: which images, and how the training split is divided. `path` is relative to the working directory."""

    name: Literal["digits", "parquet", "npz", "cifar10", "cifar100"] = "digits"
    path: Address = None
    image_column: str | None = None
    label_column: str | None = None
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int = 0
    max_train: Count | None = None
    max_validation: Count | None = None
    image_size: Count | None = None
    download: bool = False

    @model_validator(mode="after")
    def _path_where_needed(self) -> Data:
        if self.path is None and self.name in ("parquet", "npz", "cifar10", "cifar100"):
            raise ValueError(f"data.name {self.name} needs data.path, the folder or file that holds the images")
        if self.path is not None and is_bucket(self.path) and self.name not in IN_BUCKETS:
            raise ValueError(
                f"data.name {self.name} reads a folder, data.path names a bucket; in buckets lie {' and '.join(IN_BUCKETS)}"
            )
        return self

    def spec(self) -> DataSpec:
        """What a worker is told, wherever it is: the path does not depend on a working directory."""
        return DataSpec(**{**self.model_dump(), "path": absolute(self.path) if self.path else None})


class Limits(Section):
    """`budget`: exact limits on cost; a network outside is never trained. FLOPs = 2 * MACs."""

    max_macs: Count | None = None
    max_flops: Count | None = None
    max_params: Count | None = None
    max_activation_bytes: Count | None = None
    max_depth: Count | None = None
    min_macs: Count | None = None
    min_params: Count | None = None

    @property
    def macs(self) -> int | None:
        """The tighter of max_macs and max_flops / 2."""
        limits = [limit for limit in (self.max_macs, self.max_flops and self.max_flops // 2) if limit is not None]
        return min(limits, default=None)


class EarlyStopping(Section):
    """`early_stopping`: asynchronous successive halving that pauses at rungs; who goes on is told by promise or rank."""

    rungs: tuple[int, ...] | None = None  # epochs; None: first, first * eta, … up to half of the recipe's
    first: int = Field(1, ge=1)
    eta: float = Field(2.0, gt=1)
    by: Literal["promise", "rank"] = "promise"


class Training(Section):
    """`training`: a named recipe, and what differs from it."""

    recipe: str = "search"
    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    momentum: float | None = Field(None, ge=0, lt=1)
    weight_decay: float | None = Field(None, ge=0)
    schedule: Literal["cosine", "step"] | None = None
    milestones: tuple[float, ...] | None = None
    decay: float | None = Field(None, gt=0, le=1)
    warmup_epochs: float | None = Field(None, ge=0)
    label_smoothing: float | None = Field(None, ge=0, lt=1)
    crop_padding: int | None = Field(None, ge=0)
    flip: bool | None = None
    precision: Literal["auto", "fp32", "bf16"] | None = None
    time_limit: Duration | None = None  # for one training


class Resources(Section):
    """`resources`: how many workers, and what each of them holds."""

    pool: Literal["ray", "inline"] = "ray"
    address: str | None = None  # of a running Ray cluster; None: a local one; "auto": the one this machine belongs to
    workers: int | None = Field(None, ge=1)  # None: as many as the cluster holds
    cpus_per_worker: float = Field(1, gt=0)
    gpus_per_worker: float = Field(0, ge=0)
    memory_per_worker: float | None = Field(None, gt=0)  # GiB for its trainings; None: its share of a GPU, or no limit
    labels: dict[str, str] = {}  # Ray's label selector, e.g. {"ray.io/accelerator-type": "H200"}
    max_losses: int = Field(3, ge=1)  # a trial that lost its worker this often is given up


class Measure(Section):
    """`measure`: how a network is measured in use, where latency or memory is an objective."""

    batch_size: int = Field(32, ge=1)
    repeats: int = Field(30, ge=LEAST_REPEATS)
    warm_up: int = Field(5, ge=1)

    def spec(self) -> MeasureSpec:
        return MeasureSpec(**self.model_dump())


class Experiment(Section):
    """The whole file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    data: Data = Data()
    families: dict[str, dict[str, Any]]
    budget: Limits = Limits()
    objectives: tuple[Objective, ...] = ("accuracy", "macs")
    reference_error: float = Field(0.5, gt=0, le=1)
    reference_latency_ms: float | None = Field(None, gt=0)  # None: the dearest observed
    measure: Measure = Measure()
    references: tuple[str, ...] = ()
    sampler: str = "igcv"
    warm_start: tuple[str, ...] = ()
    trials: int | None = Field(None, ge=1)
    wall_clock: Duration | None = None
    training: Training = Training()
    early_stopping: EarlyStopping | None = None
    resources: Resources = Resources()
    seed: int = 0
    storage: str = "journal"
    tracking: Annotated[str, BeforeValidator(_off)] = "local"  # local, off, or the URI of an MLflow store
    checkpoints: Address = None  # shared by all workers, each study below it; None: beside the study
    output: Annotated[str, BeforeValidator(_folder)] = "runs"  # of this machine: journal, table, report and weights

    @field_validator("families", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        """`families: [igcv2, igcv3]` and `igcv2: null` mean the family's default ranges."""
        if isinstance(value, list):
            return {name: {} for name in value}
        return {name: ranges or {} for name, ranges in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _agrees(self) -> Experiment:
        if self.trials is None and self.wall_clock is None:
            raise ValueError("a search ends by `trials` or by `wall_clock`; give one of them or both")
        if (
            self.objectives[0] != "accuracy"
            or len(self.objectives) < 2
            or len(set(self.objectives)) < len(self.objectives)
        ):
            raise ValueError(
                f"objectives start with accuracy and go on with macs, params, {', '.join(MEASURED)}, each once; "
                f"given {list(self.objectives)}"
            )
        if len(self.objectives) > MOST_OBJECTIVES:
            raise ValueError(f"objectives: at most {MOST_OBJECTIVES}, given {list(self.objectives)}")
        if self.reference_latency_ms is not None and LATENCY not in self.objectives:
            raise ValueError(
                f"reference_latency_ms needs {LATENCY} among the objectives, given {list(self.objectives)}"
            )
        return self

    @property
    def measured(self) -> tuple[str, ...]:
        """The objectives that are known only once a worker has measured them."""
        return tuple(name for name in self.objectives if name in MEASURED)

    @property
    def folder(self) -> Path:
        """Where the study lives: `<output>/<name>`."""
        return Path(self.output) / self.name

    def recipe(self) -> Recipe:
        """The named recipe with this file's changes."""
        from workers.recipes import named_recipe

        changes = self.training.model_dump(exclude={"recipe", "time_limit"}, exclude_none=True)
        recipe = named_recipe(self.training.recipe)
        return Recipe(**{**{name: getattr(recipe, name) for name in recipe.__dataclass_fields__}, **changes})

    def space(self, task: Task) -> Space:
        return make_space(task, self.families)

    def fixed(self) -> dict[str, Any]:
        """What a study may never change: each key with its value, kept in the study and compared at every start."""
        data = self.data.model_dump(exclude={"path", "download"})
        measuring = {"measure": self.measure.model_dump(), "reference_latency_ms": self.reference_latency_ms}
        return {
            "data": data,
            "families": self.families,
            "budget": self.budget.model_dump(exclude_none=True),
            "objectives": list(self.objectives),
            "reference_error": self.reference_error,
            "references": list(self.references),
            "training": self.training.model_dump(mode="json", exclude={"time_limit"}, exclude_none=True),
            "early_stopping": self.early_stopping.model_dump(mode="json") if self.early_stopping else None,
            "seed": self.seed,
            **(measuring if self.measured else {}),
        }

    def digest(self) -> str:
        """Twelve hexadecimal digits of what is fixed."""
        return hashlib.sha256(json.dumps(self.fixed(), sort_keys=True).encode()).hexdigest()[:12]


def load_experiment(path: str | Path, overrides: tuple[str, ...] = ()) -> Experiment:
    """Reads and checks an experiment file; `overrides` are `key.inner=value`. ValueError names the fault."""
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{file}: no such experiment file")
    try:
        content = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: an experiment is a mapping of keys to values, found {type(content).__name__}")
    for override in overrides:
        _override(content, override)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{file}: " + "; ".join(_explain(item, content) for item in error.errors())) from None


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ValueError(f"{override!r}: an override is key=value, for example trials=50 or data.path=FOLDER")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise ValueError(f"{override!r}: {parent} is no mapping, so nothing in it can be set")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{override!r}: {text!r} is not a YAML value") from error


def _explain(error: Any, content: dict[str, Any]) -> str:
    """One line for one fault: the key, what was given, what was expected."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return _unknown_key(error["loc"])
    if error["type"] == "missing":
        return f"{key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    given = f", given {error['input']!r}" if error["type"] != "value_error" else ""
    return f"{key}: {message}{given}" if key else f"{message}"


def _unknown_key(location: tuple[str | int, ...]) -> str:
    known = _known_keys(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {'.'.join(map(str, location))!r}{meant} Known here: {', '.join(known)}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Experiment
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        options = [option for option in (annotation, *get_args(annotation)) if isinstance(option, type)]
        model = next(option for option in options if issubclass(option, BaseModel))
    return list(model.model_fields)
