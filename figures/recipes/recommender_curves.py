"""Recommenders with compressed tables: validation AUC and loss against parameters, every method.

GMF (two tables, 32 columns, Adam, 30 epochs), each method at 16 to 1,024 trained parameters a
column and table (tables of fewer IDs are kept whole); horizontally the trained parameters of both
tables, codes of IDs not counted.
Best validation AUC and lowest validation cross-entropy (BCE) of all epochs: mean over three seeds,
band from the least to the greatest. Solid: trained in so many parameters. Dashed PQ and RQ:
quantised after training from the full table of the best epoch, which training had to hold.

(a, b) movielens-small, 671 users and 8,451 movies. A logistic regression on one bias a user and
one a movie (dashed) is the yardstick: so small a set leaves embeddings little to say.
(c, d) Synthetic: 1,000 users and items with random vectors, 300 rows a user; the labels' true
probabilities give what can be reached at best.

In (a) few parameters with learned assignments do as well as the full table, which overfits. CCE is
the library's default, whose clustering step differs from the published one in detail.

The quick profile has synthetic data alone, smaller, two seeds and fewer epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
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
)
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.metrics import area_under_curve
from lsq_sketch.recommend.models import Model
from lsq_sketch.recommend.post_training import compress
from lsq_sketch.recommend.training import TrainingOptions

from ..columns import Columns, split, stack
from ..run import FigureInputError, Run, files_digest
from ..style import LABEL_SIZE, LOOKS, PAGE_WIDTH, text_colour, write_beside
from ..trials import Progress, run_trials

BIAS_ONLY, BEST_REACHABLE = "bias-only", "best-reachable"
MEASURES = ("AUC", "BCE")


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
        of the best AUC and BCE. Rows of the bias-only model and, on synthetic data, of the best
        that can be reached have no budget.

    Raises
    ------
    FigureInputError
        If the package with the real data is not installed.
    """
    sizes = SIZES[run.profile]
    seeds = range(1 + run.seed * sizes.seeds, 1 + (run.seed + 1) * sizes.seeds)
    parts = []
    for source in sizes.data if sources is None else sources:
        budgets = sizes.data[source]
        data = cache(partial(loaded, source))
        settings = {
            "data": source, "seeds": seeds, "epochs": sizes.epochs, "dim": sizes.dim,
            "engine": files_digest(ENGINE),
        }  # fmt: skip
        for method in registry():
            chosen = budgets if method != "full" else (1,)
            experiment = Experiment(
                method=MethodChoice.parse(method),
                dim=sizes.dim,
                training=TrainingOptions(epochs=sizes.epochs),
            )
            parameters = settings | {"method": method, "budgets": chosen}
            train = partial(train_all, data, experiment, chosen, seeds)
            parts.append((source, run.part(f"{source}, {method}", parameters, train)))
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


def train_all(
    data: Callable[[], Dataset],
    experiment: Experiment,
    budgets: Sequence[int],
    seeds: Sequence[int],
    stream: np.random.SeedSequence,
    progress: Progress,
) -> Columns:
    """One method at all budgets with all seeds; a seed is that of the experiment."""
    rows = data()
    cells = [(budget, seed) for budget in budgets for seed in seeds]

    def trial(cell: tuple[int, int], _: np.random.Generator) -> np.ndarray:
        budget, seed = cell
        training = replace(experiment.training, seed=seed)
        return best(replace(experiment, params_per_dim=budget, training=training), rows)

    found = np.concatenate(run_trials(trial, cells, 1, stream, progress))
    by_budget = found.reshape(len(budgets), len(seeds), 3)
    columns = {
        "method": np.repeat(experiment.method.name, len(budgets)),
        "params/dim": np.array([0 if experiment.method.name == "full" else b for b in budgets]),
        "parameters": by_budget[:, 0, 0].astype(int),
    }
    for column, name in enumerate(MEASURES, 1):
        values = by_budget[:, :, column]
        columns |= summary(name, values.mean(axis=1), values.min(axis=1), values.max(axis=1))
    return columns


def summary(name: str, mean: np.ndarray, least: np.ndarray, greatest: np.ndarray) -> Columns:
    """The columns of one measure."""
    return {name: mean, f"{name} least": least, f"{name} greatest": greatest}


def best(experiment: Experiment, data: Dataset) -> np.ndarray:
    """Parameters of the tables, best validation AUC, lowest validation BCE."""
    model = experiment.make_model(data)
    if registry()[experiment.method.name].compresses_trained:
        auc, loss = (
            quantised(experiment, data, monitor)[place]
            for place, monitor in enumerate(("auc", "loss"))
        )
        return np.array([model.table_parameter_count, auc, loss])
    trainer = experiment.trainer(data)
    trainer.run()
    auc = max(record.auc for record in trainer.history if record.auc is not None)
    loss = min(record.validation_loss for record in trainer.history)
    return np.array([model.table_parameter_count, auc, loss])


def quantised(experiment: Experiment, data: Dataset, monitor: str) -> tuple[float, float]:
    """AUC and loss of the quantised full table of the best epoch by AUC or loss."""
    training = replace(experiment.training, monitor=monitor, keep="best")
    full = replace(experiment, method=MethodChoice.parse("full"), training=training)
    trainer = full.trainer(data)
    trainer.run()
    model = experiment.make_model(data)
    compress(trainer.model, model, np.random.SeedSequence(training.seed, spawn_key=(2,)))
    return evaluated(model, data)


def evaluated(model: Model, data: Dataset) -> tuple[float, float]:
    """Validation AUC and BCE."""
    scores = model.scores(data.validation.ids)
    labels = data.validation.labels
    return area_under_curve(labels, scores), model.mean_loss(scores, labels)


def refer(
    data: Callable[[], Dataset], stream: np.random.SeedSequence, progress: Progress
) -> Columns:
    """The bias-only model, and the best that can be reached where it is known."""
    rows = data()
    found = {BIAS_ONLY: baseline_outcome(rows), BEST_REACHABLE: best_reachable(rows)}
    known = {name: values for name, values in found.items() if values is not None}
    columns = {
        "method": np.array(list(known)),
        "params/dim": np.zeros(len(known), int),
        "parameters": np.array([int(values.get("parameters", 0)) for values in known.values()]),
    }
    for name, key in zip(MEASURES, ("auc", "loss"), strict=True):
        values = np.array([float(values[key]) for values in known.values()])
        columns |= summary(name, values, values, values)
    return columns


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
        handles=[draw_handle(name) for name in sorted(methods, key=_draw_order)],
        loc="outside lower center", ncols=5, columnspacing=1.4, handlelength=2.6,
    )  # fmt: skip
    return figure


def _draw_order(name: str) -> int:
    return list(LOOKS).index(name) if name not in OURS else -len(OURS) + OURS.index(name)


def draw_handle(name: str) -> Line2D:
    """A method in the legend."""
    look = LOOKS[name]
    settings: dict[str, Any] = {"linestyle": look.line if name != "full" else "none"}
    label = NAMES.get(name, look.label)
    return Line2D([], [], color=look.colour, label=label, marker=look.marker, **settings)


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
