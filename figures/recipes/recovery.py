"""Recovery of planted clusters against rounds and k, beside the guarantee.

The chance that the clusters found after i rounds are those of T*, so that re-solving their
codebook gives T* itself (excess below 1e-12 e_0). One target, orthonormal design, d1 = 48, T* of
four distinct rows at distance 1 or more; 200 trials a line.

(a) Dense CCE with count-sketch noise of m = k - 1 columns, T_i clustered optimally (the setting of
recovery-probability): measured (solid) and the guarantee 1 - 16 c^i e_0 / (sigma_r^2 delta^2)
(dashed), by m. The guarantee comes two and a half to three times later than recovery; by both, half
the columns take twice the rounds.
(b) Sparse CCE with k/2 clusters and k/2 buckets, for which there is no guarantee: recovery within a
few rounds if k is large, hardly ever if it is small, as the first table must come near enough.

The quick profile has 40 trials and d1 = 32.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lsq_sketch import CountSketch, LeastSquares, sparse_cce
from lsq_sketch.reductions.base import PREVIOUS
from lsq_sketch.threads import single_threaded_blas
from proofs_check.claims import cluster_recovery, dense_count_sketch_rate, recovery_probability
from proofs_check.instances import Instance

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LABEL_SIZE, LOOKS, PAGE_WIDTH, text_colour, write_beside
from ..trials import Progress, run_trials

ROWS = np.array([-2.0, -1.0, 0.5, 2.0])
INSTANCE_SEED = 11
EXACT = 1e-12
DENSE, SPARSE = "Dense CCE", "Sparse CCE"


@dataclass(frozen=True)
class Sizes:
    """Columns, noise widths of (a), k of (b), rounds of each, every how many rounds, trials."""

    d1: int
    widths: tuple[int, ...]
    ks: tuple[int, ...]
    dense_rounds: int
    sparse_rounds: int
    every: int
    trials: int


SIZES = {
    "draft": Sizes(16, (8,), (12, 16), 30, 4, 6, 4),
    "quick": Sizes(32, (4, 8, 16), (10, 12, 16, 24), 80, 20, 2, 40),
    "full": Sizes(48, (4, 8, 16), (12, 16, 20, 24, 32), 120, 30, 2, 200),
}


def compute(run: Run) -> Columns:
    """Run both algorithms; evaluate the guarantee.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each algorithm, width and round: the share of trials that recovered the clusters, and
        the guarantee (nan for Sparse CCE).
    """
    sizes = SIZES[run.profile]
    parts = []
    for algorithm, widths in ((DENSE, sizes.widths), (SPARSE, sizes.ks)):
        measure = measure_dense if algorithm == DENSE else measure_sparse
        for width in widths:
            name = f"{algorithm}, {width}"
            parameters = asdict(sizes) | {"algorithm": algorithm, "width": width}
            part = run.part(name, parameters, partial(measure, sizes, width))
            rounds = part["round"]
            bound = np.full(rounds.size, np.nan)
            if algorithm == DENSE:
                bound = guarantee(sizes, width, rounds)
            parts.append(
                {
                    "algorithm": np.repeat(algorithm, rounds.size),
                    "width": np.repeat(width, rounds.size),
                    **part,
                    "recovery-probability": bound,
                }
            )
    return stack(parts)


def planted(sizes: Sizes) -> Instance:
    """Orthonormal columns, one target, an optimum of exactly four distinct rows."""

    def build() -> LeastSquares:
        rng = np.random.default_rng([INSTANCE_SEED, sizes.d1])
        with single_threaded_blas():
            X = np.linalg.qr(rng.standard_normal((2 * sizes.d1, sizes.d1)))[0]
            labels = rng.permutation(np.arange(sizes.d1) % ROWS.size)
            return LeastSquares(X, X @ ROWS[labels])

    return Instance("planted-exact", "orthonormal columns, four distinct rows", False, build)


def guarantee(sizes: Sizes, m: int, rounds: np.ndarray) -> np.ndarray:
    """``1 - 16 c^i e_0 / (sigma_r^2 delta^2)``, 0 where that is negative."""
    instance = planted(sizes)
    c = dense_count_sketch_rate.rate(instance.problem.rho, m)
    return np.maximum(0.0, 1 - recovery_probability.scale(instance) * c**rounds)


def measure_dense(
    sizes: Sizes, m: int, seed: np.random.SeedSequence, progress: Progress
) -> Columns:
    """Share of trajectories of Dense CCE whose table has the right clusters, by round."""
    instance = planted(sizes)
    problem = instance.problem
    rounds = np.arange(sizes.every, sizes.dense_rounds + 1, sizes.every)

    def trial(_: None, rng: np.random.Generator) -> np.ndarray:
        recovered = np.zeros(rounds.size)
        state = problem.reduction.start()
        for i in range(1, sizes.dense_rounds + 1):  # Algorithm 1, with its table at hand
            state.fit([PREVIOUS, CountSketch(problem.d1, m, rng)])
            if i % sizes.every == 0:
                left = cluster_recovery.excess_after(instance, state.table)
                recovered[i // sizes.every - 1] = left <= EXACT
        return recovered

    (results,) = run_trials(trial, [None], sizes.trials, seed, progress)
    return {"round": rounds, "recovered": results.mean(axis=0)}


def measure_sparse(
    sizes: Sizes, k: int, seed: np.random.SeedSequence, progress: Progress
) -> Columns:
    """Share of trajectories of Sparse CCE whose clusters allow excess 0, by round."""
    problem = planted(sizes).problem
    scale = problem.excess(np.zeros((problem.d1, 1)))

    def trial(_: None, rng: np.random.Generator) -> np.ndarray:
        return sparse_cce(problem, k, sizes.sparse_rounds, rng).resolved_excess <= EXACT * scale

    (results,) = run_trials(trial, [None], sizes.trials, seed, progress)
    return {"round": np.arange(1, sizes.sparse_rounds + 1), "recovered": results.mean(axis=0)}


def draw(columns: Columns) -> Figure:
    """Two panels, one an algorithm.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 2.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    panels = split(columns, "algorithm")
    for ax, (algorithm, part) in zip(axes, panels.items(), strict=True):
        name = "count-sketch-noise" if algorithm == DENSE else "cce"
        for marker, (width, rows) in zip("^osDv", split(part, "width").items(), strict=False):
            ax.plot(
                rows["round"], rows["recovered"], color=LOOKS[name].colour, marker=marker,
                markevery=0.06, markersize=2.8,
            )  # fmt: skip
            first = width == next(iter(split(part, "width")))
            label = f"${'m' if algorithm == DENSE else 'k'}$ = {width}" if first else width
            _draw_width(ax, name, label, rows, "recovered")
            if algorithm == DENSE:
                bound = LOOKS["recovery-probability"]
                ax.plot(
                    rows["round"], rows["recovery-probability"], color=bound.colour,
                    linestyle=bound.line,
                )  # fmt: skip
                _draw_width(ax, "recovery-probability", f"{width}", rows, "recovery-probability")
        ax.set_xlabel("round $i$")
        ax.set_ylim(-0.03, 1.16)
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    last = int(panels[DENSE]["round"].max())
    axes[0].set_xscale("log")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100) if tick <= last]
    axes[0].set_xticks(ticks, [str(tick) for tick in ticks])
    axes[0].xaxis.set_minor_locator(NullLocator())
    axes[0].text(
        0.03, 0.5, "solid: measured\ndashed: recovery-probability",
        transform=axes[0].transAxes, fontsize=LABEL_SIZE,
    )  # fmt: skip
    axes[0].set_ylabel("chance of recovery")
    axes[0].set_title("(a) Dense CCE, count-sketch noise of $m$ columns")
    axes[1].set_title("(b) Sparse CCE, $k$ parameters a column")
    return figure


def _draw_width(ax: Axes, name: str, label: str, rows: Columns, column: str) -> None:
    """Write a width beside its line: at its end, where it gets to 1, or on its way."""
    chance, colour = rows[column], text_colour(name)
    if name == "recovery-probability":
        place, offset, side = int(np.argmax(chance >= 0.7)), (4.0, -2.0), "left"
    elif chance.max() < 0.9:
        place, offset, side = len(chance) - 1, (0.0, 4.0), "right"
    elif name == "cce":
        place, offset, side = int(np.argmax(chance >= 0.5)), (4.0, -5.0), "left"
    else:
        place, offset, side = int(np.argmax(chance >= 0.97)), (-2.0, 6.0), "center"
    if name != "recovery-probability" or chance.max() >= 0.7:
        write_beside(ax, label, rows["round"][place], chance[place], colour, offset, ha=side)
