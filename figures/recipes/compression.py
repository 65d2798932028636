"""Excess against parameters for every way to compress the table, on four least-squares problems.

Excess e(T) / e_0 that is left (0: the full table, d1 parameters a column; 1: the zero table)
against the parameters k that are trained for each output column; codes of IDs are not counted.
Median over trials. Solid: trained with k parameters, as hashing is. Dashed: made from the full
table after it was learned (post-training quantisation), the codebooks re-solved. Dotted, in the
place of the optimal codebook: the best one with k codewords a block that was found here, by
alternating CCE or PQ in any trial; the optimum, which is hard to find, lies at or below it.

Hashing trick (one 1 a row of H), count sketch (random signs), CE (concatenation: one hash for each
of c blocks of columns), sum of two hashes (k/2 buckets each), one shot (sketch of k buckets, k/2
clusters), Sparse CCE (k/2 clusters and k/2 buckets, 10 rounds), alternating CCE (K = k, c blocks,
10 rounds), PQ (K = k, c blocks), RQ (two stages of k/2, whose sums are k^2/4 different rows).

(a) Planted: Gaussian design, d1 = 512, d2 = 8, T* near 32 distinct rows, c = 4. (b) One field of
4,096 IDs with Zipf frequencies, T* around 64 centres, c = 4. (c) MovieLens: ratings from user and
movie, d1 = 9,737, one target, so c = 1: CE is the hashing trick. (d) Flights: three targets
from five fields, d1 = 4,178, c = 3.

The abstract's claim, compression close to post-training quantisation without the full table, holds
here for assignments taken from the loss (alternating CCE); Sparse CCE drops towards it in (a)
once k is half of d1, and elsewhere lies between hashing and quantisation (what each needs in
training: memory). In (a, b) it hardly matters how IDs are hashed, and one shot is no better. In (c)
signs hurt: all effects share a mean, which the hashing trick keeps and a count sketch cancels.

Five trials (three in c, d); the quick profile has smaller problems in (a, b), and fewer k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    LeastSquares,
    alternating_cce,
    fit_concatenation,
    fit_sum,
    hashing_trick,
    one_shot,
    resolve,
    several_hashes,
    sparse_cce,
)
from lsq_sketch.quantize import product_quantization, residual_quantization
from lsq_sketch.threads import single_threaded_blas
from proofs_check.experiments import initial_excess
from proofs_check.instances import catalogue, one_hot

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LABEL_SIZE, LOOKS, PAGE_WIDTH
from ..trials import Progress, run_trials

ROUNDS = 10
INSTANCE_SEED = 5
"""Problems are fixed: the seed of a run changes the trials."""


@dataclass(frozen=True)
class Sizes:
    """IDs and planted rows of the two synthetic problems; powers of two of ``k``; trials."""

    planted: tuple[int, int]
    zipf: tuple[int, int]
    powers: tuple[int, ...]
    trials: int
    trials_of_real: int
    real: bool = True


SIZES = {
    "draft": Sizes((48, 4), (64, 4), (2, 4), 2, 0, real=False),
    "quick": Sizes((128, 8), (512, 16), (3, 4, 5, 6), 3, 1),
    "full": Sizes((512, 32), (4096, 64), (3, 4, 5, 6, 7, 8), 5, 3),
}


@dataclass(frozen=True)
class Case:
    """A problem, and the blocks of columns that have codes of their own."""

    problem: LeastSquares
    blocks: int


def planted(sizes: Sizes) -> Case:
    """Gaussian design, optimum near distinct rows."""
    d1, count = sizes.planted
    rng = np.random.default_rng([INSTANCE_SEED, d1])
    table = rng.standard_normal((count, 8))[rng.integers(0, count, d1)]
    table += 0.1 * rng.standard_normal(table.shape)
    X = rng.standard_normal((4 * d1, d1))
    with single_threaded_blas():
        Y = X @ table + rng.standard_normal((4 * d1, 8))
    return Case(LeastSquares(X, Y), 4)


def zipf(sizes: Sizes) -> Case:
    """One field with Zipf frequencies, optimum around centres."""
    d1, count = sizes.zipf
    rng = np.random.default_rng([INSTANCE_SEED, d1, 1])
    ids = np.repeat(np.arange(d1), np.ceil(5 * d1 / np.arange(1, d1 + 1)).astype(int))
    table = rng.standard_normal((count, 8))[rng.integers(0, count, d1)]
    table += 0.5 * rng.standard_normal(table.shape)
    return Case(LeastSquares(one_hot(ids), table[ids] + rng.standard_normal((ids.size, 8))), 4)


def movielens(sizes: Sizes) -> Case:
    """Ratings by a user and a movie effect."""
    return Case(catalogue()["movielens"].problem, 1)


def flights(sizes: Sizes) -> Case:
    """Delays and air time by five fields."""
    return Case(catalogue()["flights-fields"].problem, 3)


PROBLEMS: dict[str, Callable[[Sizes], Case]] = {
    "planted clusters": planted,
    "one field, Zipf": zipf,
    "MovieLens": movielens,
    "flights": flights,
}
REAL = ("MovieLens", "flights")


def _pq(case: Case, k: int, rng: np.random.Generator) -> list[BucketMatrix]:
    codes = product_quantization(case.problem.optimum, k, case.blocks, rng).codes
    return [BucketMatrix(labels, k) for labels in codes]


def _rq(case: Case, k: int, rng: np.random.Generator) -> list[BucketMatrix]:
    codes = residual_quantization(case.problem.optimum, k // 2, 2, rng).codes
    return [BucketMatrix(labels, k // 2) for labels in codes]


Method = Callable[[Case, int, np.random.Generator], float]

METHODS: dict[str, Method] = {
    "count-sketch": lambda case, k, rng: (
        resolve(case.problem, CountSketch(case.problem.d1, k, rng)).excess
    ),
    "hash": lambda case, k, rng: (
        resolve(case.problem, hashing_trick(case.problem.d1, k, rng)).excess
    ),
    "ce": lambda case, k, rng: (
        fit_concatenation(case.problem, several_hashes(case.problem.d1, k, case.blocks, rng)).excess
    ),
    "bloom": lambda case, k, rng: (
        fit_sum(case.problem, several_hashes(case.problem.d1, k // 2, 2, rng)).excess
    ),
    "one-shot": lambda case, k, rng: one_shot(case.problem, k, k // 2, rng).resolved.excess,
    "cce": lambda case, k, rng: float(sparse_cce(case.problem, k, ROUNDS, rng).excess[-1]),
    "alternating": lambda case, k, rng: float(
        alternating_cce(case.problem, k, ROUNDS, rng, n_chunks=case.blocks).excess[-1]
    ),
    "rq": lambda case, k, rng: fit_sum(case.problem, _rq(case, k, rng)).excess,
    "pq": lambda case, k, rng: fit_concatenation(case.problem, _pq(case, k, rng)).excess,
}
"""Excess of each method with ``k`` parameters a column."""

POST_TRAINING = ("pq", "rq")


def compute(run: Run) -> Columns:
    """Compress every problem by every method to every size.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each problem, method and ``k``: median and quantiles of the excess over trials.

    Raises
    ------
    ModuleNotFoundError
        If the package with the real data is not installed.
    """
    sizes = SIZES[run.profile]
    parts = []
    for name, build in PROBLEMS.items():
        if name in REAL and not sizes.real:
            continue
        trials = sizes.trials_of_real if name in REAL else sizes.trials
        case = cache(partial(build, sizes))
        for power in sizes.powers:
            k = 2**power
            parameters = asdict(sizes) | {"problem": name, "k": k, "methods": list(METHODS)}
            part = run.part(f"{name}, k = {k}", parameters, partial(measure, case, k, trials))
            rows = len(part["method"])
            parts.append({"problem": np.repeat(name, rows), "k": np.repeat(k, rows), **part})
    return stack(parts)


def measure(
    build: Callable[[], Case], k: int, trials: int, seed: np.random.SeedSequence, progress: Progress
) -> Columns:
    """All methods at one size; the best found of all trials as the floor."""
    case = build()
    scale = initial_excess(case.problem)

    # with one block CE is the hashing trick
    methods = {name: method for name, method in METHODS.items() if name != "ce" or case.blocks > 1}

    def trial(_: None, rng: np.random.Generator) -> np.ndarray:
        streams = rng.spawn(len(methods))
        pairs = zip(methods.values(), streams, strict=True)
        found = [method(case, k, stream) for method, stream in pairs]
        return np.array(found) / scale

    (excess,) = run_trials(trial, [None], trials, seed, progress)
    excess = np.maximum(excess, 0)
    low, median, high = np.quantile(excess, (0.1, 0.5, 0.9), axis=0)
    single = [list(methods).index(name) for name in ("alternating", "pq")]
    floor = excess[:, single].min()
    return {
        "method": np.array([*methods, "floor"]),
        "parameters / d1": np.repeat(k / case.problem.d1, len(methods) + 1),
        "median": np.append(median, floor),
        "10%": np.append(low, floor),
        "90%": np.append(high, floor),
    }


def draw(columns: Columns) -> Figure:
    """Four panels, one a problem, and one legend.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 5.4), layout="constrained")
    panels = split(columns, "problem")
    axes = figure.subplots(2, 2)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for letter, ax, (problem, part) in zip("abcd", axes.flat, panels.items(), strict=False):
        for name, rows in split(part, "method").items():
            look = LOOKS[name]
            ax.plot(
                rows["k"], rows["median"], color=look.colour, linestyle=look.line,
                marker=look.marker, zorder=4 if name in ("cce", "alternating") else 3,
            )  # fmt: skip
        ks = np.unique(part["k"])
        d1 = round(part["k"][0] / part["parameters / d1"][0])
        ax.set_title(f"({letter}) {problem}, $d_1$ = {d1:,}")
        ax.text(
            0.03, 0.04, f"full table: 0 at $k$ = {d1:,}", transform=ax.transAxes,
            fontsize=LABEL_SIZE,
        )  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(ks, [str(k) for k in ks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_locator(NullLocator())
    for ax in axes[-1]:
        ax.set_xlabel("parameters for each output column $k$")
    for ax in axes[:, 0]:
        ax.set_ylabel("excess $e(T) / e_0$")
    figure.legend(
        handles=[_draw_handle(name) for name in (*METHODS, "floor")],
        loc="outside lower center", ncols=4, columnspacing=1.6, handlelength=2.6,
    )  # fmt: skip
    return figure


def _draw_handle(name: str) -> Line2D:
    look = LOOKS[name]
    settings: dict[str, Any] = {"linestyle": look.line, "marker": look.marker}
    return Line2D([], [], color=look.colour, label=look.label, **settings)
