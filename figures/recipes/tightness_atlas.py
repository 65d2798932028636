"""How tight the bounds on Dense CCE are, over condition number and number of noise columns.

Rounds that a bound asks for, per round that is needed: the ratio of log(E e_1 / e_0), measured, to
the logarithm of the bound, for one round of Dense CCE with Gaussian noise from the zero table. 1 is
tight; 10 means that the bound promises a tenth of the progress that is made. Geometric spectra,
d1 = 128; across: the condition number sigma_1 / sigma_r; up: the noise columns m as a share of d1.

Left: the paper's dense-rate. Right: dense-quadrature-rate. Top: the target is the smallest
singular direction, the worst there is. Bottom: random targets, which no such bound knows of.

(a) For the worst target the paper's bound is nearly tight where few columns are drawn, whatever the
spectrum, and then loses with their number. (b) The quadrature bound is exact for one column, and on
flat spectra; else it gains little, as of what is left after a column it knows interlacing alone.
(c, d) For random targets both are off by orders of magnitude, the more so the worse the condition.

600 trials a cell, 3,600 where few columns are drawn: values are known to a few per cent, and those
below 1 are noise. The quick profile has d1 = 64, fewer cells and 60 trials.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from lsq_sketch import LeastSquares, dense_cce
from lsq_sketch.threads import single_threaded_blas
from proofs_check.claims import dense_quadrature_rate, dense_rate
from proofs_check.instances import with_spectrum

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LABEL_SIZE, PAGE_WIDTH
from ..trials import Progress, run_trials

BOUNDS = ("dense-rate", "dense-quadrature-rate")
SMALLEST, RANDOM = "smallest singular direction", "random targets"
RANDOM_TARGETS = 4
MORE, MORE_BELOW = 6, 16
"""So many times the trials where ``m`` is at most ``d1`` over this."""


@dataclass(frozen=True)
class Sizes:
    """Columns of the design, condition numbers, noise columns, trials a cell."""

    d1: int
    conditions: tuple[float, ...]
    widths: tuple[int, ...]
    trials: int


SIZES = {
    "draft": Sizes(16, (1, 10), (1, 4, 12), 4),
    "quick": Sizes(64, (1, 3, 10, 30, 100), (1, 4, 16, 48), 60),
    "full": Sizes(128, (1, 2, 5, 10, 20, 50, 100, 300, 1000), (1, 2, 4, 8, 16, 32, 64, 96), 600),
}


def compute(run: Run) -> Columns:
    """Measure one round in every cell; evaluate the bounds.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each target, condition and width: the measured mean of ``e_1 / e_0``, both bounds, and
        the factors between the logarithms.
    """
    sizes = SIZES[run.profile]
    parts = []
    for target in (SMALLEST, RANDOM):
        for condition in sizes.conditions:
            name = f"{target}, condition {condition:g}"
            parameters = asdict(sizes) | {"target": target, "condition": condition}
            measured = run.part(name, parameters, partial(measure, sizes, target, condition))
            sigma = np.geomspace(1, 1 / condition, sizes.d1)
            rho = float(sigma[-1] ** 2 / (sigma @ sigma))
            bounds = {
                "dense-rate": np.array([dense_rate.rate(rho, m) for m in sizes.widths]),
                "dense-quadrature-rate": np.array(
                    [dense_quadrature_rate.rate(sigma, m) for m in sizes.widths]
                ),
            }
            logs = np.log1p(-measured["progress"])
            parts.append(
                {
                    "target": np.repeat(target, len(sizes.widths)),
                    "condition": np.repeat(float(condition), len(sizes.widths)),
                    "m": np.array(sizes.widths),
                    "m / d1": np.array(sizes.widths) / sizes.d1,
                    "measured": 1 - measured["progress"],
                    **bounds,
                    **{f"factor of {name}": logs / np.log(b) for name, b in bounds.items()},
                }
            )
    return stack(parts)


def measure(
    sizes: Sizes,
    target: str,
    condition: float,
    seed: np.random.SeedSequence,
    progress: Progress,
) -> Columns:
    """Mean of ``1 - e_1 / e_0``, which may be tiny, for each width."""
    problem_seed, trial_seed = seed.spawn(2)
    rng = np.random.default_rng(problem_seed)
    with single_threaded_blas():
        problem = build(sizes, target, condition, rng)

    def trial(m: int, rng: np.random.Generator) -> np.ndarray:
        excess = dense_cce(problem, m + problem.d2, 1, rng=rng).excess
        return np.array((excess[0] - excess[1]) / excess[0])

    # few columns: much noise in the progress, and little work
    few = [m for m in sizes.widths if MORE_BELOW * m <= sizes.d1]
    many = [m for m in sizes.widths if m not in few]
    seeds = trial_seed.spawn(2)
    results = run_trials(trial, few, MORE * sizes.trials, seeds[0], progress)
    results += run_trials(trial, many, sizes.trials, seeds[1], progress)
    means = dict(zip([*few, *many], [result.mean() for result in results], strict=True))
    return {"progress": np.array([means[m] for m in sizes.widths])}


def build(sizes: Sizes, target: str, condition: float, rng: np.random.Generator) -> LeastSquares:
    """A random design with geometric spectrum; random targets weigh every direction alike."""
    sigma = np.geomspace(1, 1 / condition, sizes.d1)
    if target == RANDOM:
        signs = rng.choice((-1.0, 1.0), (sizes.d1, RANDOM_TARGETS))
        return with_spectrum(sigma, signs, rng, sizes.d1 + RANDOM_TARGETS)
    coefficients = np.zeros((sizes.d1, 1))
    coefficients[-1] = 1
    return with_spectrum(sigma, coefficients, rng, sizes.d1 + 1)


def draw(columns: Columns) -> Figure:
    """Four maps: a row a target, a column a bound.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    targets = split(columns, "target")
    conditions = np.unique(columns["condition"])
    widths, shares = np.unique(columns["m"]), np.unique(columns["m / d1"])
    factors = np.concatenate([columns[f"factor of {bound}"] for bound in BOUNDS])
    norm = LogNorm(1, factors.max())
    letters = iter("abcd")
    for row, (target, part) in zip(axes, targets.items(), strict=True):
        for ax, bound in zip(row, BOUNDS, strict=True):
            grid = part[f"factor of {bound}"].reshape(conditions.size, widths.size).T
            image = ax.imshow(grid, norm=norm, cmap="cividis", origin="lower", aspect="auto")
            for (y, x), value in np.ndenumerate(grid):
                dark = norm(value) < 0.5
                ax.text(
                    x, y, _short(value), ha="center", va="center", fontsize=7,
                    color="white" if dark else "black",
                )  # fmt: skip
            ax.set_title(f"({next(letters)}) {bound}, {target}")
            ax.set_xticks(range(conditions.size), [f"{c:g}" for c in conditions])
            ax.set_yticks(range(widths.size), [str(Fraction(share)) for share in shares])
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
    for ax in axes[1]:
        ax.set_xlabel(r"condition number $\sigma_1 / \sigma_r$")
    for ax in axes[:, 0]:
        ax.set_ylabel("noise columns $m / d_1$")
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=40)
    bar.set_label("rounds asked for, per round needed", fontsize=LABEL_SIZE)
    bar.outline.set_visible(False)
    return figure


def _short(value: float) -> str:
    """Three characters or four: 1.04, 12, 345, 1.2k, 75k."""
    if value < 9.95:
        return f"{value:.2f}"
    if value < 999.5:
        return f"{value:.0f}"
    return f"{value / 1000:.1f}k" if value < 9950 else f"{value / 1000:.0f}k"
