"""Excess against parameters for every way to compress the table, on four least-squares problems.

Excess e(T) / e_0 that is left (0: the full table, d1 parameters a column; 1: the zero table)
against the parameters k that are trained for each output column; codes of IDs are not counted.
Median over trials. Solid: trained with k parameters, as hashing is. Dashed: made from the full
table after it was learned (post-training quantisation), the codebooks re-solved.

Black: the floor under every codebook of k values a column, proved (proofs_check/floors.py). In
(b, d) the columns of X are orthogonal and it is the optimum itself: weighted k-means in one
dimension, which dynamic programming solves. In (a, c) the optimum is hard to find; it lies in the
grey band, up to the best codebook found (dotted), by a method in any trial or by alternating CCE
from the optimal k-means of T*: 3.3 to 3.5 times the floor in (a), 3.2 to 4.6 in (c). The floor
binds hashing trick, CE, one shot, alternating CCE and PQ. The columns of the others take more
values: RQ goes below it in (c).

Hashing trick (one 1 a row of H), count sketch (random signs), CE (concatenation: one hash for each
column), sum of two hashes (k/2 buckets each), one shot (sketch of k buckets, k/2 clusters), Sparse
CCE (k/2 clusters and k/2 buckets, 10 rounds), alternating CCE and PQ (codes and k codewords for
each column; 10 rounds), RQ (two stages of k/2, whose sums are k^2/4 different rows).

(a) Planted: Gaussian design, d1 = 512, T* near 32 distinct rows of 4 columns. (b) One field of
4,096 IDs with Zipf frequencies, T* around 64 centres, 4 columns. (c) MovieLens: ratings from user
and movie, d1 = 9,737, one column: CE is the hashing trick. (d) Flights: two delays and the air time
by tail number, d1 = 4,043 (with the carrier as a second field the floor would be 0: most
share no aircraft with others).

The abstract's claim, compression close to post-training quantisation without the full table, holds
here for assignments taken from the loss (alternating CCE): 1.2 to 1.4 times the optimum in (b, d),
where PQ has 1.1 to 1.3. Sparse CCE drops in (a) once k is half of d1, and elsewhere lies between
hashing and quantisation (what each needs in training: memory). In (a, b) it hardly matters how IDs
are hashed, and one shot is no better. In (c, d) signs hurt: all effects share a mean, which the
hashing trick keeps and a count sketch cancels.

Five trials (three in c, d); the quick profile has smaller problems in (a, b), and fewer k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    LeastSquares,
    alternating_cce,
    fit_concatenation,
    fit_sum,
    hashing_trick,
    kmeans_1d,
    one_shot,
    resolve,
    several_hashes,
    sparse_cce,
)
from lsq_sketch.quantize import product_quantization, residual_quantization
from lsq_sketch.threads import single_threaded_blas
from proofs_check.experiments import initial_excess
from proofs_check.floors import codebook_floor, column_weights
from proofs_check.instances import catalogue, one_hot

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LABEL_SIZE, LOOKS, PAGE_WIDTH
from ..trials import Progress, run_trials

ROUNDS = 10
TARGETS = 4
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
    """A problem, each of whose columns has codes and codewords of its own.

    Attributes
    ----------
    problem : LeastSquares
    fields : ndarray of int, shape (d1,), optional
        The field of each ID, if there are several.
    """

    problem: LeastSquares
    fields: np.ndarray | None = None

    @property
    def blocks(self) -> int:
        """Blocks of columns."""
        return self.problem.d2


def planted(sizes: Sizes) -> Case:
    """Gaussian design, optimum near distinct rows."""
    d1, count = sizes.planted
    rng = np.random.default_rng([INSTANCE_SEED, d1])
    table = rng.standard_normal((count, TARGETS))[rng.integers(0, count, d1)]
    table += 0.1 * rng.standard_normal(table.shape)
    X = rng.standard_normal((4 * d1, d1))
    with single_threaded_blas():
        Y = X @ table + rng.standard_normal((4 * d1, TARGETS))
    return Case(LeastSquares(X, Y))


def zipf(sizes: Sizes) -> Case:
    """One field with Zipf frequencies, optimum around centres."""
    d1, count = sizes.zipf
    rng = np.random.default_rng([INSTANCE_SEED, d1, 1])
    ids = np.repeat(np.arange(d1), np.ceil(5 * d1 / np.arange(1, d1 + 1)).astype(int))
    table = rng.standard_normal((count, TARGETS))[rng.integers(0, count, d1)]
    table += 0.5 * rng.standard_normal(table.shape)
    Y = table[ids] + rng.standard_normal((ids.size, TARGETS))
    return Case(LeastSquares(one_hot(ids), Y))


def movielens(sizes: Sizes) -> Case:
    """Ratings by a user and a movie effect."""
    problem = catalogue()["movielens"].problem
    fields = np.zeros(problem.d1, int)
    fields[sp.csr_array(problem.X).indices.reshape(problem.n, 2)[:, 1]] = 1
    return Case(problem, fields)


def flights(sizes: Sizes) -> Case:
    """Delays and air time by tail number."""
    X = catalogue()["flights-tail-number"].problem.X
    return Case(LeastSquares(X, catalogue()["flights-fields"].problem.Y))


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

CODEBOOKS = ("hash", "ce", "one-shot", "alternating", "pq")
"""Methods whose tables have at most ``k`` values a column: no other is bound by the floor."""

BEST, FLOOR = "best-codebook", "floor"

BAND = "#D9D9D9"

ZORDERS = {BEST: 2, FLOOR: 2, "cce": 4, "alternating": 4}
"""Of the series that are not at 3."""


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
    """All methods at one size, the best codebook found by any of them, and the floor."""
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
    single = [list(methods).index(name) for name in CODEBOOKS if name in methods]
    best = min(excess[:, single].min(), search(case, k) / scale)
    floor = codebook_floor(case.problem, k, case.fields) / scale
    return {
        "method": np.array([*methods, BEST, FLOOR]),
        "parameters / d1": np.repeat(k / case.problem.d1, len(methods) + 2),
        "median": np.append(median, [best, floor]),
        "10%": np.append(low, [best, floor]),
        "90%": np.append(high, [best, floor]),
    }


def search(case: Case, k: int) -> float:
    """Excess of alternating CCE from the optimal codebooks of ``T*``, IDs weighted by their counts.

    ``T*`` is known up to constants moved between fields: all fields get the same mean.
    """
    weights, table = column_weights(case.problem.X), case.problem.optimum.copy()
    labels = np.zeros(len(table), int) if case.fields is None else case.fields
    fields = [np.flatnonzero(labels == field) for field in np.unique(labels)]
    means = [np.average(table[ids], axis=0, weights=weights[ids]) for ids in fields]
    for ids, mean in zip(fields, means, strict=True):
        table[ids] += np.mean(means, axis=0) - mean
    codes = np.stack([kmeans_1d(column, k, weights).labels for column in table.T])
    run = alternating_cce(case.problem, k, ROUNDS, n_chunks=case.blocks, init=codes)
    return float(run.excess[-1])


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
        series = split(part, "method")
        best, floor = series[BEST]["median"], series[FLOOR]["median"]
        ax.fill_between(series[FLOOR]["k"], floor, best, color=BAND, linewidth=0, zorder=1)
        for name, rows in series.items():
            look = LOOKS[name]
            ax.plot(
                rows["k"], rows["median"], color=look.colour, linestyle=look.line,
                marker=look.marker, zorder=ZORDERS.get(name, 3),
            )  # fmt: skip
        ks = np.unique(part["k"])
        d1 = round(part["k"][0] / part["parameters / d1"][0])
        ax.set_title(f"({letter}) {problem}, $d_1$ = {d1:,}")
        notes = [f"full table: 0 at $k$ = {d1:,}"]
        if np.allclose(floor, best, rtol=1e-6, atol=0):
            notes.insert(0, "floor reached: the optimal codebook")
        ax.text(
            0.03, 0.04, "\n".join(notes), transform=ax.transAxes, fontsize=LABEL_SIZE,
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
    band = Patch(color=BAND, linewidth=0, label="optimal codebook lies here")
    figure.legend(
        handles=[*map(_draw_handle, (*METHODS, BEST)), band, _draw_handle(FLOOR)],
        loc="outside lower center", ncols=4, columnspacing=1.6, handlelength=2.6,
    )  # fmt: skip
    return figure


def _draw_handle(name: str) -> Line2D:
    look = LOOKS[name]
    settings: dict[str, Any] = {"linestyle": look.line, "marker": look.marker}
    return Line2D([], [], color=look.colour, label=look.label, **settings)
