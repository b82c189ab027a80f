"""A study's rows as a search would have left them, of any length, with times that lie in the past."""

from dataclasses import replace

from dashboards.table import EpochPoint, StudyFacts, TrialRow

BEGAN = 1_750_000_000.0
PLAN = '[{"op":{"kind":"input","shape":[3,8,8]},"inputs":[],"place":"input"}]'


def facts(study: str = "digits") -> StudyFacts:
    return StudyFacts(
        study=study,
        objectives=("accuracy", "macs"),
        experiment_hash="0123456789ab",
        limits={"macs": 2e6},
        reference_point=(0.5, 2e6),
        families=("igcv2", "igcv3"),
        data="digits",
        class_names=tuple("0123456789"),
        recipe="search",
        epochs=10,
        sampler="igcv",
        trials_asked=24,
        workers=2,
        seed=0,
        created_at=BEGAN,
    )


def row(number: int, epochs: int = 10, **changes: object) -> TrialRow:
    """A complete trial; the larger its number, the dearer its network, and some are better."""
    began = BEGAN + 10.0 * number
    family = ("igcv2", "igcv3")[number % 2]
    base = TrialRow(
        number=number,
        key=f"digits/{number}",
        plan_key=f"{number:016x}",
        name=f"{family}-w{16 + number}-0.5",
        family=family,
        state="complete",
        parameters={f"{family}.width": 16 + number, f"{family}.skip": True, f"{family}.multiplier": 0.5},
        plan=PLAN,
        accuracy=accuracy(number),
        params=1000 + number,
        params_conv=900 + number,
        params_norm=60,
        params_linear=40,
        macs=100_000 + 10 * number,
        flops=200_000 + 20 * number,
        activation_bytes=4096,
        depth=12,
        images_per_second=321.5,
        peak_memory_mib=100.25,
        seconds=0.5 * epochs,
        started_at=began,
        ended_at=began + 0.5 * epochs + 0.25,
        worker="worker-1",
        attempts=1,
        epochs=curve(number, epochs),
        seed=0,
        recipe="search",
        device="cpu",
        threads=1,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def accuracy(number: int) -> float:
    return 0.6 + 0.3 * (number * 7919 % 101) / 101


def curve(number: int, epochs: int) -> tuple[EpochPoint, ...]:
    return tuple(
        EpochPoint(epoch=epoch, accuracy=accuracy(number) * epoch / epochs, train_loss=2.0 / epoch, seconds=0.5)
        for epoch in range(1, epochs + 1)
    )


def training(number: int, epochs: int, of: int = 10) -> TrialRow:
    """The same trial while it trains."""
    whole = row(number, of)
    return replace(
        whole,
        state="training",
        epochs=whole.epochs[:epochs],
        accuracy=None,
        seconds=None,
        ended_at=None,
        images_per_second=None,
        peak_memory_mib=None,
        device=None,
    )


def pruned(number: int, epochs: int = 3) -> TrialRow:
    whole = row(number)
    return replace(whole, state="pruned", epochs=whole.epochs[:epochs], accuracy=None, ended_at=whole.started_at + 2.0)


def failed(number: int) -> TrialRow:
    return replace(
        row(number),
        state="failed",
        epochs=(),
        accuracy=None,
        seconds=None,
        failure_kind="exception",
        failure_message="<script>alert('x')</script> went wrong",
        failure_traceback="Traceback (most recent call last):\n  …\nRuntimeError: went wrong",
    )


def mixed(count: int) -> list[TrialRow]:
    """Complete, pruned and failed trials, and a reference network."""
    makers = (row, row, pruned, row, failed)
    rows = [makers[number % len(makers)](number) for number in range(count)]
    reference = row(count, source="reference", reference="igcv3-1.0", name="igcv3-1.0", parameters={}, accuracy=0.99)
    return [*rows, replace(reference, published_accuracy=0.95)]
