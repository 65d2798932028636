"""The command line: ``proofs-check list | explain | run | report | plan | selftest | schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from lsq_sketch import __version__
from lsq_sketch.console import run_app
from lsq_sketch.variadic import VariadicCommand

from . import claims, report, run, selftest
from .plan import plan_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        print(f"proofs-check {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold each theorem on clustered embedding tables beside measured error.

    [dim]Exit status of run: 0 all confirmed; 1 something refuted; 2 bad input or usage;
    3 nothing refuted but something undecided; 4 the run could not finish.[/dim]
    """


app.command("list")(claims.list_claims)
app.command("explain")(claims.explain)
app.command("run")(run.run_claims)
app.command("report")(report.render)
app.command("plan", cls=VariadicCommand)(plan_command)
app.command("selftest")(selftest.run_selftest)
app.command("schema")(report.print_schema)


def main() -> None:
    """Entry point."""
    run_app(app, "proofs-check")
