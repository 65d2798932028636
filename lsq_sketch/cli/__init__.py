"""The command line: ``lsq-sketch train | compare | predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from ..console import run_app
from .compare import compare_command
from .options import TrainingCommand
from .predict import predict_command
from .train import train_command

PROGRAM = "lsq-sketch"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train recommenders whose embedding tables are compressed.

    [dim]Exit status: 0 done; 1 training diverged, or cells of a comparison failed; 2 bad input or
    usage; 130 stopped by Ctrl-C, with what was done saved.[/dim]
    """


app.command("train", cls=TrainingCommand)(train_command)
app.command("compare", cls=TrainingCommand)(compare_command)
app.command("predict")(predict_command)


def main() -> None:
    """Entry point."""
    run_app(app, PROGRAM)
