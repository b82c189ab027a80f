"""A made-up study of real networks: accuracies follow costs, some trials stop early, fail, or lose their worker."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from dashboards.table import EpochPoint, Stint, StudyFacts, TrialRow
from search_spaces.cost import cost
from search_spaces.networks import Task
from search_spaces.plan import Plan, plan_to_json
from search_spaces.space import Architecture, FamilySpace, Space, make_space

START = 1_790_000_000.0
EPOCHS, RUNGS = 27, (3, 9)
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&lt;b&gt; %{x} \\bad_{"
FACTS = StudyFacts(
    study="cifar10-small",
    objectives=("accuracy", "macs"),
    experiment_hash="9f8e7d6c5b4a3210",
    limits={"macs": 6e7},
    families=("igcv2", "igcv3"),
    data="cifar10",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    recipe="search",
    epochs=EPOCHS,
    rungs=RUNGS,
    sampler="tpe",
    workers=4,
    seed=0,
    mlflow_url="http://127.0.0.1:5000/#/experiments/1",
    created_at=START,
)


def sample_study(
    trials: int = 120, seed: int = 0, hostile: bool = False, distinct: int = 400
) -> tuple[list[TrialRow], StudyFacts]:
    """Rows and facts. Beyond `distinct` trials, plans are used again under other keys, to make large studies fast."""
    draw = random.Random(seed)
    space = make_space(Task(), {"igcv2": {}, "igcv3": {}})
    pool = [_row(*_network(draw, space)) for _ in range(min(trials, distinct))]
    rows = [_reference(draw, index, _row(*_network(draw, space))) for index in range(2)]
    clock = [START] * 4
    for number in range(2, trials + 2):
        rows.append(_trial(draw, number, pool[number % len(pool)], clock))
    if hostile:
        rows = [_hostile(row) for row in rows]
    facts = replace(FACTS, trials_asked=trials, updated_at=max(clock))
    return rows, replace(facts, study=HOSTILE, class_names=(HOSTILE,), data=HOSTILE) if hostile else facts


def _network(draw: random.Random, space: Space) -> tuple[Architecture, Plan]:
    while True:
        part = draw.choice(space.families)
        try:
            architecture = _architecture(draw, part)
            return architecture, space.plan(architecture)
        except ValueError:
            continue


def _architecture(draw: random.Random, part: FamilySpace) -> Architecture:
    stages = tuple(draw.choice(list(part.stage_choices(index))) for index in range(len(part.stages)))
    return part.architecture(draw.choice(list(part.shared_choices())), stages)


def _row(architecture: Architecture, plan: Plan) -> TrialRow:
    price = cost(plan)
    widths = "-".join(str(value) for name, value in architecture.values if name.startswith("width"))
    return TrialRow(
        number=0,
        key="",
        plan_key=plan.key,
        name=f"{architecture.family} {widths}",
        family=architecture.family,
        state="queued",
        parameters=architecture.parameters,
        plan=plan_to_json(plan),
        params=price.params,
        params_conv=price.params_conv,
        params_norm=price.params_norm,
        params_linear=price.params_linear,
        macs=price.macs,
        flops=price.flops,
        activation_bytes=price.activation_bytes,
        depth=price.depth,
        seed=0,
        recipe="search",
    )


def _curve(draw: random.Random, final: float, epochs: int) -> tuple[EpochPoint, ...]:
    return tuple(
        EpochPoint(
            epoch=epoch,
            accuracy=min(1.0, max(0.0, final * (1 - 0.75 * math.exp(-epoch / 5)) + draw.gauss(0, 0.01))),
            train_loss=2.3 * math.exp(-epoch / 8) + 0.1,
            seconds=2.0,
        )
        for epoch in range(1, epochs + 1)
    )


def _final(draw: random.Random, row: TrialRow) -> float:
    """Saturates with the cost; a skip connection and the family help a little."""
    assert row.macs is not None
    gain = 0.55 + 0.11 * math.log10(row.macs / 1e5) + 0.04 * (row.parameters.get(f"{row.family}.skip") is True)
    return min(0.97, gain + 0.02 * (row.family == "igcv3") + draw.gauss(0, 0.02))


def _numbered(row: TrialRow, number: int) -> TrialRow:
    return replace(row, number=number, key=f"k{number}", plan_key=f"{row.plan_key}-{number}")


def _trial(draw: random.Random, number: int, base: TrialRow, clock: list[float]) -> TrialRow:
    row = _numbered(base, number)
    worker = min(range(len(clock)), key=clock.__getitem__)
    fate = draw.random()
    epochs = 3 if fate < 0.3 else 9 if fate < 0.45 else EPOCHS
    curve = _curve(draw, _final(draw, row), epochs)
    started = clock[worker]
    seconds = epochs * (0.5 + (row.macs or 0) / 2e7) * draw.uniform(0.8, 1.2)
    clock[worker] = started + seconds + 0.5
    stint = Stint(worker=f"worker-{worker}", started_at=started, ended_at=started + seconds, ended="complete")
    row = replace(
        row,
        epochs=curve,
        seconds=seconds,
        started_at=started,
        ended_at=started + seconds,
        worker=stint.worker,
        attempts=1,
    )
    if epochs < EPOCHS:
        return replace(row, state="pruned", stints=(replace(stint, ended="pruned"),))
    if fate > 0.95:
        return _failed(draw, row, stint)
    if fate > 0.92:
        half = started + seconds / 2
        lost = replace(stint, ended_at=half, ended="lost")
        row = replace(row, losses=1, attempts=2, stints=(lost, replace(stint, started_at=half + 0.3)))
    return replace(row, state="complete", accuracy=curve[-1].accuracy, stints=row.stints or (stint,))


def _failed(draw: random.Random, row: TrialRow, stint: Stint) -> TrialRow:
    kind, message = draw.choice(
        [
            ("nan", "loss is nan in epoch 4"),
            ("out_of_memory", "tried to allocate 2.1 GiB"),
            ("time_limit", "over 600 s"),
        ]
    )
    return replace(
        row,
        state="failed",
        epochs=row.epochs[:4],
        stints=(replace(stint, ended="failed"),),
        failure_kind=kind,
        failure_message=message,
        failure_traceback=f"Traceback (most recent call last):\n  in train\nRuntimeError: {message}",
    )


def _reference(draw: random.Random, index: int, base: TrialRow) -> TrialRow:
    row = _numbered(base, index)
    name = ("igcv2-c64-d8", "igcv3-1.0-cifar")[index]
    curve = _curve(draw, _final(draw, row) - 0.02, EPOCHS)
    return replace(
        row,
        name=name,
        reference=name,
        source="reference",
        state="complete",
        parameters={},
        accuracy=curve[-1].accuracy,
        accuracy_std=0.004,
        seeds=5,
        published_accuracy=0.93,
        epochs=curve,
        seconds=60.0,
        started_at=START,
        ended_at=START + 60,
        attempts=1,
    )


def _hostile(row: TrialRow) -> TrialRow:
    failed = row.state == "failed"
    return replace(
        row,
        name=f"{HOSTILE}{row.number}",
        family=f"{HOSTILE}{row.family}",
        reference=row.reference and HOSTILE,
        worker=HOSTILE,
        parameters={f"{HOSTILE}{name}": f"{HOSTILE}{value}" for name, value in row.parameters.items()},
        failure_kind=HOSTILE if failed else None,
        failure_message=HOSTILE if failed else None,
        failure_traceback=HOSTILE if failed else None,
    )
