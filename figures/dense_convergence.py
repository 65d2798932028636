"""Dense CCE: excess against iteration, beside its bounds.

Excess e_i / e_0 of Dense CCE after i rounds on least squares with n = 10,000 examples, d1 = 1,000
columns, d2 = 10 random targets and k = 110 (m = 100 fresh noise columns a round): median and
10-90 % band of 100 trials, with Gaussian and with whitened noise, as in Algorithm 1 of "Clustering
the Sketch". Lines without markers are theory, on the mean: the paper's Theorem 3.1 (dense-rate),
the sharper bound from the whole spectrum (dense-quadrature-rate), and the exact mean for whitened
noise (whitened-law).

(a) All singular values equal: both noises have the same law, and the quadrature bound is exact.
(b) Singular values fall geometrically from 1 to 1/10: the bounds hold for the worst targets, those
in the smallest singular direction, and are far above random ones; whitened noise does not see the
spectrum.

The designs are random with these exact spectra, so that the condition number is 10 and not that of
a draw; the targets have as much in each singular direction, on average. The quick profile has
n = 1,000, d1 = 100, d2 = 4, k = 20 and 30 trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from lsq_sketch import LeastSquares, dense_cce
from lsq_sketch.threads import single_threaded_blas
from proofs_check.claims import dense_quadrature_rate, dense_rate, whitened_law
from proofs_check.instances import with_spectrum

from .columns import MEDIAN, Columns, quantiles, split, stack
from .style import LABEL_SIZE, PAGE_WIDTH, draw_line, draw_trials, label_ends, label_line
from .trials import Progress, run_trials, silent

NOISES = ("gaussian", "whitened")
BOUNDS = ("dense-rate", "dense-quadrature-rate", "whitened-law")

CONDITIONS = {"flat spectrum": 1.0, "geometric spectrum, condition 10": 10.0}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the problems and of the experiment, named as in the paper."""

    n: int
    d1: int
    k: int
    d2: int
    trials: int
    iterations: int = 20


SIZES = {"quick": Sizes(1000, 100, 20, 4, 30), "full": Sizes(10_000, 1000, 110, 10, 100)}


def compute(seed: int = 0, profile: str = "full", progress: Progress = silent) -> Columns:
    """Run the trials and evaluate the bounds.

    Parameters
    ----------
    seed : int
    profile : {"quick", "full"}
    progress : callable
        Called with the number of trials done and in all.

    Returns
    -------
    Columns
        For each design and iteration: quantiles of ``e_i / e_0`` over the trials for both
        noises, and the bounds on its mean.
    """
    sizes = SIZES[profile]
    *problem_seeds, trial_seed = np.random.SeedSequence(seed).spawn(len(CONDITIONS) + 1)
    with single_threaded_blas():
        problems = [
            random_problem(sizes, condition, np.random.default_rng(child))
            for condition, child in zip(CONDITIONS.values(), problem_seeds, strict=True)
        ]

    def trial(problem: LeastSquares, rng: np.random.Generator) -> np.ndarray:
        runs = [dense_cce(problem, sizes.k, sizes.iterations, noise, rng) for noise in NOISES]
        return np.stack([run.excess / run.excess[0] for run in runs])

    m = sizes.k - sizes.d2
    bound_columns = [bounds(problem, m, sizes.iterations) for problem in problems]
    results = run_trials(trial, problems, sizes.trials, trial_seed, progress)
    parts = []
    for design, bound, ratios in zip(CONDITIONS, bound_columns, results, strict=True):
        part: Columns = {
            "design": np.repeat(design, sizes.iterations + 1),
            "iteration": np.arange(sizes.iterations + 1),
        }
        for j, noise in enumerate(NOISES):
            part |= quantiles(noise, ratios[:, j])
        parts.append(part | bound)
    return stack(parts)


def random_problem(sizes: Sizes, condition: float, rng: np.random.Generator) -> LeastSquares:
    """A random design with geometric spectrum, and targets of no preferred direction."""
    sigma = np.geomspace(1, 1 / condition, sizes.d1)
    return with_spectrum(sigma, rng.standard_normal((sizes.d1, sizes.d2)), rng, sizes.n)


def bounds(problem: LeastSquares, m: int, iterations: int) -> Columns:
    """The bounds on ``E e_i / e_0``, by the claims' own functions.

    Parameters
    ----------
    problem : LeastSquares
        With ``rank(X T*) = d2 <= m``.
    m : int
        Fresh noise columns a round.
    iterations : int

    Returns
    -------
    Columns
        One of ``iterations + 1`` rows for each of `BOUNDS`.
    """

    def product(first: float, later: float) -> np.ndarray:
        return np.cumprod([1.0, first] + [later] * (iterations - 1))

    r, d2, sigma = problem.rank, problem.d2, problem.singular_values
    paper = dense_rate.rate(problem.rho, m)
    sharper, law = dense_quadrature_rate.rate, whitened_law.rate
    return {
        "dense-rate": product(paper, paper),
        "dense-quadrature-rate": product(sharper(sigma, m), sharper(sigma, m, d2)),
        "whitened-law": product(law(r, m), law(r, m, d2)),
    }


def draw(columns: Columns) -> Figure:
    """Two panels, one a design.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 2.5), layout="constrained")
    panels = split(columns, "design")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    for letter, ax, (design, part) in zip("ab", axes, panels.items(), strict=True):
        for bound in BOUNDS:
            draw_line(ax, "iteration", part, bound)
        for noise in NOISES:
            draw_trials(ax, "iteration", part, noise)
        ax.set_title(f"({letter}) {design}")
        ax.set_xlabel("iteration $i$")
    ax = axes[0]
    ax.set_yscale("log")
    ax.set_ylabel("excess $e_i / e_0$")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks(range(0, 21, 5))
    ax.set_xlim(-0.3, columns["iteration"].max() + 0.3)
    ends = {name: part[name][-1] for name in BOUNDS}
    ends |= {noise: part[f"{noise} {MEDIAN}"][-1] for noise in NOISES}
    label_ends(figure, axes[-1], ends.items())
    flat = next(iter(panels.values()))
    middle = 3 * len(flat["iteration"]) // 5
    label_line(ax, "dense-rate", flat["iteration"][middle], flat["dense-rate"][middle])
    ax.text(
        0.04, 0.06, "dense-quadrature-rate, whitened-law\nand both noises coincide",
        transform=ax.transAxes, fontsize=LABEL_SIZE,
    )  # fmt: skip
    return figure
