"""`igcv evaluate`: the front and the reference networks trained again with several seeds, and scored.

The trainings run through the loop, the decisions and the workers of a search; only what is trained differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dashboards.evaluation import EvaluationRow
from orchestrator.checkpoints import Checkpoints
from orchestrator.decisions import Decisions, Limits
from orchestrator.evaluation.choice import chosen
from orchestrator.evaluation.repeats import (
    KIND,
    RepeatMaker,
    RepeatTraining,
    Split,
    evaluation_name,
    open_evaluation,
    recorded_repeats,
    repeats,
)
from orchestrator.evaluation.rows import EvaluationRows, EvaluationTable, Lines
from orchestrator.experiment import Experiment, Resources
from orchestrator.experiment import Training as TrainingSection
from orchestrator.lease import Lease
from orchestrator.locate import Found, locate
from orchestrator.opening import Say, cost_names
from orchestrator.pools.runner import ATTEMPT
from orchestrator.projection import known_data
from orchestrator.promotion import Promotion
from orchestrator.reopening import folder_of, reopen
from orchestrator.running import interruptible, make_packing, make_pool, one_recipe
from orchestrator.sampler.space import distributions
from orchestrator.search import Search
from orchestrator.study import claim, open_storage
from orchestrator.tracking.environment import environment
from orchestrator.trials import ENDED, Trial
from workers.recipes import named_recipe
from workers.records import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for. None: as the search did it."""

    study: str
    split: Split = "test"
    seeds: int = 3
    recipe: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)  # of the recipe
    within: float | None = None
    references: bool = True
    path: str | None = None
    workers: int | None = None
    pool: str | None = None
    retry: bool = False  # what failed is trained once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What came of it. `rows` are those that were asked for now, `all_rows` whatever was ever evaluated."""

    reason: str  # done | interrupted
    study: str
    experiment: Experiment
    split: Split
    recipe: Recipe
    seeds: tuple[int, ...]
    rows: list[EvaluationRow]
    all_rows: list[EvaluationRow]
    environment: Mapping[str, str]
    folder: Path
    table: Path
    tracking: str | None  # of the search's last run


def run_evaluation(wish: Wish, say: Say, runner: str = ATTEMPT) -> Evaluated:
    """Trains what was not yet trained, and scores it. ValueError, before anything is recorded, where it cannot be."""
    found = locate(wish.study)
    lease = claim(found.storage, evaluation_name(found.name))
    try:
        return _Round(found, wish, say, lease).run(runner)
    finally:
        lease.release()


class _Round:
    """One call: opened and checked when it is made."""

    def __init__(self, found: Found, wish: Wish, say: Say, lease: Lease) -> None:
        storage = open_storage(found.storage, say)
        kept = reopen(found, storage, wish.path)
        experiment = kept.experiment
        self.experiment = experiment
        self.asked = as_wished(experiment, wish)
        self.recipe = self.asked.recipe()
        self.seeds = tuple(range(experiment.seed + 1, experiment.seed + 1 + wish.seeds))
        self.wish, self.kept, self.say, self.folder = wish, kept, say, folder_of(found)
        networks = chosen(kept.trials, cost_names(experiment), wish.within, wish.references)
        self.wanted = repeats(networks, self.seeds, wish.split, self.recipe)
        if wish.split == "test" and not kept.data.has_test:
            raise ValueError(
                f"the images of study {found.name!r} have no test split; add one, or evaluate with --on validation"
            )
        self.study = open_evaluation(storage, kept.study)
        self.study.take_over(lease)
        self.known = recorded_repeats(self.study, {trial.number: trial for trial in kept.trials})
        self.environment = environment()

    def run(self, runner: str) -> Evaluated:
        wanted = {repeat.key for repeat in self.wanted}
        before = {
            trial.number: trial for trial in self.study.load(self.kept.catalogue, KIND) if trial.number in self.known
        }
        present = [trial for trial in before.values() if self.known[trial.number].key in wanted]
        again = {trial.number for trial in present if trial.phase == "failed"} if self.wish.retry else set()
        rows = EvaluationRows(
            known=self.known,
            searched_with=self.experiment.recipe(),
            known_data=known_data(self.kept.data),
            environment=self.environment,
            marks=self.study.marks(),
        )
        table = EvaluationTable(self.folder, [rows.row(trial) for trial in before.values()])
        ended = sum(trial.phase in ENDED and trial.number not in again for trial in present)
        self.say(f"{len(self.wanted)} trainings of {len(self.wanted) // len(self.seeds)} networks, {ended} done before")
        reason = "done"
        if ended < len(self.wanted):
            reason = self._train(present, again, rows, table, runner)
        return Evaluated(
            reason=reason,
            study=self.experiment.name,
            experiment=self.experiment,
            split=self.wish.split,
            recipe=self.recipe,
            seeds=self.seeds,
            rows=[row for row in table.rows.values() if self.known[row.number].key in wanted],
            all_rows=list(table.rows.values()),
            environment=self.environment,
            folder=self.folder,
            table=table.close(),
            tracking=self.kept.tracking,
        )

    def _train(
        self, present: list[Trial], again: set[int], rows: EvaluationRows, table: EvaluationTable, runner: str
    ) -> str:
        maker = RepeatMaker(
            study=self.study,
            distributions=distributions(self.kept.catalogue.space),
            wanted=self.wanted,
            known=self.known,
            again=again,
            environment=self.environment,
        )
        data = self.kept.data
        images = data.train + 2 * data.validation  # to train on and, beside it, to score
        decisions = Decisions(
            Limits(trials=0, max_losses=self.asked.resources.max_losses),
            Promotion((), 3.0, self.recipe.epochs),
            cost_names(self.asked),
            make_packing(self.asked, self.kept.catalogue, images),
        )
        with ExitStack() as stack:
            pool = make_pool(self.asked.resources, runner)
            stack.callback(pool.close)
            training = self._training()
            checkpoints = Checkpoints(training.place, training.checkpoint, self.say)
            search = Search(
                self.study,
                present,
                self.kept.catalogue,
                decisions,
                pool,
                maker,
                rows,
                training,
                (table, Lines(len(self.wanted), self.say)),
                checkpoints,
            )
            stack.enter_context(interruptible(search, self.say))
            return search.run()

    def _training(self) -> RepeatTraining:
        asked = one_recipe(self.asked)
        place = asked.place.within("evaluation")
        place.prepare()
        return RepeatTraining(template=asked.template, place=place, known=self.known)


def as_wished(experiment: Experiment, wish: Wish) -> Experiment:
    """The experiment with the recipe and the workers that are asked for. ValueError: no such recipe."""
    given = experiment.training.model_dump(exclude_none=True) if wish.recipe is None else {"recipe": wish.recipe}
    named_recipe(str(given["recipe"]))
    workers = {"workers": wish.workers, "pool": wish.pool}
    changes = {name: value for name, value in workers.items() if value is not None}
    return experiment.model_copy(
        update={
            "training": TrainingSection.model_validate({**given, **wish.changes}),
            "resources": Resources.model_validate({**experiment.resources.model_dump(), **changes}),
        }
    )
