"""The command line: ``python -m figures [NAME ...]``."""

from __future__ import annotations

import difflib
import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from proofs_check.console import console, fail, progress_bar, run_app

from .columns import Columns
from .output import provenance, save
from .registry import PROFILES, Recipe, registry

PROGRAM = "figures"

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.command()
def make(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Figures; all if none is given.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the figures and stop.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("output/figures"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of problems and trials.")] = 0,
    profile: Annotated[
        str, typer.Option(help="Sizes: full (as in the paper) or quick (a few seconds).")
    ] = "full",
) -> None:
    """Make the figures: PDF, PNG, and the plotted numbers as CSV.

    Examples
    --------
      python -m figures

      python -m figures dense-convergence --seed 7 --out paper/figures

      python -m figures --list
    """
    if show:
        list_figures()
        return
    recipes = [_find(name) for name in dict.fromkeys(names or registry())]
    if profile not in PROFILES:
        fail(f"--profile must be one of {', '.join(PROFILES)}; got {profile!r}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"--out: could not make the folder {out}: {error.strerror}.")
    if not os.access(out, os.W_OK):
        fail(f"--out: no permission to write into {out}.")
    for recipe in recipes:
        start = time.perf_counter()
        columns = _compute_with_progress(recipe, seed, profile)
        origin = provenance(recipe.id, seed, profile)
        try:
            paths = save(recipe, columns, recipe.draw(columns), origin, out)
        except OSError as error:
            fail(f"--out: could not write {error.filename}: {error.strerror}.")
        seconds = f"[dim]({time.perf_counter() - start:.1f} s)[/dim]"
        written = escape(", ".join(str(path) for path in paths.values()))
        console().print(f"[bold]{recipe.id}[/bold]  {written}  {seconds}", soft_wrap=True)


def list_figures() -> None:
    """Print the id and the title of every figure."""
    width = max(map(len, registry()))
    for recipe in registry().values():
        console().print(f"{recipe.id:{width}}  {escape(recipe.title)}", soft_wrap=True)


def _find(name: str) -> Recipe:
    found = registry().get(name)
    if found is None:
        close = difflib.get_close_matches(name, registry(), n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(registry())}."
        fail(f"there is no figure {name!r}. {hint}")
    return found


def _compute_with_progress(recipe: Recipe, seed: int, profile: str) -> Columns:
    with progress_bar(recipe.id) as bar:
        task = bar.add_task(recipe.id, total=None)
        return recipe.compute(
            seed, profile, lambda done, total: bar.update(task, completed=done, total=total)
        )


def main() -> None:
    """Entry point."""
    run_app(app, PROGRAM)
