"""Peak memory while training recommenders, against quality and against the size of the tables.

Measured, not counted: the most bytes allocated at once (traced by tracemalloc, compiled code
included) by a model, its gradients, Adam's two running means, two epochs of training, their
evaluation, and what the method does between or after them: clustering, reassignment, or, for PQ and
RQ, quantisation. The rows of data and the order they are shuffled into are not in it: every
method needs those alike.

(a) GMF on movielens-small: best validation AUC (mean over three seeds, as in recommender-curves)
against the peak, for 16 to 1,024 parameters a column and table; grey: the bytes of both full
tables. Left and up is better. PQ and RQ must hold what the full table holds, and the clustering on
top; alternating CCE pays here for the rows sorted by ID and a block of IDs a thread (two here).
(b) The peak at 64 parameters a column, against the bytes of two full tables of 2^8 to 2^16 IDs
each, 65,536 rows; grey: equal. The full table with Adam's running means takes three times itself
and more, PQ and RQ more than twice that. Hashing and its like do not grow. CCE and alternating CCE
grow by the assignments of all IDs, which are wider integers when they are drawn; alternating CCE
sorts the rows by ID, and moves a block of IDs a thread at once, which weighs most where tables are
small.

The quick profile has smaller, synthetic data and smaller tables.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lsq_sketch.recommend.data import Dataset, Interactions
from lsq_sketch.recommend.experiment import Experiment, MethodChoice
from lsq_sketch.recommend.methods import registry
from lsq_sketch.recommend.training import Trainer, TrainingOptions
from lsq_sketch.recommend.workspace import BLOCK_BATCHES
from lsq_sketch.threads import row_chunks

from ..columns import Columns, split, stack
from ..run import Run, files_digest
from ..style import LOOKS, PAGE_WIDTH, write_beside
from ..trials import Progress
from . import recommender_curves
from .memory import in_words
from .recommender_curves import ENGINE, OURS, draw_handle

FLOAT = 4
BATCH = 1024
OPTIONS = TrainingOptions(epochs=2, batch_size=BATCH, keep="last")
QUALITY, GROWTH = "quality", "growth"


@dataclass(frozen=True)
class Sizes:
    """Of (b): powers of two of the IDs of each table, rows, parameters a column."""

    powers: tuple[int, ...]
    rows: int
    budget: int


SIZES = {
    "draft": Sizes((5, 7), 2000, 4),
    "quick": Sizes((9, 11, 13), 20_000, 16),
    "full": Sizes((8, 10, 12, 14, 16), 2**16, 64),
}


def compute(run: Run) -> Columns:
    """Measure the peak of every method; take its quality from `recommender_curves`.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        Panel "quality": for each method and budget, the peak and the AUC. Panel "growth": for each
        method and number of IDs, the bytes of the full tables and the peak.

    Raises
    ------
    FigureInputError
        If the package with the real data is not installed.
    """
    source = next(iter(recommender_curves.SIZES[run.profile].data))
    dim = recommender_curves.SIZES[run.profile].dim
    # its parts are shared: whichever figure is made first trains
    other = Run(
        "recommender-curves", run.seed, run.profile, run.folder, run.progress,
        computed=run.computed, kept=run.kept,
    )  # fmt: skip
    curves = split(recommender_curves.compute(other, [source]), "method")
    curves = {name: rows for name, rows in curves.items() if name in registry()}
    settings = {"dim": dim, "engine": files_digest(ENGINE)}
    data = cache(partial(recommender_curves.loaded, source))
    cells = [(name, int(k)) for name, rows in curves.items() for k in rows["params/dim"]]
    peaks = run.part(
        f"{source}, peaks",
        settings | {"data": source, "cells": cells},
        partial(peaks_of, data, cells, dim),
    )
    auc = np.concatenate([rows["AUC"] for rows in curves.values()])
    parts = [
        {"panel": np.repeat(QUALITY, len(cells)), **peaks, "AUC": auc}
        | {"tables": np.repeat(table_bytes(data().cardinalities, dim), len(cells))}
    ]
    sizes = SIZES[run.profile]
    cells = [(name, sizes.budget if name != "full" else 0) for name in registry()]
    for power in sizes.powers:
        rows = cache(partial(random_rows, 2**power, sizes.rows))
        parameters = settings | asdict(sizes) | {"power": power, "cells": cells}
        measure = partial(peaks_of, rows, cells, dim)
        peaks = run.part(f"2^{power} IDs", parameters, measure)
        size = table_bytes((2**power,) * 2, dim)
        parts.append(
            {"panel": np.repeat(GROWTH, len(cells)), **peaks}
            | {"AUC": np.repeat(np.nan, len(cells)), "tables": np.repeat(size, len(cells))}
        )
    return stack(parts)


def table_bytes(cardinalities: tuple[int, ...], dim: int) -> float:
    """Bytes of full tables in float32."""
    return float(FLOAT * dim * sum(cardinalities))


def random_rows(count: int, rows: int) -> Dataset:
    """Users and items each as likely as any other; labels by chance."""
    rng = np.random.default_rng(count)
    drawn = Interactions.of(rng.integers(0, count, (rows, 2)), rng.integers(0, 2, rows))
    validation = drawn.subset(slice(BATCH))
    return Dataset(f"random:{count}", ("user", "item"), (count, count), drawn, validation)


def peaks_of(
    data: Callable[[], Dataset],
    cells: list[tuple[str, int]],
    dim: int,
    stream: np.random.SeedSequence,
    progress: Progress,
) -> Columns:
    """The peak of each method and budget; a budget of 0 is the full table's."""
    rows, peaks = data(), []
    for done, (method, budget) in enumerate(cells):
        progress(done, len(cells))
        choice = MethodChoice.parse(method)
        experiment = Experiment(method=choice, params_per_dim=max(budget, 1), dim=dim)
        peaks.append(peak_of(experiment, rows))
    return {
        "method": np.array([method for method, _ in cells]),
        "params/dim": np.array([budget for _, budget in cells]),
        "peak": np.array(peaks, dtype=float),
    }


class InOrder(Trainer):
    """A trainer that takes the rows as they come: it holds no order, and copies none."""

    def blocks(self, skip: int) -> Iterator[Interactions]:
        """The rows of an epoch, but for the first ``skip``."""
        for start, stop in row_chunks(len(self.data.train), BATCH * BLOCK_BATCHES):
            if start >= skip:
                yield self.data.train.subset(slice(start, stop))


def peak_of(experiment: Experiment, data: Dataset) -> int:
    """Most bytes that training allocates at once, in steps of a kibibyte."""
    train(experiment, data)  # compiles and imports what it needs
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        train(experiment, data)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return 1024 * round(peak / 1024)


def train(experiment: Experiment, data: Dataset) -> None:
    """The epochs of `OPTIONS`."""
    model = experiment.make_model(data)
    InOrder(model, data, experiment.optimizer, OPTIONS).run()


def draw(columns: Columns) -> Figure:
    """Two panels, quality and growth, and one legend.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 3.9), layout="constrained")
    quality, growth = figure.subplots(1, 2)
    panels = split(columns, "panel")
    _draw_lines(quality, panels[QUALITY], "peak", "AUC")
    table = panels[QUALITY]["tables"][0]
    quality.axvline(table, color="#BFBFBF", linewidth=3, zorder=1)
    low = quality.get_ylim()[0]
    write_beside(quality, "size of the full tables", table, low, offset=(6, 4))
    quality.set(
        xscale="log", title="(a) quality", xlabel="peak memory of training",
        ylabel="best validation AUC",
    )  # fmt: skip
    tables = np.unique(panels[GROWTH]["tables"])
    growth.plot(tables, tables, color="#BFBFBF", linewidth=3, zorder=1)
    write_beside(growth, "size of the full tables", tables[0], tables[0], offset=(14, 0))
    _draw_lines(growth, panels[GROWTH], "tables", "peak")
    growth.set(
        xscale="log", yscale="log", title="(b) growth", xlabel="size of the full tables",
        ylabel="peak memory of training",
    )  # fmt: skip
    quality.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    for axis in (quality.xaxis, growth.xaxis, growth.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_words(value)))
        axis.set_minor_locator(NullLocator())
    methods = dict.fromkeys(columns["method"].tolist())
    order = [*OURS, *(name for name in LOOKS if name in methods and name not in OURS)]
    figure.legend(
        handles=[draw_handle(name) for name in order],
        loc="outside lower center", ncols=5, columnspacing=1.4, handlelength=2.6,
    )  # fmt: skip
    return figure


def _draw_lines(ax: Axes, part: Columns, x: str, y: str) -> None:
    for name, rows in split(part, "method").items():
        look, ours = LOOKS[name], name in OURS
        ax.plot(
            rows[x], rows[y], color=look.colour, linestyle=look.line, marker=look.marker,
            linewidth=1.6 if ours else 0.9, markersize=6 if name == "full" else 3.5,
            zorder=4 if ours else 3,
        )  # fmt: skip
