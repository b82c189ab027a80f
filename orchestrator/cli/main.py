"""The command `igcv`. Commands are imported when they are called, so that help answers at once."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from orchestrator.faults import TRY_AGAIN, ClusterLostError
from orchestrator.tracking.address import redact

COMMANDS: dict[str, tuple[str, str]] = {  # name -> (module:function, one line of help)
    "search": ("orchestrator.cli.search:search", "Run or resume the search of an experiment file."),
    "doctor": ("orchestrator.cli.doctor:doctor", "Check what a search needs, before anything starts."),
    "submit": ("orchestrator.cli.jobs:submit", "Run or resume a search on a Ray cluster."),
    "jobs": ("orchestrator.cli.jobs:jobs", "List, follow and stop submitted searches."),
    "status": ("orchestrator.cli.show:status", "How far a study is."),
    "front": ("orchestrator.cli.show:front", "The Pareto front of a study."),
    "report": ("orchestrator.cli.show:report", "Write a study's report again."),
    "dashboard": ("orchestrator.cli.dashboard:dashboard", "Show studies in the browser, live."),
    "train": ("orchestrator.cli.train:train", "Train one network: a published one, a file's, or a trial's."),
    "evaluate": ("orchestrator.cli.evaluate:evaluate", "Train the front again with several seeds; score test images."),
    "track": ("orchestrator.cli.show:track", "Rebuild or bring up to date a study's runs in MLflow."),
    "simulate": ("orchestrator.cli.simulate:simulate", "Search recorded or made-up trainings; compare samplers."),
    "table": ("orchestrator.cli.simulate:table", "Record a study's trainings as a table for `igcv simulate`."),
    "cost": ("orchestrator.cli.networks:cost", "Exact cost and path counts of a network."),
    "measure": ("orchestrator.cli.measure:measure", "Latency, throughput and memory of networks in use."),
    "export": ("orchestrator.cli.export:export", "A trained network as ONNX, torch.export and safetensors files."),
    "catalog": ("orchestrator.cli.networks:catalog", "Every reference network, ours beside the published figures."),
    "space": ("orchestrator.cli.networks:space", "Size and costs of an experiment's search space."),
    "bench": ("orchestrator.cli.bench:bench", "Measure this program beside what people use instead."),
    "draw": ("orchestrator.cli.networks:draw", "Draw a network as a block diagram (SVG)."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists them from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}; there are: {', '.join(COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="igcv-search")
def igcv() -> None:
    """Search interleaved-group-convolution networks under exact FLOP budgets.

    STUDY is a study's name (its folder under runs/), its folder, or STORAGE_URL#name.
    """


def main() -> None:
    """Runs the command; what is the user's fault ends with one line on stderr and exit code 2."""
    try:
        igcv.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except ValueError as error:
        if _is_ours(error):
            click.echo(f"igcv: {redact(str(error))}", err=True)
            sys.exit(2)
        raise
    except ClusterLostError as error:
        click.echo(f"igcv: {error}", err=True)
        sys.exit(TRY_AGAIN)
    except BrokenPipeError:
        sys.exit(141)


def _is_ours(error: ValueError) -> bool:
    """Whether one of this program's own rooms raised it; a library's ValueError is a defect and keeps its traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    rooms = ("orchestrator", "workers", "search_spaces", "dashboards")
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").split(".")[0] in rooms
