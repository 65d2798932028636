"""What every command line of this project does alike: streams, errors, exit status."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PIPE_WIDTH = 120
"""Columns of a table that goes to a pipe, where there is no terminal to fit."""

INTERRUPTED = 130

UsageError = typer.BadParameter.__mro__[1]
"""What Typer raises for a wrong option or argument, whichever Click it carries."""


def console(stderr: bool = False) -> Console:
    """A console on standard output or error: as wide as the terminal, or `PIPE_WIDTH`.

    Colours only on a terminal, and not with ``NO_COLOR``.
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def progress_bar(description: str, screen: Console | None = None) -> Progress:
    """A progress bar: on a terminal only, and gone when it is done.

    Parameters
    ----------
    description : str
    screen : rich.console.Console, optional
        The one that lines are printed on meanwhile; by default standard error.
    """
    shown_on = console(stderr=True) if screen is None else screen
    return Progress(
        TextColumn(description),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=shown_on,
        disable=not shown_on.is_terminal,
        transient=True,
    )


def live_screen(out: Console) -> Console:
    """Where a bar goes while lines are printed on ``out``: there too, if it is a terminal.

    Two consoles on one terminal would write over each other.
    """
    return out if out.is_terminal else console(stderr=True)


def fail(message: str) -> NoReturn:
    """End with exit status 2 and one clear line on standard error."""
    raise typer.BadParameter(message)


def run_app(app: typer.Typer, program: str) -> NoReturn:
    """Run a command line: usage errors in one line (status 2), Ctrl-C without a traceback (130).

    Parameters
    ----------
    app : typer.Typer
    program : str
        Its name, which starts the line of an error.
    """
    try:
        status = app(standalone_mode=False, prog_name=program)
    except UsageError as error:  # type: ignore[misc]
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.exit(0)  # the help was printed
        message = error.format_message().removeprefix("Invalid value: ")
        console(stderr=True).print(f"{program}: {escape(message)}", soft_wrap=True)
        sys.exit(2)
    if status == INTERRUPTED:
        console(stderr=True).print(f"{program}: interrupted")
    sys.exit(status if isinstance(status, int) else 0)
