"""``python -m benchmarks.ablations [NAME]``: the tables of settings in ``benchmarks/NOTES.md``."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from lsq_sketch.console import console, fail, run_app
from lsq_sketch.files import write_whole
from lsq_sketch.recommend.baselines import bias_only
from lsq_sketch.recommend.data import Dataset
from lsq_sketch.recommend.experiment import DataSource, Experiment, MethodChoice
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.training import TrainingOptions

SYNTHETIC = "synthetic:1000x300"
CLUSTERED = "synthetic:1000x300:clusters=16:zipf=1"
DECAYS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@dataclass(frozen=True)
class Study:
    """Settings compared on one or more data sets.

    Attributes
    ----------
    about : str
    data : tuple of str
    methods : tuple of str
        As `MethodChoice.parse` reads them.
    budgets : tuple of int
        Parameters a column of each table.
    tuning : bool
        Whether a part of the training rows is held out in place of the validation rows.
    biases : tuple of str
    decays : tuple of float
        Of Adam's weights.
    schedules : tuple of str
        Of the learning rate: constant where settings are compared, which are then alike in it.
    model : str
    epochs : int
    """

    about: str
    data: tuple[str, ...]
    methods: tuple[str, ...]
    budgets: tuple[int, ...]
    tuning: bool = True
    biases: tuple[str, ...] = ("none",)
    decays: tuple[float, ...] = (0.0,)
    schedules: tuple[str, ...] = ("constant",)
    model: str = "gmf"
    epochs: int = 30


STUDIES = {
    "alternating-prior": Study(
        "Alternating CCE: what holds back IDs of few rows",
        ("movielens-small",),
        (
            "alternating",
            *(f"alternating:prior-turns={turns}" for turns in (3, 5, 8)),
            *(f"alternating:uncertainty={share}" for share in (0.0, 1.0)),
            "alternating:chunks-at-once=2",
            "alternating:prior=popularity",
            "alternating:prior=popularity:popularity-prior=0.0",
            "alternating:prior=popularity:popularity-prior=0.0:margin=1.0",
        ),
        (4, 16, 64),
    ),
    "alternating-prior-flights": Study(
        "Alternating CCE: the same, with the DLRM",
        ("flights",),
        (
            "alternating",
            "alternating:prior=popularity",
            "alternating:prior=popularity:popularity-prior=0.0",
            "pq",
        ),
        (16, 64),
        model="dlrm",
        epochs=4,
    ),
    "alternating-prior-synthetic": Study(
        "Alternating CCE: the same, on synthetic data of few rows, with and without clusters",
        (
            "synthetic:500x150:zipf=1",
            "synthetic:300x100",
            "synthetic:1000x100:clusters=16:zipf=1",
            "synthetic:3000x60:clusters=16",
        ),
        ("alternating", "alternating:prior=popularity", "pq"),
        (16, 64),
        decays=(0.1,),
    ),
    "alternating-schedule": Study(
        "Alternating CCE: a learning rate that falls, where IDs have few rows",
        (
            "movielens-small",
            "synthetic:300x100",
            "synthetic:1000x100:clusters=16:zipf=1",
            "synthetic:3000x60:clusters=16",
            "synthetic:3000x30",
        ),
        ("alternating",),
        (16, 64),
        schedules=("constant", "linear"),
    ),
    "alternating-seeds": Study(
        "Alternating CCE: codebooks seeded anew, and how many chunks at once",
        (SYNTHETIC,),
        (
            "alternating",
            "alternating:seed-until=0.0",
            "alternating:seed-until=0.0:popularity-prior=0.0",
            "alternating:seeded-at-once=2",
            "alternating:seeded-at-once=4",
        ),
        (16, 64),
        decays=(0.1,),
    ),
    "full-decay": Study(
        "Weight decay of the full table that PQ starts from",
        (SYNTHETIC,),
        ("full",),
        (16,),
        decays=DECAYS,
    ),
    "pq-decay": Study(
        "Weight decay of the table that PQ compresses",
        (SYNTHETIC,),
        ("pq",),
        (16, 64),
        decays=(0.1, 0.3, 1.0),
    ),
    "alternating-decay": Study(
        "Weight decay of alternating CCE",
        (SYNTHETIC,),
        ("alternating",),
        (16, 64),
        decays=(0.0, 0.1, 0.3),
    ),
    "cce": Study(
        "When and how CCE clusters",
        ("movielens-small",),
        (
            "cce",
            "cce:paper",
            "cce:optimizer-state=keep",
            "cce:cluster-until=1.0",
            "cce:cluster-until=0.5",
            "cce:cluster-until=0.2",
            "cce:cluster-every=2",
            "cce:cluster-every=5",
            "cce:seeding=spread",
            "cce:seeding=warm",
            "cce:sampling=seen",
            "cce:sampling=frequency",
            "cce:second-start=zero",
            "cce:lloyd-rounds=0",
            "cce:lloyd-rounds=4",
            "cce:sample-per-cluster=8",
            "cce:sample-per-cluster=200:lloyd-rounds=100",
            "cce:paper:optimizer-state=reset",
            "cce:paper:seeding=spread",
        ),
        (16, 64, 256),
    ),
    "cce-chunks": Study(
        "CCE with very many clusters: chunks clustered after each epoch",
        ("movielens-small",),
        tuple(f"cce:chunks-at-once={n}" for n in (1, 2, 4)),
        (256, 1024),
    ),
    "biases": Study(
        "Scalars for each ID beside the vectors",
        ("movielens-small",),
        tuple(registry()),
        (64,),
        tuning=False,
        schedules=("auto",),
        biases=("none", "full", "compressed"),
    ),
    "movielens": Study(
        "Alternating CCE beside the others, on the validation rows",
        ("movielens-small",),
        ("alternating", "cce", "cce:paper", "pq", "full"),
        (4, 16, 64),
        tuning=False,
        schedules=("auto",),
    ),
    "synthetic": Study(
        "Alternating CCE beside the others, on the validation rows; decays as tuned",
        (SYNTHETIC,),
        ("alternating", "cce", "pq", "full"),
        (16, 64),
        tuning=False,
        schedules=("auto",),
        decays=(0.1, 0.3),
    ),
    "clustered": Study(
        "Planted clusters and Zipf popularity",
        (CLUSTERED,),
        ("alternating", "cce", "hash", "pq", "full"),
        (16, 64),
        tuning=False,
        schedules=("auto",),
        decays=(0.1, 0.3),
    ),
    "flights": Study(
        "Late flights, with the DLRM",
        ("flights",),
        ("alternating", "cce", "hash", "pq", "full"),
        (16, 64),
        tuning=False,
        schedules=("auto",),
        model="dlrm",
        epochs=3,
    ),
}


@dataclass(frozen=True)
class Cell:
    """Means over seeds: the best AUC, that of the last epoch, the least loss, the last loss."""

    data: str
    method: str
    budget: int
    bias: str
    decay: float
    schedule: str
    best: float
    last: float
    loss: float
    last_loss: float
    spread: float
    """Standard deviation of the best AUC over the seeds."""
    fall: float
    """From the highest point of the AUC's curve, averaged over the seeds, to its end."""


def measure(study: Study, seeds: int) -> list[Cell]:
    """All runs of a study; those of a full table once for all budgets."""
    cells = []
    for spec in study.data:
        data = DataSource(spec, tuning=study.tuning).load()
        for method in study.methods:
            budgets = study.budgets[:1] if method.startswith("full") else study.budgets
            for budget in budgets:
                for settings in product(study.biases, study.decays, study.schedules):
                    cell = _cell(study, data, spec, method, budget, *settings, seeds)
                    console().print(_line(cell), soft_wrap=True, highlight=False)
                    cells.append(cell)
    return cells


def _cell(
    study: Study,
    data: Dataset,
    spec: str,
    method: str,
    budget: int,
    bias: str,
    decay: float,
    schedule: str,
    seeds: int,
) -> Cell:
    found: list[list[float]] = []
    curves: list[list[float]] = []
    for seed in range(1, seeds + 1):
        trainer = Experiment(
            model=study.model,
            method=MethodChoice.parse(method),
            params_per_dim=budget,
            bias=bias,
            optimizer=Adam(weight_decay=decay),
            training=TrainingOptions(
                epochs=study.epochs, seed=seed, schedule=schedule, keep="last"
            ),
        ).trainer(data)
        trainer.run()
        aucs = [record.auc or 0.0 for record in trainer.history]
        losses = [record.validation_loss for record in trainer.history]
        curves.append(aucs)
        found.append([max(aucs), aucs[-1], min(losses), losses[-1]])
    best, last, loss, last_loss = np.mean(found, axis=0).tolist()
    spread = float(np.std([row[0] for row in found], ddof=min(1, seeds - 1)))
    curve = np.mean(curves, axis=0)
    fall = float(curve.max() - curve[-1])
    return Cell(
        spec, method, budget, bias, decay, schedule, best, last, loss, last_loss, spread, fall
    )


def _line(cell: Cell) -> str:
    return (
        f"{cell.method:56}{cell.budget:5} bias {cell.bias:10} decay {cell.decay:<4} "
        f"rate {cell.schedule:8} "
        f"AUC {cell.best:.4f} (sd {cell.spread:.4f}) last {cell.last:.4f} "
        f"fall {cell.fall:.4f}  "
        f"loss {cell.loss:.4f} last {cell.last_loss:.4f}"
    )


@app.command()
def main(
    names: Annotated[list[str] | None, typer.Argument(help="Studies; all if none given.")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the studies.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 1, 2, ... of each setting.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write all numbers to this file.")] = None,
) -> None:
    """Train with one setting after the other, and print the means over seeds.

    Example: python -m benchmarks.ablations cce --seeds 3 --json cce.json
    """
    for name in names or []:
        if name not in STUDIES:
            fail(f"there is no study {name!r}; choose from {', '.join(STUDIES)}.")
    if json is not None and not json.absolute().parent.is_dir():
        fail(f"--json: the folder {json.absolute().parent} does not exist. Create it first.")
    if list_only:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, study in STUDIES.items():
            table.add_row(name, study.about)
        console().print(table)
        return
    results: dict[str, Any] = {}
    for name in names or STUDIES:
        study = STUDIES[name]
        console().print(f"[bold]{name}[/bold]  {study.about}; {', '.join(study.data)}")
        if not study.tuning:
            for spec in study.data:
                _print_references(DataSource(spec).load())
        results[name] = [vars(cell) for cell in measure(study, seeds)]
        if json is not None:
            write_whole(json, json_module.dumps(results, indent=1).encode() + b"\n")


def _print_references(data: Dataset) -> None:
    reached = bias_only(data)
    console().print(f"bias-only model: AUC {reached.auc:.4f}, loss {reached.loss:.4f}")
    if data.best_auc is not None:
        console().print(f"best reachable: AUC {data.best_auc:.4f}, loss {data.best_loss:.4f}")


if __name__ == "__main__":
    run_app(app, "python -m benchmarks.ablations")
