"""Recommenders with compressed tables: validation AUC and loss against parameters, every method.

GMF (two tables, 32 columns, Adam, 30 epochs; the learning rate is constant, but that of alternating
CCE falls linearly in (a, b), as it does by itself where IDs have few rows), each method at 16 to
1,024 trained parameters a column and table (tables of fewer IDs are kept whole); horizontally the
trained parameters of both tables, codes of IDs not counted. Best validation AUC and lowest
validation cross-entropy (BCE) of all epochs: mean over three seeds, band from the least to the
greatest. Dashed: the full tables of the best epoch, quantised after training, which had to hold
them (`lsq-sketch compare` quantises after every epoch and takes the best: up to 0.015 of AUC more).
All others are trained in the parameters they are drawn at.

(a, b) movielens-small, 671 users and 8,451 movies. A logistic regression on one bias a user and
one a movie ("biases only") is the yardstick: so small a set leaves embeddings little to say.
(c, d) Synthetic: 1,000 users and items with random vectors, 300 rows a user; the labels' true
probabilities give what can be reached at best.

In both, assignments taken from the loss (alternating CCE) make of the fewest parameters what the
full table gives in these epochs (c), or more (a), and more than quantising it. CCE is the library's
default, whose clustering step differs from the published one in detail; it is above the hashing
trick, CE, QR, sums of hashes, hash embedding and ROBE at every size. Thirty epochs are few for
some: DHE, tensor trains and the full table in (c) still gain in the last.

The quick profile has synthetic data alone, smaller, two seeds and fewer epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.data import Dataset
from lsq_sketch.recommend.experiment import (
    DataSource,
    Experiment,
    MethodChoice,
    baseline_outcome,
    best_reachable,
    outcome,
)
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.metrics import area_under_curve
from lsq_sketch.recommend.models import Model
from lsq_sketch.recommend.post_training import compress
from lsq_sketch.recommend.training import MONITORS, TrainingOptions
from lsq_sketch.threads import for_each

from ..columns import Columns, split, stack
from ..run import FigureInputError, Run, files_digest
from ..style import LABEL_SIZE, LOOKS, PAGE_WIDTH, text_colour, write_beside
from ..trials import Progress, run_trials

BIAS_ONLY, BEST_REACHABLE = "bias-only", "best-reachable"
MEASURES = {"AUC": "auc", "BCE": "loss"}
"""Columns, and what the engine calls them."""


@dataclass(frozen=True)
class Sizes:
    """Data sets with their budgets (parameters a column and table); seeds, epochs, columns."""

    data: dict[str, tuple[int, ...]]
    seeds: int
    epochs: int
    dim: int = 32


SIZES = {
    "draft": Sizes({"synthetic:40x25": (4, 8)}, 2, 3, 8),
    "quick": Sizes({"synthetic:300x100": (8, 32, 128)}, 2, 15),
    "full": Sizes(
        {"movielens-small": (16, 64, 256, 1024), "synthetic:1000x300": (16, 64, 256)}, 3, 30
    ),
}

ENGINE = "lsq_sketch/recommend/**/*.py"
"""What results depend on beside `figures.run.SHARED_CODE`."""


def compute(run: Run, sources: Sequence[str] | None = None) -> Columns:
    """Train every method at every size with every seed.

    Parameters
    ----------
    run : Run
    sources : sequence of str, optional
        Data sets; all of the profile if not given.

    Returns
    -------
    Columns
        For each data set, method and budget: parameters, and mean, least and greatest over seeds
        of the best AUC and BCE. Rows of the full table, of the bias-only model and, on synthetic
        data, of the best that can be reached have no budget.

    Raises
    ------
    FigureInputError
        If the package with the real data is not installed.
    """
    sizes = SIZES[run.profile]
    seeds = range(1 + run.seed * sizes.seeds, 1 + (run.seed + 1) * sizes.seeds)
    full = Experiment(dim=sizes.dim, training=TrainingOptions(epochs=sizes.epochs))
    parts = []
    for source in sizes.data if sources is None else sources:
        data = cache(partial(loaded, source))
        learned = cache(partial(full_tables, data, full, seeds))
        settings = {
            "data": source, "seeds": seeds, "epochs": sizes.epochs, "dim": sizes.dim,
            "engine": files_digest(ENGINE),
        }  # fmt: skip
        for name, method in registry().items():
            budgets = sizes.data[source] if name != full.method.name else (0,)
            cells = partial(
                measure, data, replace(full, method=MethodChoice.parse(name)), budgets, seeds
            )
            work = partial(quantise, cells, learned) if method.compresses_trained else cells
            parameters = settings | {"method": name, "budgets": budgets}
            parts.append((source, run.part(f"{source}, {name}", parameters, work)))
        parts.append((source, run.part(f"{source}, references", settings, partial(refer, data))))
    return stack({"data": np.repeat(source, len(part["method"])), **part} for source, part in parts)


def loaded(source: str) -> Dataset:
    """A data set by its name.

    Raises
    ------
    FigureInputError
        If it cannot be loaded.
    """
    try:
        return DataSource(source).load()
    except DataError as error:
        raise FigureInputError(str(error)) from error


Outcome = Callable[[Experiment, Dataset], np.ndarray]
"""Of one run: parameters of the tables, best validation AUC, lowest validation BCE."""


def trained(experiment: Experiment, data: Dataset) -> np.ndarray:
    """The `Outcome` of training in so many parameters."""
    trainer = experiment.trainer(data)
    trainer.run()
    found = outcome(trainer)
    return np.array([found["table_parameters"], *(found["best"][m] for m in MEASURES.values())])


def measure(
    data: Callable[[], Dataset],
    experiment: Experiment,
    budgets: Sequence[int],
    seeds: Sequence[int],
    stream: np.random.SeedSequence,
    progress: Progress,
    reach: Outcome = trained,
) -> Columns:
    """One method at all budgets (0: it has none) with all seeds, which are the experiments' own."""
    rows = data()

    def trial(cell: tuple[int, int], _: np.random.Generator) -> np.ndarray:
        budget, seed = cell
        training = replace(experiment.training, seed=seed)
        return reach(replace(experiment, params_per_dim=max(budget, 1), training=training), rows)

    found = run_trials(trial, list(product(budgets, seeds)), 1, stream, progress)
    parameters, *measures = np.moveaxis(np.reshape(found, (len(budgets), len(seeds), -1)), 2, 0)
    return {
        "method": np.repeat(experiment.method.name, len(budgets)),
        "params/dim": np.array(budgets),
        "parameters": parameters[:, 0].astype(int),
        **over_seeds(measures),
    }


def over_seeds(measures: Sequence[np.ndarray]) -> Columns:
    """Mean, least and greatest of each measure: arrays (points, seeds)."""
    columns = {}
    for name, values in zip(MEASURES, measures, strict=True):
        columns[name] = values.mean(axis=1)
        columns[f"{name} least"] = values.min(axis=1)
        columns[f"{name} greatest"] = values.max(axis=1)
    return columns


FullTables = Mapping[tuple[int, str], Model]
"""By seed and by what the best epoch was chosen by."""


def full_tables(
    data: Callable[[], Dataset], experiment: Experiment, seeds: Sequence[int]
) -> FullTables:
    """Models with full tables as they were after their best epochs."""
    rows = data()

    def learn(cell: tuple[int, str]) -> Model:
        seed, monitor = cell
        training = replace(experiment.training, seed=seed, monitor=monitor, keep="best")
        trainer = replace(experiment, training=training).trainer(rows)
        trainer.run()
        return trainer.model

    cells = list(product(seeds, MONITORS))
    return dict(zip(cells, for_each(learn, cells), strict=True))


def quantise(
    cells: Callable[..., Columns],
    learned: Callable[[], FullTables],
    stream: np.random.SeedSequence,
    progress: Progress,
) -> Columns:
    """As `measure`, from full tables that all budgets and methods share."""
    return cells(stream, progress, reach=partial(quantised, learned()))


def quantised(learned: FullTables, experiment: Experiment, data: Dataset) -> np.ndarray:
    """The `Outcome` of quantising: AUC of the table of best AUC, BCE of that of lowest BCE."""
    seed, labels = experiment.training.seed, data.validation.labels
    model = experiment.make_model(data)

    def scores(monitor: str) -> np.ndarray:
        compress(learned[seed, monitor], model, np.random.SeedSequence(seed, spawn_key=(2,)))
        return model.scores(data.validation.ids)

    auc, loss = area_under_curve(labels, scores("auc")), model.mean_loss(scores("loss"), labels)
    return np.array([model.table_parameter_count, auc, loss])


def refer(
    data: Callable[[], Dataset], stream: np.random.SeedSequence, progress: Progress
) -> Columns:
    """The bias-only model, and the best that can be reached where it is known."""
    found = {BIAS_ONLY: baseline_outcome(data()), BEST_REACHABLE: best_reachable(data())}
    known = {name: values for name, values in found.items() if values is not None}
    columns = {
        "method": np.array(list(known)),
        "params/dim": np.zeros(len(known), int),
        "parameters": np.array([int(values.get("parameters", 0)) for values in known.values()]),
    }
    values = np.array([[row[key] for row in known.values()] for key in MEASURES.values()])
    return columns | over_seeds(list(values[:, :, None]))


# ------------------------------------------------------------------ drawing

NAMES = {"cce": "CCE"}
"""Of methods that have another one here than in the least-squares setting."""

OURS = ("alternating", "cce")
LINES = (BIAS_ONLY, BEST_REACHABLE)


def draw(columns: Columns) -> Figure:
    """Two panels a data set, AUC and BCE, and one legend.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = split(columns, "data")
    figure = Figure((PAGE_WIDTH, 1.3 + 2.5 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 2, squeeze=False)
    letters = iter("abcdef")
    for row, (source, part) in zip(axes, panels.items(), strict=True):
        for ax, measure in zip(row, MEASURES, strict=True):
            _draw_panel(ax, part, measure)
            ax.set_title(f"({next(letters)}) {source}")
            ax.set_ylabel({"AUC": "best validation AUC", "BCE": "lowest validation BCE"}[measure])
    for ax in axes[-1]:
        ax.set_xlabel("trained parameters of both tables")
    methods = [name for name in dict.fromkeys(columns["method"].tolist()) if name not in LINES]
    figure.legend(
        handles=[
            draw_handle(name, **({"linestyle": "none"} if name == "full" else {}))
            for name in sorted(methods, key=_draw_order)
        ],
        loc="outside lower center", ncols=5, columnspacing=1.4, handlelength=2.6,
    )  # fmt: skip
    return figure


def _draw_order(name: str) -> int:
    return list(LOOKS).index(name) if name not in OURS else -len(OURS) + OURS.index(name)


def draw_handle(name: str, **settings: Any) -> Line2D:
    """A method in the legend."""
    look = LOOKS[name]
    settings = {"color": look.colour, "linestyle": look.line, "marker": look.marker} | settings
    return Line2D([], [], label=NAMES.get(name, look.label), **settings)


def _draw_panel(ax: Axes, part: Columns, measure: str) -> None:
    methods = split(part, "method")
    for name, rows in methods.items():
        if name not in LINES:
            _draw_method(ax, name, rows, measure)
    ax.set_xscale("log")
    ticks = [int(x) for name in ("hash", "full") for x in methods[name]["parameters"]]
    ax.set_xticks(ticks, [f"{x:,}" for x in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    low, high = ax.get_ylim()
    right = ax.get_xlim()[1]
    for name in LINES:
        if name not in methods:
            continue
        value, look = methods[name][measure][0], LOOKS[name]
        ax.axhline(value, color=look.colour, linestyle=look.line, linewidth=0.9, zorder=1)
        if name == BIAS_ONLY:
            margin = 0.06 * (high - low)
            low, high = min(low, value - margin), max(high, value + margin)
            write_beside(ax, look.label, right, value, text_colour(name), (-2, 2), ha="right")
        else:  # far from everything: told, not shown, in the corner that curves leave free
            below = measure == "AUC"
            ax.text(
                0.98, 0.02 if below else 0.98, f"{look.label}: {value:.3f}", ha="right",
                va="bottom" if below else "top", transform=ax.transAxes, fontsize=LABEL_SIZE,
            )  # fmt: skip
    ax.set_ylim(low, high)


def _draw_method(ax: Axes, name: str, rows: Columns, measure: str) -> None:
    look = LOOKS[name]
    x, low, high = rows["parameters"], rows[f"{measure} least"], rows[f"{measure} greatest"]
    if len(x) > 1:
        ax.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0)
    else:
        ax.vlines(x, low, high, color=look.colour, linewidth=0.9)
    ours = name in OURS
    ax.plot(
        x, rows[measure], color=look.colour, linestyle=look.line, marker=look.marker,
        linewidth=1.6 if ours else 0.9, markersize=6 if name == "full" else 3.5,
        zorder=4 if ours else 3,
    )  # fmt: skip
