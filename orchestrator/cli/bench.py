"""`igcv bench`: measurements beside what people use instead. Quote the ratios, not the seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import click


@click.group()
def bench() -> None:
    """Measure this program beside what people use instead, on this machine."""


@bench.command()
@click.option("--trials", default=5000, show_default=True, help="No-op trials of ours in each run.")
@click.option("--peer-trials", default=30, show_default=True, help="Of Ray Tune (as many as of ours where it is fast).")
@click.option("--pairs", default=3, show_default=True, help="Runs of each, in turn.")
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON on stdout.")
def overhead(trials: int, peer_trials: int, pairs: int, as_json: bool) -> None:
    """Time a no-op trial costs here and under Ray Tune with OptunaSearch.

    About eight minutes a pair on two cores: Tune with --reuse-actors makes as many trials as ours, and each costs it more
    than the one before. Our start of two to three seconds is counted.
    """
    from orchestrator.benchmarks.overhead import overhead as measure

    result = measure(trials, peer_trials, pairs, _say)
    if as_json:
        click.echo(json.dumps(result))
        return
    for name, value in result.items():
        if name.startswith("ratio"):
            click.echo(f"{name:<40} {value:>8.1f}")


@bench.command()
@click.option("--trials", default=200, show_default=True, help="Trials that sleep two seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON on stdout.")
def busy(trials: int, as_json: bool) -> None:
    """Share of the time that two workers are busy: our sampler, MLflow on, trials of two seconds."""
    from orchestrator.benchmarks.overhead import busy as measure

    result = measure(trials, _say)
    click.echo(json.dumps(result) if as_json else f"busy {result['busy']:.1%} of the time")


@bench.command()
@click.option("--trials", default=5000, show_default=True, help="No-op trials in the study that is gone on with.")
@click.option("--times", type=click.IntRange(1), default=3, show_default=True, help="It is gone on with so often.")
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON on stdout.")
def resume(trials: int, times: int, as_json: bool) -> None:
    """Seconds from opening a study, in a journal, to the first trial that a resumed search launches."""
    from orchestrator.benchmarks.resume import measure

    result = measure(trials, times, _say)
    click.echo(json.dumps(result) if as_json else f"{result['seconds_median']:.2f} s after {trials:,} trials")


@bench.command()
@click.option("--pairs", default=5, show_default=True, help="Runs of each, in turn.")
@click.option("--steps", default=20, show_default=True, help="Training steps of 128 images in each run.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of ours; default all cores.")
@click.option("--peer", type=click.Path(exists=True, dir_okay=False), help="Another script: FILE synthetic --steps N.")
@click.option("--compile", "compiled", is_flag=True, help="The plain loop under torch.compile too (a minute more).")
@click.option("--families", is_flag=True, help="Instead: two networks of each family, ours beside plain PyTorch.")
@click.option("--together", is_flag=True, help="Instead: two trials side by side on two cores.")
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON on stdout.")
def train(
    pairs: int,
    steps: int,
    threads: int | None,
    peer: str | None,
    compiled: bool,
    families: bool,
    together: bool,
    as_json: bool,
) -> None:
    """Images per second in training, ours beside a plain PyTorch loop on the same network and CPU, and where it is won."""
    if families and together:
        raise click.UsageError("--families and --together are two measurements; ask for one of them")
    if families:
        from workers.benchmarks.families import measure as measure_families

        result = measure_families(pairs, 16, _say)
    elif together:
        from workers.benchmarks.together import measure as measure_together

        result = measure_together(pairs, steps, _say)
    else:
        from workers.benchmarks.training import measure

        result = measure(pairs, steps, threads or os.cpu_count() or 1, peer, compiled, _say)
    if as_json:
        click.echo(json.dumps(result))
        return
    for line in _training_lines(result):
        click.echo(line)


def _training_lines(result: dict[str, Any]) -> Iterator[str]:
    """What a person reads of any of the three measurements."""
    for name in ("ratio_median", "ratio_median_same_allocator", "share_median", "least"):
        if name in result:
            yield f"{name:<40} {result[name]:>8.2f}"
    for row in result.get("parts", ()):
        yield f"{row['part']:<28} {row['images_per_second']:>8.1f} images/s {row['factor']:>6.2f}"
    for name, value in result.get("bounds", {}).items():
        yield f"{name:<28} {value}"
    for name, row in result.get("networks", {}).items():
        yield f"{name:<28} {row['ratio']:>8.2f}"
        yield from (f"    {layer}" for layer in row["layers"])


def _say(message: str) -> None:
    click.echo(message, err=True)
