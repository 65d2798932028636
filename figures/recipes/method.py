"""The method: hash, train, cluster, hash again, on an actual small run of Sparse CCE.

Twenty-four IDs, each a row of a table with two columns, are drawn as points of the plane, coloured
and marked by their true cluster: T* has four distinct rows (grey crosses). Sparse CCE with k = 12
on an orthonormal design; all numbers are of one run.

(a) Hash and train: IDs share twelve buckets with random signs, so the rows of T_1 are the trained
codewords and their mirror images, and true clusters are torn apart. (b) Cluster: k-means replaces
each row by one of six codewords (black; arrows). (c) Hash again and train: the rows of T_2 are a
codeword of the clusters plus one of six fresh signed buckets. (d) Cluster again. (e-h) And so on:
arrows from the rows of T_i to their codewords, until no cluster mixes true ones and the table
is T*.

All profiles are the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lsq_sketch import BucketMatrix, CountSketch, LeastSquares, fit_sum, kmeans
from lsq_sketch.threads import single_threaded_blas

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LABEL_SIZE, PAGE_WIDTH
from ..trials import Progress


@dataclass(frozen=True)
class Sizes:
    """IDs, distinct rows of ``T*``, parameters a column, rounds."""

    d1: int = 24
    distinct: int = 4
    k: int = 12
    rounds: int = 12


SIZES = Sizes()
ROWS = np.array([[2.0, 1.4], [-1.8, 1.6], [-1.4, -1.8], [1.7, -1.3]])
PROBLEM_SEED = 3


def compute(run: Run) -> Columns:
    """Run Sparse CCE round by round.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each round and ID: true cluster, row of the table, its codeword, and the excess.
    """
    return run.part("rounds", asdict(SIZES) | {"rows": ROWS}, measure)


def measure(seed: np.random.SeedSequence, progress: Progress) -> Columns:
    """All tables and codewords."""
    rng = np.random.default_rng(seed)
    labels = np.arange(SIZES.d1) % SIZES.distinct
    problem_rng = np.random.default_rng(PROBLEM_SEED)
    parts = []
    with single_threaded_blas():
        X = np.linalg.qr(problem_rng.standard_normal((2 * SIZES.d1, SIZES.d1)))[0]
        problem = LeastSquares(X, X @ ROWS[labels])
        scale = problem.excess(np.zeros((SIZES.d1, 2)))
        blocks: list[BucketMatrix] = [CountSketch(SIZES.d1, SIZES.k, rng)]
        for i in range(1, SIZES.rounds + 1):  # Algorithm 2, with its tables at hand
            found = fit_sum(problem, blocks)
            clustering = kmeans(found.table, SIZES.k // 2, rng)
            codewords = clustering.centroids[clustering.labels]
            parts.append(
                {
                    "round": np.repeat(i, SIZES.d1),
                    "id": np.arange(SIZES.d1),
                    "true cluster": labels,
                    "row x": found.table[:, 0],
                    "row y": found.table[:, 1],
                    "cluster": clustering.labels.astype(int),
                    "codeword x": codewords[:, 0],
                    "codeword y": codewords[:, 1],
                    "excess": np.repeat(max(0.0, found.excess / scale), SIZES.d1),
                }
            )
            blocks = [clustering.assignments, CountSketch(SIZES.d1, SIZES.k // 2, rng)]
    return stack(parts)


LOOKS_OF_CLUSTERS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))


def draw(columns: Columns) -> Figure:
    """Two rows of planes.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 3.9), layout="constrained")
    axes = figure.subplots(2, 4, sharex=True, sharey=True)
    rounds = {int(name): part for name, part in split(columns, "round").items()}
    last = max(rounds)
    done = next((i for i, part in rounds.items() if part["excess"][0] < 1e-12), last)
    later = (3, *np.unique(np.linspace(4, max(done, 6), 3).astype(int)).tolist())
    plan = [
        (1, False, "hash, train: $T_1$"),
        (1, True, "cluster"),
        (2, False, "hash again, train: $T_2$"),
        (2, True, "cluster again"),
        *((i, True, f"round {i}") for i in later),
    ]
    for letter, ax, (i, clustered, title) in zip("abcdefgh", axes.flat, plan, strict=True):
        part = rounds[i]
        _draw_plane(ax, part, clustered)
        excess = part["excess"][0]
        ax.set_title(f"({letter}) {title}", fontsize=8)
        share = f"{excess:.2f}" if excess >= 0.005 else "0"
        ax.text(
            0.5, 0.03, f"$e_{{{i}}} / e_0$ = {share}", transform=ax.transAxes, ha="center",
            fontsize=LABEL_SIZE,
        )  # fmt: skip
    return figure


def _draw_plane(ax: Axes, part: Columns, clustered: bool) -> None:
    ax.plot(*ROWS.T, "+", color="#7F7F7F", markersize=9, markeredgewidth=1.0, zorder=1)
    for cluster, (colour, marker) in enumerate(LOOKS_OF_CLUSTERS):
        mine = part["true cluster"] == cluster
        ax.plot(
            part["row x"][mine], part["row y"][mine], marker, color=colour, markersize=3.6,
            markerfacecolor=colour, markeredgecolor="white", markeredgewidth=0.4, zorder=3,
        )  # fmt: skip
    if clustered:
        step = np.stack(
            [part["codeword x"] - part["row x"], part["codeword y"] - part["row y"]], axis=1
        )
        colours = [LOOKS_OF_CLUSTERS[cluster][0] for cluster in part["true cluster"]]
        ax.quiver(
            part["row x"], part["row y"], *step.T, angles="xy", scale_units="xy", scale=1,
            color=colours, width=0.006, headwidth=5, headlength=6, alpha=0.7, zorder=2,
        )  # fmt: skip
        ax.plot(
            part["codeword x"], part["codeword y"], "x", color="black", markersize=6,
            markeredgewidth=1.1, zorder=2.5,
        )  # fmt: skip
    ax.set(xlim=(-2.9, 2.9), ylim=(-3.1, 2.7), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#BBBBBB")
