"""The hashing trick, exactly: expected excess against the number of buckets, without a fit.

Excess e(C M) / e_0 of a table of d1 = 1,000 IDs hashed with signs into m buckets and trained, for
three frequency profiles of the IDs: n = 20,000 one-hot rows shared evenly, in proportion to 1/rank
(Zipf), and to rank^(-3/2). T* has random rows (d2 = 4). Points: mean of 60 hashes, with a 95 %
confidence interval of the mean (mostly smaller than the point). Lines: the formula of
one-hot-exact, evaluated for these very frequencies and rows; nothing is fitted. The more skewed
the frequencies, the fewer buckets are needed: it is rare IDs that collide, and they count little.

The quick profile has 300 IDs and 20 hashes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lsq_sketch import CountSketch, LeastSquares, resolve
from proofs_check.claims import one_hot_exact
from proofs_check.experiments import initial_excess
from proofs_check.instances import one_hot

from ..columns import Columns, split, stack
from ..run import Run
from ..style import COLUMN_WIDTH, LABEL_SIZE, LOOKS, text_colour, write_beside
from ..trials import Progress, run_trials

EXPONENTS = {"uniform": 0.0, "Zipf": 1.0, "rank$^{-3/2}$": 1.5}
D2 = 4
NORMAL_95 = 1.96


@dataclass(frozen=True)
class Sizes:
    """IDs, rows of the design, powers of two of the bucket counts, hashes a point."""

    d1: int
    n: int
    powers: range
    trials: int


SIZES = {
    "draft": Sizes(32, 400, range(0, 7, 3), 5),
    "quick": Sizes(300, 6000, range(11), 20),
    "full": Sizes(1000, 20_000, range(13), 60),
}


def compute(run: Run) -> Columns:
    """Hash and train; evaluate the formula.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each profile and bucket count: the mean with its interval, and the formula.
    """
    sizes = SIZES[run.profile]
    parts = []
    for name, exponent in EXPONENTS.items():
        parameters = asdict(sizes) | {"exponent": exponent}
        measured = run.part(name, parameters, partial(measure, sizes, exponent))
        weights, table = frequencies_and_table(sizes, exponent, run.sequence(name))
        energy = weights * (table**2).sum(axis=1)
        buckets = 2 ** np.array(sizes.powers)
        exact = [one_hot_exact.expected_share(energy, weights, int(m)) for m in buckets]
        parts.append(
            {
                "frequencies": np.repeat(name, buckets.size),
                "buckets": buckets,
                **measured,
                "one-hot-exact": np.array(exact),
            }
        )
    return stack(parts)


def frequencies_and_table(
    sizes: Sizes, exponent: float, seed: np.random.SeedSequence
) -> tuple[np.ndarray, np.ndarray]:
    """ID counts (at least 1 each, about ``n`` in all), and ``T*``."""
    shares = np.arange(1.0, sizes.d1 + 1) ** -exponent
    weights = np.ceil(sizes.n * shares / shares.sum())
    rng = np.random.default_rng(seed.spawn(2)[0])
    return weights, rng.standard_normal((sizes.d1, D2))


def measure(
    sizes: Sizes, exponent: float, seed: np.random.SeedSequence, progress: Progress
) -> Columns:
    """Mean share of the excess left, and its 95 % interval."""
    weights, table = frequencies_and_table(sizes, exponent, seed)
    ids = np.repeat(np.arange(sizes.d1), weights.astype(int))
    problem = LeastSquares(one_hot(ids), table[ids])
    scale = initial_excess(problem)
    buckets = [2**power for power in sizes.powers]

    def trial(m: int, rng: np.random.Generator) -> np.ndarray:
        return np.array(resolve(problem, CountSketch(sizes.d1, m, rng)).excess / scale)

    trial_seed = np.random.SeedSequence(seed.entropy, spawn_key=(1,))
    results = np.array(run_trials(trial, buckets, sizes.trials, trial_seed, progress))
    mean = results.mean(axis=1)
    error = NORMAL_95 * results.std(axis=1, ddof=1) / np.sqrt(sizes.trials)
    return {"mean": mean, "lower": mean - error, "upper": mean + error}


MARKERS = {"uniform": "o", "Zipf": "s", "rank$^{-3/2}$": "^"}


def draw(columns: Columns) -> Figure:
    """One panel.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((COLUMN_WIDTH, 2.5), layout="constrained")
    ax = figure.subplots()
    exact, method = LOOKS["one-hot-exact"], "count-sketch"
    panels = split(columns, "frequencies")
    for name, part in panels.items():
        ax.plot(part["buckets"], part["one-hot-exact"], color=exact.colour, linewidth=0.9, zorder=3)
        ax.errorbar(
            part["buckets"], part["mean"],
            [part["mean"] - part["lower"], part["upper"] - part["mean"]],
            color=LOOKS[method].colour, marker=MARKERS[name], linestyle="none", elinewidth=0.9,
            zorder=4,
        )  # fmt: skip
    ax.set_xscale("log", base=2)
    buckets = np.unique(columns["buckets"])
    ax.set_xticks(buckets[::2], [f"{m:,}" for m in buckets[::2]])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="buckets $m$", ylabel="excess $e / e_0$", ylim=(-0.03, 1.05))
    place = int(0.62 * (len(buckets) - 1))
    for name, part in panels.items():
        offset, side = ((5, 4), "left") if name == "uniform" else ((-6, -9), "right")
        at = place if name != "Zipf" else place + 1
        write_beside(
            ax, name, part["buckets"][at], part["one-hot-exact"][at],
            text_colour(method), offset, ha=side,
        )  # fmt: skip
    ax.text(
        0.03, 0.05, "points: measured\nlines: one-hot-exact", transform=ax.transAxes,
        fontsize=LABEL_SIZE,
    )  # fmt: skip
    return figure
