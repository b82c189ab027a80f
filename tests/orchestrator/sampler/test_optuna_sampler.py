"""Our sampler in plain Optuna scripts: whole architectures, within the budget, never twice, and from several threads."""

from __future__ import annotations

import pickle
import warnings

import optuna
import pytest
from optuna.trial import Trial, TrialState

from orchestrator.opening import Prepared
from orchestrator.sampler.optuna_sampler import IgcvSampler, earlier_observations, suggest_architecture
from search_spaces.space import Architecture
from tests.orchestrator.sampler.test_every_sampler import made_up_accuracy

Pairs = list[tuple[Architecture, bool]]


def make_sampler(prepared: Prepared, **changes: object) -> IgcvSampler:
    return IgcvSampler(prepared.feasible.space, prepared.feasible.budget, seed=0, **changes)  # type: ignore[arg-type]


def run(prepared: Prepared, study: optuna.Study, trials: int, sign: int = 1, threads: int = 1) -> list[Architecture]:
    asked: list[Architecture] = []

    def objective(trial: Trial) -> tuple[float, float]:
        architecture = suggest_architecture(trial, prepared.feasible.space)
        asked.append(architecture)
        accuracy = made_up_accuracy(prepared, architecture)
        return accuracy if sign > 0 else 1 - accuracy, float(prepared.feasible.costs([architecture])[0][1])

    study.optimize(objective, n_trials=trials, n_jobs=threads)
    return asked


@pytest.mark.parametrize(("direction", "threads"), [("maximize", 1), ("minimize", 1), ("maximize", 3)])
def test_a_plain_study_trains_distinct_networks_within_the_budget(
    prepared: Prepared, direction: str, threads: int
) -> None:
    study = optuna.create_study(directions=[direction, "minimize"], sampler=make_sampler(prepared))
    asked = run(prepared, study, 18, 1 if direction == "maximize" else -1, threads)
    assert len(set(asked)) == 18
    assert all(prepared.feasible.contains(architecture) for architecture in asked)
    assert {trial.params["family"] for trial in study.trials} == {"igcv2"}


def test_another_study_teaches_and_its_networks_may_be_trained_again(prepared: Prepared) -> None:
    before = optuna.create_study(directions=["minimize", "minimize"], sampler=make_sampler(prepared))
    run(prepared, before, 12, sign=-1)
    earlier = earlier_observations(before, prepared.feasible.space)
    assert {one.earlier for one in earlier} == {True}
    assert [one.accuracy for one in earlier] == pytest.approx(
        [made_up_accuracy(prepared, one.architecture) for one in earlier]
    )
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=make_sampler(prepared, earlier=earlier, costs=("macs",))
    )
    assert len(set(run(prepared, study, 10))) == 10


def test_known_networks_come_first(prepared: Prepared) -> None:
    first = (prepared.feasible.dearest("macs"), prepared.feasible.cheapest("macs"))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(prepared, first=first))
    assert tuple(run(prepared, study, 3)[:2]) == first


def test_stopped_trials_with_curves_and_failed_ones_are_not_proposed_again(prepared: Prepared) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(prepared))
    seen = run(prepared, study, 6)
    for state in (TrialState.PRUNED, TrialState.FAIL):
        trial = study.ask()
        seen.append(suggest_architecture(trial, prepared.feasible.space))
        study._storage.set_trial_intermediate_value(trial._trial_id, 1, 0.4)
        study.tell(trial, state=state)
    seen += run(prepared, study, 6)
    assert len(set(seen)) == len(seen) == 14


def test_it_goes_to_other_processes_and_learns_the_study_anew(prepared: Prepared) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(prepared))
    seen = run(prepared, study, 9)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))  # noqa: S301
    assert set(seen).isdisjoint(run(prepared, study, 6))


def test_an_exhausted_space_is_said_and_does_not_stall(prepared: Prepared) -> None:
    size = prepared.feasible.size
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(prepared))
    assert len(set(run(prepared, study, size))) == size
    with pytest.warns(UserWarning, match="every network within the budget"):
        run(prepared, study, 1)


def test_parameters_of_the_script_itself_are_drawn_beside(prepared: Prepared) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(prepared))
    trial = study.ask()
    suggest_architecture(trial, prepared.feasible.space)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert 0.01 <= trial.suggest_float("learning_rate", 0.01, 0.1) <= 0.1
