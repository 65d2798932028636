"""``lsq-sketch train``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ..console import INTERRUPTED, console, fail
from ..errors import CheckpointError
from ..files import write_whole
from ..recommend.checkpoint import save_model
from ..recommend.data import Dataset
from ..recommend.experiment import (
    Experiment,
    baseline_outcome,
    best_reachable,
    digest_of,
    outcome,
    training_bytes,
)
from ..recommend.training import Trainer, TrainingOptions
from ..versions import versions
from . import options
from .display import data_line, epoch_header, epoch_line, model_line, score, training_display
from .options import MODEL, OUTPUT, TRAINING


def train_command(
    data: options.Data,
    model: options.ModelName = "gmf",
    method: Annotated[
        str,
        typer.Option(
            help=f"How tables are compressed: {options.METHOD_HELP}",
            rich_help_panel=MODEL,
        ),
    ] = "cce",
    params_per_dim: Annotated[
        int,
        typer.Option(
            min=1, help="Trained parameters for each column of each table.", rich_help_panel=MODEL
        ),
    ] = 64,
    dim: options.Dim = 32,
    bias: options.Bias = "none",
    loss: options.Loss = None,
    hidden: options.Hidden = None,
    paper: options.Paper = False,
    epochs: options.Epochs = 30,
    batch_size: options.BatchSize = 1024,
    optimizer: options.OptimizerName = "adam",
    learning_rate: options.LearningRate = None,
    weight_decay: options.WeightDecay = None,
    early_stopping: options.EarlyStopping = None,
    plateau: options.Plateau = None,
    schedule: options.Schedule = "auto",
    monitor: options.Monitor = "loss",
    keep: Annotated[
        str,
        typer.Option(
            help="Save the best epoch's parameters, or the last's.", rich_help_panel=TRAINING
        ),
    ] = "best",
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of starting values and order of rows.", rich_help_panel=TRAINING),
    ] = 1,
    data_seed: options.DataSeed = 0,
    task: options.Task = "binary",
    drop_ratings: options.DropRatings = None,
    skip_bad: options.SkipBad = False,
    tuning: options.Tuning = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the result here.", rich_help_panel=OUTPUT)
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save the model here, for predict.", rich_help_panel=OUTPUT)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Save the state here after each epoch. Without it Ctrl-C names a file itself.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the checkpoint of the same command, to the same bits.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    no_baseline: Annotated[
        bool,
        typer.Option(
            "--no-baseline", help="Do not fit the bias-only model.", rich_help_panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Train one model. Ctrl-C saves and stops; the same command with --resume goes on.

    Examples
    --------
      lsq-sketch train --data movielens-small --method cce --params-per-dim 256 --save model.npz

      lsq-sketch train --data flights --model dlrm --method hash --bias --early-stopping 3

      lsq-sketch train --data synthetic:1000x300:clusters=20 --method full --json result.json

      lsq-sketch train --data ratings.csv.gz --skip-bad --optimizer adagrad --learning-rate 0.1
    """
    options.check_choices(model, bias, loss, monitor, schedule, keep, task)
    for option, path in (("--json", json), ("--save", save), ("--checkpoint", checkpoint)):
        options.check_writable(option, path)
    source = options.source_of(data, data_seed, task, drop_ratings, skip_bad, tuning)
    choice = options.method_of(method, paper)
    with options.one_line_errors():
        experiment = Experiment(
            model=model,
            method=choice,
            params_per_dim=params_per_dim,
            dim=dim,
            bias=bias,
            loss=loss,
            hidden=tuple(hidden) if hidden else None,
            optimizer=options.optimizer_of(optimizer, learning_rate, weight_decay),
            training=TrainingOptions(
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                monitor=monitor,
                patience=early_stopping,
                drop_patience=plateau,
                schedule=schedule,
                keep=keep,
            ),
        )
        loaded = source.load()
        trainer = _trainer(experiment, loaded, checkpoint, resume)
    out = console()
    out.print(escape(data_line(loaded)), soft_wrap=True)
    line = model_line(trainer.model, choice.label, training_bytes(trainer))
    out.print(escape(line) + "\n", soft_wrap=True)
    _train(trainer, checkpoint, default_checkpoint(experiment, loaded))
    found = outcome(trainer) | {"seed": seed}
    out.print("\n" + best_line(found), soft_wrap=True)
    if save is not None:
        _save(trainer, save)
    found["bias_only"] = None if no_baseline else baseline_outcome(loaded)
    found["best_reachable"] = best_reachable(loaded)
    found["versions"] = versions()
    for text in reference_lines(found):
        out.print(text, soft_wrap=True)
    if json is not None:
        try:
            write_whole(json, json_format.dumps(found, indent=1, allow_nan=False).encode() + b"\n")
        except OSError as error:
            fail(f"--json: could not write {json}: {error.strerror}.")
    if checkpoint is None:
        default_checkpoint(experiment, loaded).unlink(missing_ok=True)


def default_checkpoint(experiment: Experiment, data: Dataset) -> Path:
    """Where Ctrl-C saves without --checkpoint: the same file for the same settings and data.

    In the current folder. More epochs do not make it another file.
    """
    about = experiment.about(data)
    del about["settings"]["training"]["epochs"]
    return Path(f"lsq-sketch-{digest_of(about)}.checkpoint")


def _trainer(
    experiment: Experiment, data: Dataset, checkpoint: Path | None, resume: bool
) -> Trainer:
    path = checkpoint or default_checkpoint(experiment, data)
    if not resume:
        if checkpoint is not None and checkpoint.exists():
            fail(f"--checkpoint: {checkpoint} exists. Go on with it by --resume, or delete it.")
        return experiment.trainer(data)
    try:
        return experiment.resumed(path, data)
    except FileNotFoundError:
        hint = "" if checkpoint else " It belongs to the same command in the same folder."
        fail(f"--resume: there is no checkpoint {path}.{hint} Leave out --resume to begin anew.")
    except OSError as error:
        fail(f"--resume: {path} cannot be read: {error.strerror}.")
    except CheckpointError as error:
        fail(f"--resume: {error}")


def _train(trainer: Trainer, checkpoint: Path | None, fallback: Path) -> None:
    """Train to the end, or end the program, with all saved if it can be."""
    out = console()
    out.print(epoch_header(trainer.data.task == "binary"))
    for record in trainer.history:
        out.print(epoch_line(record), style="dim")
    with training_display() as display:
        path = checkpoint or fallback
        try:
            trainer.run(on_progress=display.progress, on_epoch=display.line, checkpoint=checkpoint)
            return
        except KeyboardInterrupt:
            epochs = len(trainer.history)
            where = f"after epoch {epochs}" if epochs else "in the first epoch"
            if epochs < display.epoch and display.share < 1:
                where = f"in epoch {display.epoch}, {display.share:.0%} of its rows done"
            message = _saved(trainer, path, where)
        except OSError as error:
            fail(f"--checkpoint: could not write {path}: {error.strerror}.")
        except ValueError as error:
            message = ""
            console(stderr=True).print(f"lsq-sketch: {escape(str(error))}", soft_wrap=True)
    if not message:
        raise typer.Exit(1)
    out.print(escape(message), soft_wrap=True)
    raise typer.Exit(INTERRUPTED)


def _saved(trainer: Trainer, path: Path, where: str) -> str:
    """Save what Ctrl-C has stopped, if it can be gone on from; a line about it."""
    if trainer.broken_off:
        line = f"Stopped {where}, by a second Ctrl-C in the middle of its work: not saved."
        if path.is_file():
            line += f" Go on from {path}, saved before: the same command with --resume."
        return line
    try:
        trainer.save(path)  # a second Ctrl-C may have ended the writing of --checkpoint
    except OSError as error:
        fail(f"stopped {where}, but could not save {path}: {error.strerror}.")
    return f"Stopped {where}; saved in {path}. Go on: the same command with --resume."


def _save(trainer: Trainer, path: Path) -> None:
    """Save the model with all that predict needs: names of fields and of their values."""
    data = trainer.data
    names = data.vocabularies and [
        [value.decode("utf-8", "surrogateescape") for value in values.tolist()]
        for values in data.vocabularies
    ]
    try:
        save_model(trainer.model, path, {**trainer.about, "vocabularies": names}, data.buckets)
    except OSError as error:
        fail(f"--save: could not write {path}: {error.strerror}.")
    epoch = len(trainer.history)
    if trainer.options.keep == "best" and trainer.best is not None:
        epoch = trainer.best.epoch
    console().print(escape(f"saved {path}: epoch {epoch}"), soft_wrap=True)


def best_line(found: dict[str, Any]) -> str:
    """Best epochs of a run in one line."""
    best = found["best"]
    auc = (
        ""
        if best["auc"] is None
        else f"best AUC {score(best['auc'])} (epoch {best['auc_epoch']}), "
    )
    stopped = "; stopped early" if found["stopped_early"] else ""
    return f"{auc}lowest loss {score(best['loss'])} (epoch {best['loss_epoch']}){stopped}"


def reference_lines(found: dict[str, Any]) -> list[str]:
    """What the run is to be held against, in a line each."""
    lines = []
    for name, key in (("bias-only model", "bias_only"), ("best reachable", "best_reachable")):
        values = found[key]
        if values is not None:
            auc = "" if values["auc"] is None else f"AUC {score(values['auc'])}, "
            count = f", {values['parameters']:,} parameters" if "parameters" in values else ""
            lines.append(f"{name}: {auc}loss {score(values['loss'])}{count}")
    return lines
