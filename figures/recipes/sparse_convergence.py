"""Sparse CCE over its rounds: where it converges, where it stalls, and why.

Excess e_i / e_0 of Sparse CCE (Algorithm 2 of "Clustering the Sketch") on an orthonormal design,
d1 = 256, d2 = 8, with k = 96: after the first round 48 clusters and 48 buckets. Means over 60
trials (the bound is on means), with the 10-90 % band of e_i. Three tables T*: (a) 16 distinct rows;
(b) the same plus Gaussian noise of 0.3 standard deviations; (c) Gaussian rows, no clusters at all.

Shown are the table T_i, the best codebook for the clusters of T_i alone (a_i, no buckets), the
quantisation error sigma_1^2 kappa_i of clustering T_i, all over e_0, and the floor, k-means of T*
itself to 48 clusters, re-solved. The bound sparse-neighbourhood is drawn step by step, from the
measured excess and quantisation error of the round before; unrolled, its neighbourhood is larger
than e_0 here, so it only proves convergence as kappa vanishes.

In (a) the quantisation error vanishes and the excess with it: T* is found. In (b, c) the clusters
can get no better than those of T*: a_i stalls above the floor, the quantisation error with it, and
each round loses in clustering what it gained by solving. The fresh buckets keep the table itself a
little below its codebook.

The quick profile has d1 = 96, k = 40 and 10 trials.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lsq_sketch import LeastSquares, kmeans, resolve, sparse_cce
from lsq_sketch.threads import single_threaded_blas
from proofs_check.claims import dense_count_sketch_rate
from proofs_check.experiments import initial_excess

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LABEL_SIZE, LOOKS, PAGE_WIDTH, text_colour
from ..trials import Progress, run_trials

D2 = 8


@dataclass(frozen=True)
class Sizes:
    """Columns of the design, distinct rows, parameters, rounds, trials."""

    d1: int
    distinct: int
    k: int
    rounds: int
    trials: int


SIZES = {
    "draft": Sizes(32, 4, 16, 5, 3),
    "quick": Sizes(96, 8, 40, 20, 10),
    "full": Sizes(256, 16, 96, 25, 60),
}

TABLES = {"distinct rows": 0.0, "near distinct rows": 0.3, "random rows": None}
"""Standard deviation of the noise around the distinct rows; None has no distinct rows."""


def compute(run: Run) -> Columns:
    """Run Sparse CCE on each table.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each table and round: means over the trials, over ``e_0``; nan where there is none yet.
    """
    sizes = SIZES[run.profile]
    parts = []
    for name, noise in TABLES.items():
        parameters = asdict(sizes) | {"noise": noise}
        part = run.part(name, parameters, partial(measure, sizes, noise))
        c = dense_count_sketch_rate.rate(1 / sizes.d1, sizes.k // 2)
        bound = np.full(sizes.rounds + 1, np.nan)
        bound[2:] = c * (np.sqrt(part["excess"][1:-1]) + np.sqrt(part["quantisation"][1:-1])) ** 2
        parts.append(
            {
                "table": np.repeat(name, sizes.rounds + 1),
                "round": np.arange(sizes.rounds + 1),
                **part,
                "sparse-neighbourhood": bound,
            }
        )
    return stack(parts)


def build(sizes: Sizes, noise: float | None, rng: np.random.Generator) -> LeastSquares:
    """Orthonormal columns (so that sigma_1 = 1 and rho = 1/d1) and the wanted optimum."""
    table = rng.standard_normal((sizes.d1, D2))
    if noise is not None:
        rows = rng.standard_normal((sizes.distinct, D2))
        table = rows[rng.integers(0, sizes.distinct, sizes.d1)] + noise * table
    X = np.linalg.qr(rng.standard_normal((2 * sizes.d1, sizes.d1)))[0]
    return LeastSquares(X, X @ table)


def measure(
    sizes: Sizes, noise: float | None, seed: np.random.SeedSequence, progress: Progress
) -> Columns:
    """Means of excess, codebook excess and quantisation error over ``e_0``; the floor."""
    problem_seed, trial_seed = seed.spawn(2)
    with single_threaded_blas():
        problem = build(sizes, noise, np.random.default_rng(problem_seed))
        scale = initial_excess(problem)
        clusters = sizes.k // 2
        found = [kmeans(problem.optimum, clusters, restart).assignments for restart in range(5)]
        floor = min(resolve(problem, assignments).excess for assignments in found) / scale

    def trial(_: None, rng: np.random.Generator) -> np.ndarray:
        run = sparse_cce(problem, sizes.k, sizes.rounds, rng)
        missing = [np.nan]
        return np.stack(
            [
                run.excess,
                np.append(missing, run.resolved_excess),
                np.append(missing, run.quantization_cost),
            ]
        )

    (results,) = run_trials(trial, [None], sizes.trials, trial_seed, progress)
    results = results / scale
    low, high = np.quantile(results[:, 0], (0.1, 0.9), axis=0)
    excess, codebook, quantisation = results.mean(axis=0)
    return {
        "excess": excess,
        "excess 10%": low,
        "excess 90%": high,
        "codebook": codebook,
        "quantisation": quantisation,
        "floor": np.full(sizes.rounds + 1, floor),
    }


LINES = {
    "sparse-neighbourhood": LOOKS["sparse-neighbourhood"],
    "floor": LOOKS["k-means-of-optimum"],
    "quantisation": LOOKS["clustered"],
    "codebook": LOOKS["resolved"],
    "excess": LOOKS["cce"],
}
LABELS = {
    "sparse-neighbourhood": "sparse-neighbourhood",
    "floor": "floor: k-means of $T^{*}$",
    "quantisation": r"quantisation error $\sigma_1^2 \kappa_i$",
    "codebook": "codebook alone $a_i$",
    "excess": "table $T_i$",
}
LOWEST = 1e-3


def draw(columns: Columns) -> Figure:
    """Three panels, one a table, and one legend.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 2.75), layout="constrained")
    panels = split(columns, "table")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    for letter, ax, (table, part) in zip("abc", axes, panels.items(), strict=True):
        _draw_panel(ax, part)
        ax.set_title(f"({letter}) {table}")
        ax.set_xlabel("round $i$")
    axes[0].set_yscale("log")
    axes[0].set_ylim(LOWEST, 1.5)
    axes[0].set_ylabel("share of $e_0$")
    if panels["distinct rows"]["excess"][-1] < LOWEST:
        axes[0].text(
            0.98, 0.05, "all reach 0", ha="right", transform=axes[0].transAxes,
            fontsize=LABEL_SIZE, color=text_colour("cce"),
        )  # fmt: skip
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncols=5, columnspacing=1.2,
        handlelength=2.0, handletextpad=0.5,
    )  # fmt: skip
    return figure


def _draw_panel(ax: Axes, part: Columns) -> None:
    ax.fill_between(
        part["round"], part["excess 10%"], part["excess 90%"],
        color=LINES["excess"].colour, alpha=0.2, linewidth=0,
    )  # fmt: skip
    for shift, (name, look) in enumerate(LINES.items()):
        ax.plot(
            part["round"], part[name], color=look.colour, linestyle=look.line, marker=look.marker,
            markevery=(shift % 3, 3), label=LABELS[name],
        )  # fmt: skip
