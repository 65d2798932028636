"""``lsq-sketch compare``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ..console import INTERRUPTED, console, fail, live_screen, progress_bar
from ..files import write_whole
from ..recommend.comparison import (
    CELLS,
    Comparison,
    Progress,
    Results,
    compare,
    csv_text,
    reference_rows,
    summaries,
)
from ..recommend.experiment import Experiment
from ..recommend.training import TrainingOptions
from . import options
from .display import in_bytes, score
from .options import MODEL, OUTPUT, TRAINING

FOLDER = Path("output") / "comparison"
FILE = "comparison"
"""Stem of the CSV and of the figure."""


def compare_command(
    data: options.Data,
    methods: Annotated[
        list[str],
        typer.Option(
            metavar="METHOD...",
            help=f"Any of {options.METHOD_HELP}",
            rich_help_panel=MODEL,
        ),
    ],
    model: options.ModelName = "gmf",
    params_per_dim: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            metavar="N...",
            help="Trained parameters for each column of each table. \\[default: 16 64 256 1024]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    dim: options.Dim = 32,
    bias: options.Bias = "none",
    loss: options.Loss = None,
    hidden: options.Hidden = None,
    paper: options.Paper = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="How many, from --seed on.", rich_help_panel=TRAINING)
    ] = 3,
    seed: Annotated[
        int, typer.Option(min=0, help="The first of the seeds.", rich_help_panel=TRAINING)
    ] = 1,
    epochs: options.Epochs = 30,
    batch_size: options.BatchSize = 1024,
    optimizer: options.OptimizerName = "adam",
    learning_rate: options.LearningRate = None,
    weight_decay: options.WeightDecay = None,
    early_stopping: options.EarlyStopping = None,
    plateau: options.Plateau = None,
    schedule: options.Schedule = "auto",
    monitor: options.Monitor = "loss",
    data_seed: options.DataSeed = 0,
    task: options.Task = "binary",
    drop_ratings: options.DropRatings = None,
    skip_bad: options.SkipBad = False,
    tuning: options.Tuning = False,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Processes; results do not depend on it.", rich_help_panel=OUTPUT),
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the files. \\[default: output/comparison/DATA-MODEL]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="See that there are finished cells to go on from. (They are always used.)",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Train every method at every size with every seed: a table, a CSV and a figure.

    Each finished cell is kept in a file: the same command goes on where it was stopped or killed.
    Best values are those of the best epoch on the validation rows. The bias-only model is always
    there, and on synthetic data the best that can be reached.

    Examples
    --------
      lsq-sketch compare --data movielens-small --methods full hash ce cce --jobs 2

      lsq-sketch compare --data flights --model dlrm --methods full hash cce cce:paper --seeds 2
          --params-per-dim 16 64 256 --epochs 5 --out flights

    [dim]Columns of comparison.csv: one line a cell, after a comment line with the settings.
    README.md describes them.[/dim]
    """
    options.check_choices(model, bias, loss, monitor, schedule, "last", task)
    source = options.source_of(data, data_seed, task, drop_ratings, skip_bad, tuning)
    choices = options.methods_of(methods, paper)
    with options.one_line_errors():
        base = Experiment(
            model=model,
            dim=dim,
            bias=bias,
            loss=loss,
            hidden=tuple(hidden) if hidden else None,
            optimizer=options.optimizer_of(optimizer, learning_rate, weight_decay),
            training=TrainingOptions(
                epochs=epochs,
                batch_size=batch_size,
                monitor=monitor,
                patience=early_stopping,
                drop_patience=plateau,
                schedule=schedule,
                keep="last",
            ),
        )
        sizes = tuple(dict.fromkeys(params_per_dim or (16, 64, 256, 1024)))
        grid = Comparison(source, choices, sizes, tuple(range(seed, seed + seeds)), base)
    folder = out or FOLDER / f"{slug(data)}-{model}"
    if resume and not any((folder / CELLS).glob("*.json")):
        fail(f"--resume: there are no finished cells in {folder}. Leave it out to begin.")
    try:
        with options.one_line_errors():
            results = _compare(grid, folder, jobs)
        finish(results, folder)
    except OSError as error:
        fail(f"--out: {error.filename or folder} cannot be written: {error.strerror}.")


def finish(results: Results, folder: Path) -> None:
    """Write the files, print the table, and end the program."""
    screen = console()
    if results.rows:
        from ..recommend.comparison_figure import draw, rendered  # here: Matplotlib takes its time

        contents = {"csv": csv_text(results).encode()}
        contents |= {suffix: rendered(draw(results), suffix) for suffix in ("png", "pdf")}
        for suffix, content in contents.items():
            write_whole(folder / f"{FILE}.{suffix}", content)
        screen.print()
        screen.print(table_of(results))
        names = ", ".join(str(folder / f"{FILE}.{suffix}") for suffix in contents)
        screen.print(escape(names), style="dim", soft_wrap=True)
    for name, reason in results.failures.items():
        line = f"lsq-sketch: {name} failed: {reason}"
        console(stderr=True).print(escape(line), soft_wrap=True)
    if results.interrupted:
        done = len(results.rows)
        screen.print(
            f"Stopped: {done} of {results.total} cells finished. The same command goes on."
        )
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if results.failures else 0)


def slug(spec: str) -> str:
    """A word for data that can be the name of a folder.

    Examples
    --------
    >>> slug("movielens-small"), slug("synthetic:100x30:zipf=1.1"), slug("/a/b/ratings.csv.gz")
    ('movielens-small', 'synthetic-100x30-zipf-1.1', 'ratings.csv.gz')
    """
    return re.sub(r"[^\w.]+", "-", spec.rpartition("/")[2]).strip("-.") or "data"


def _compare(grid: Comparison, folder: Path, jobs: int) -> Results:
    screen = console()
    with progress_bar("{task.description}", live_screen(screen)) as bar:
        task = bar.add_task("bias-only model", total=None)

        def note(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total)
            if now.cell and not now.was_kept:
                shown = "failed" if now.row is None else _values(now.row)
                speed = f", {now.rows_per_second:,.0f} rows/s" if now.row else ""
                screen.print(f"{now.done:>4}/{now.total}  {escape(now.cell)}: {shown}{speed}")

        return compare(
            grid,
            folder,
            jobs=jobs,
            on_progress=note,
            on_epoch=lambda name, record: bar.update(
                task, description=f"{name}, epoch {record.epoch}: loss "
                f"{score(record.validation_loss)}, AUC {score(record.auc)}, "
                f"{record.rows_per_second:,.0f} rows/s",
            ),
        )  # fmt: skip


def _values(row: dict[str, Any]) -> str:
    auc = "" if row["best_auc"] is None else f"AUC {score(row['best_auc'])}, "
    return f"{auc}loss {score(row['best_loss'])}"


def table_of(results: Results) -> Table:
    """The comparison for people: a line for each method and size, means over seeds."""
    lines = summaries(results.rows)
    ranked = any(line.best_auc is not None for line in lines)
    spread = any(line.best_auc_deviation is not None for line in lines)
    auc_names = ("AUC", *(("± sd",) if spread else ()), "last AUC") if ranked else ()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method")
    for name in ("params/dim", "parameters", "serving", "training", *auc_names):
        table.add_column(name, justify="right")
    for name in ("loss", "last loss"):
        table.add_column(name, justify="right")

    def auc_cells(best: float | None, deviation: str, last: str) -> list[str]:
        cells = {"AUC": score(best), "± sd": deviation, "last AUC": last}
        return [cells[name] for name in auc_names]

    for line in lines:
        table.add_row(
            escape(line.method), str(line.params_per_dim or ""), f"{line.parameters:,}",
            in_bytes(line.serving_bytes), in_bytes(line.training_bytes),
            *auc_cells(line.best_auc, score(line.best_auc_deviation), score(line.last_auc)),
            score(line.best_loss), score(line.last_loss),
        )  # fmt: skip
    for row in reference_rows(results):
        count = f"{row['parameters']:,}" if row["parameters"] else ""
        size = in_bytes(row["serving_bytes"]) if row["serving_bytes"] else ""
        table.add_row(
            row["method"].replace("-", " "), "", count, size, "",
            *auc_cells(row["best_auc"], "", ""), score(row["best_loss"]), "", style="dim",
        )  # fmt: skip
    return table
