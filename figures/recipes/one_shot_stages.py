"""One shot: the loss after sketch, after clustering and after re-solve, against the sketch width.

Excess loss (L(T) - L*) / (L(0) - L*) of the stages of the one-shot pipeline (sketch, solve,
cluster, re-solve) for sketches of k buckets and K = 16 clusters: median and 10-90 % band of 40
trials. 0 is the optimum T*, 1 the zero table. Black, for comparison: k-means of T* itself to the
same K clusters, re-solved, which needs the full table. What the sketch stores grows with k; the
re-solved table always has K rows.

(a) Planted clusters: a Gaussian design, n = 2,048, d1 = 256, d2 = 8, and T* near 16 distinct rows.
Rows that share a bucket spoil each other's clusters: one shot with k = 4 d1 is still far from
k-means of T*.
(b) Scikit-learn's digits: 64 pixels to 10 one-hot labels. T* has its largest rows at pixels that
are lit in a few images only, where k-means spends its clusters: the clustered table can be worse
than zero, re-solving repairs much of it, and clusters from a narrow sketch beat those of T*.

The quick profile has n = 512, d1 = 64, d2 = 4, K = 8 in (a), fewer widths, and 8 trials.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from lsq_sketch import LeastSquares, kmeans, one_shot, resolve
from lsq_sketch.threads import single_threaded_blas
from proofs_check.experiments import initial_excess
from proofs_check.instances import catalogue

from ..columns import MEDIAN, Columns, quantiles, split, stack
from ..run import Run
from ..style import LOOKS, PAGE_WIDTH, draw_trials, label_ends
from ..trials import Progress, run_trials

SERIES = ("sketched", "clustered", "resolved", "k-means-of-optimum")


@dataclass(frozen=True)
class Sizes:
    """Sizes of the planted problem; powers of two ``k / d1`` on both; trials."""

    n: int
    d1: int
    d2: int
    n_clusters: int
    powers: range
    trials: int


SIZES = {
    "draft": Sizes(128, 32, 2, 4, range(-2, 1), 4),
    "quick": Sizes(512, 64, 4, 8, range(-2, 2), 8),
    "full": Sizes(2048, 256, 8, 16, range(-4, 3), 40),
}

DIGITS_CLUSTERS = 16


def compute(run: Run) -> Columns:
    """Run the trials.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each problem and width: quantiles over the trials of the excess of each of `SERIES`,
        relative to that of the zero table.
    """
    sizes = SIZES[run.profile]
    return stack(
        run.part(name, asdict(sizes) | {"problem": name}, partial(measure, sizes, name))
        for name in PROBLEMS
    )


def measure(sizes: Sizes, name: str, seed: np.random.SeedSequence, progress: Progress) -> Columns:
    """Quantiles of the stages on one problem."""
    problem_seed, trial_seed = seed.spawn(2)
    problem, clusters = PROBLEMS[name](sizes, np.random.default_rng(problem_seed))
    scale = initial_excess(problem)
    ratios = 2.0 ** np.array(sizes.powers)

    def trial(_: None, rng: np.random.Generator) -> np.ndarray:
        reference = resolve(problem, kmeans(problem.optimum, clusters, rng).assignments)
        shots = [one_shot(problem, int(problem.d1 * ratio), clusters, rng) for ratio in ratios]
        stages = [(shot.sketched, shot.clustered, shot.resolved, reference) for shot in shots]
        return np.array([[stage.excess / scale for stage in row] for row in stages])

    (excess,) = run_trials(trial, [None], sizes.trials, trial_seed, progress)
    part: Columns = {
        "problem": np.repeat(name, ratios.size),
        "k": (problem.d1 * ratios).astype(int),
        "k / d1": ratios,
    }
    for j, series in enumerate(SERIES):
        part |= quantiles(series, excess[..., j])
    return part


def planted_clusters(sizes: Sizes, rng: np.random.Generator) -> tuple[LeastSquares, int]:
    """A Gaussian design whose optimum lies near ``n_clusters`` distinct rows."""
    rows = rng.standard_normal((sizes.n_clusters, sizes.d2))
    table = rows[rng.integers(0, sizes.n_clusters, sizes.d1)]
    table += 0.2 * rng.standard_normal(table.shape)
    X = rng.standard_normal((sizes.n, sizes.d1))
    with single_threaded_blas():
        Y = X @ table + rng.standard_normal((sizes.n, sizes.d2))
    return LeastSquares(X, Y), sizes.n_clusters


def digits(sizes: Sizes, rng: np.random.Generator) -> tuple[LeastSquares, int]:
    """The digits, whatever the sizes."""
    return catalogue()["digits"].problem, DIGITS_CLUSTERS


PROBLEMS = {"planted clusters": planted_clusters, "digits": digits}
"""How each is built, and the clusters asked for."""


def draw(columns: Columns) -> Figure:
    """Two panels, one a problem.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 2.6), layout="constrained")
    panels = split(columns, "problem")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    for letter, ax, (problem, part) in zip("ab", axes, panels.items(), strict=True):
        ax.axhline(0, color=LOOKS["optimum"].colour, linestyle=LOOKS["optimum"].line)
        for series in SERIES:
            draw_trials(ax, "k / d1", part, series)
        ax.set_title(f"({letter}) {problem}")
        ax.set_xlabel("sketch width $k / d_1$")
    ratios = columns["k / d1"]
    ax = axes[0]
    ax.set_ylabel(r"excess $(L(T) - L^{*})\,/\,(L(0) - L^{*})$")
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    ax.set_xscale("log", base=2)
    ax.set_xticks(np.unique(ratios), [str(Fraction(ratio)) for ratio in np.unique(ratios)])
    ax.set_xlim(ratios.min() / 1.1, ratios.max() * 1.1)
    ends = {series: part[f"{series} {MEDIAN}"][-1] for series in SERIES}
    label_ends(figure, axes[-1], [*ends.items(), ("optimum", 0.0)])
    return figure
