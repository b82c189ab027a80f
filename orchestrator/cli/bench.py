"""`igcv bench`: measurements beside what people use instead. Quote the ratios, not the seconds."""

from __future__ import annotations

import json

import click


@click.group()
def bench() -> None:
    """Measure this program beside what people use instead, on this machine."""


@bench.command()
@click.option("--trials", default=1000, show_default=True, help="No-op trials of ours in each run.")
@click.option("--peer-trials", default=30, show_default=True, help="Of Ray Tune (five times as many where it is fast).")
@click.option("--pairs", default=3, show_default=True, help="Runs of each, in turn.")
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON on stdout.")
def overhead(trials: int, peer_trials: int, pairs: int, as_json: bool) -> None:
    """Time a no-op trial costs here and under Ray Tune with OptunaSearch."""
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


def _say(message: str) -> None:
    click.echo(message, err=True)
