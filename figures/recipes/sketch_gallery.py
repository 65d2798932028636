"""The matrices H: every method is a choice of H, the table T = H M.

Rows are 32 IDs, in the order of four planted clusters (grey lines); columns are the k parameters
trained for each output column, those that are learned in the order in which they are first used.
Blue is +1 (or positive), orange -1 (negative). All are objects of the library, drawn or computed
for one small problem (d2 = 4).

Top, without a look at the data: hashing trick, count sketch, sum of two hashes (both side by side
in one H), Gaussian noise of Dense CCE; CE and the quotient-remainder trick concatenate, so that
each block of output columns has an H of its own (divided by lines; two blocks shown). Bottom,
learned: PQ (two blocks) and RQ (two stages, side by side) cluster the rows of T*; Sparse CCE starts
from a count sketch, clusters the table it gives, and puts a fresh count sketch beside the clusters;
after some rounds the clusters are the planted ones, each in columns of its own. Alternating CCE
takes its assignments from the loss.

All profiles are the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    LeastSquares,
    alternating_cce,
    fit_sum,
    hashing_trick,
    kmeans,
    quotient_remainder,
    several_hashes,
)
from lsq_sketch.quantize import product_quantization, residual_quantization
from lsq_sketch.threads import single_threaded_blas

from ..columns import Columns, split, stack
from ..run import Run
from ..style import PAGE_WIDTH
from ..trials import Progress


@dataclass(frozen=True)
class Sizes:
    """IDs, planted clusters, parameters a column, rounds of Sparse CCE."""

    d1: int = 32
    clusters: int = 4
    k: int = 16
    rounds: int = 12


SIZES = Sizes()

SIDE_BY_SIDE, CONCATENATED = "side by side", "concatenated"


def compute(run: Run) -> Columns:
    """Draw and learn every matrix.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each method the entries of its blocks: block, row, column, value; and how the blocks
        make the table.
    """
    return run.part("matrices", asdict(SIZES), measure)


def measure(seed: np.random.SeedSequence, progress: Progress) -> Columns:
    """All entries of all matrices."""
    parts = []
    for method, (how, blocks) in matrices(np.random.default_rng(seed)).items():
        for block, H in enumerate(blocks):
            rows, columns = np.indices(H.shape)
            parts.append(
                {
                    "method": np.repeat(method, H.size),
                    "blocks": np.repeat(how, H.size),
                    "block": np.repeat(block, H.size),
                    "row": rows.ravel(),
                    "column": columns.ravel(),
                    "value": np.asarray(H, dtype=float).ravel(),
                }
            )
    return stack(parts)


def problem(rng: np.random.Generator) -> LeastSquares:
    """Orthonormal columns; the rows of the optimum in sorted, planted clusters."""
    labels = np.sort(np.arange(SIZES.d1) % SIZES.clusters)
    table = 2 * rng.standard_normal((SIZES.clusters, 4))[labels]
    table += 0.1 * rng.standard_normal(table.shape)
    X = np.linalg.qr(rng.standard_normal((2 * SIZES.d1, SIZES.d1)))[0]
    return LeastSquares(X, X @ table)


def in_order(A: BucketMatrix) -> BucketMatrix:
    """The same clusters, numbered in the order of their first ID."""
    first = np.unique(A.buckets, return_index=True)[1]
    order = A.buckets[np.sort(first)]
    position = np.zeros(A.m, int)
    position[order] = np.arange(order.size)
    return BucketMatrix(position[A.buckets], A.m)


def matrices(rng: np.random.Generator) -> dict[str, tuple[str, list[np.ndarray]]]:
    """For each method how its blocks make the table, and the blocks."""
    d1, k = SIZES.d1, SIZES.k
    with single_threaded_blas():
        p = problem(rng)
        pq = product_quantization(p.optimum, k, 2, rng).codes
        rq = residual_quantization(p.optimum, k // 2, 2, rng).codes
        first = CountSketch(d1, k, rng)
        parts: list[BucketMatrix] = [first]
        for _ in range(SIZES.rounds):  # Algorithm 2, with its H at hand
            table = fit_sum(p, parts).table
            parts = [kmeans(table, k // 2, rng).assignments, CountSketch(d1, k // 2, rng)]
        alternating = alternating_cce(p, k, 10, rng).assignments[-1, 0]
    found: dict[str, tuple[str, list[BucketMatrix]]] = {
        "hashing trick": (SIDE_BY_SIDE, [hashing_trick(d1, k, rng)]),
        "count sketch": (SIDE_BY_SIDE, [CountSketch(d1, k, rng)]),
        "sum of hashes": (SIDE_BY_SIDE, several_hashes(d1, k // 2, 2, rng)),
        "CE": (CONCATENATED, several_hashes(d1, k, 2, rng)),
        "QR": (CONCATENATED, quotient_remainder(d1, k // 2)),
        "PQ": (CONCATENATED, [in_order(BucketMatrix(codes, k)) for codes in pq]),
        "RQ": (SIDE_BY_SIDE, [in_order(BucketMatrix(codes, k // 2)) for codes in rq]),
        "CCE before clustering": (SIDE_BY_SIDE, [first]),
        "CCE after clustering": (SIDE_BY_SIDE, [in_order(parts[0]), parts[1]]),
        "alternating CCE": (SIDE_BY_SIDE, [in_order(BucketMatrix(alternating, k))]),
    }
    made = {
        method: (how, [part.to_sparse().toarray() for part in blocks])
        for method, (how, blocks) in found.items()
    }
    noise = {"Gaussian": (SIDE_BY_SIDE, [rng.standard_normal((d1, k)) / 2])}
    names = list(made)
    return {name: (made | noise)[name] for name in [*names[:3], *noise, *names[3:]]}


COLOURS = LinearSegmentedColormap.from_list("signs", ["#E69F00", "#FFFFFF", "#0072B2"])
TOP = 6
"""Methods in the first row."""


def draw(columns: Columns) -> Figure:
    """Two rows of matrices.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 4.0), layout="constrained")
    methods = {
        method: {block: _draw_grid(part) for block, part in split(rows, "block").items()}
        for method, rows in split(columns, "method").items()
    }
    names = list(methods)
    strips: Any = figure.subfigures(2, 1, hspace=0.04)
    for strip, row in zip(strips, (names[:TOP], names[TOP:]), strict=True):
        grids = [list(methods[name].values()) for name in row]
        widths = [sum(grid.shape[1] for grid in blocks) for blocks in grids]
        axes = strip.subplots(1, len(row), width_ratios=widths)
        for ax, name, blocks in zip(axes, row, grids, strict=True):
            whole = np.hstack(blocks)
            ax.imshow(whole, cmap=COLOURS, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
            for boundary in np.arange(1, SIZES.clusters) * SIZES.d1 / SIZES.clusters - 0.5:
                ax.axhline(boundary, color="#BBBBBB", linewidth=0.5)
            edges = np.cumsum([block.shape[1] for block in blocks])[:-1] - 0.5
            concatenated = CONCATENATED in split(columns, "method")[name]["blocks"]
            for edge in edges:
                ax.axvline(
                    edge, color="black", linewidth=1.2 if concatenated else 0.6,
                    linestyle="-" if concatenated else (0, (1, 1)),
                )  # fmt: skip
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(True)
            ax.set_title(name, loc="center", fontsize=8)
        axes[0].set_ylabel("32 IDs")
    return figure


def _draw_grid(part: Columns) -> np.ndarray:
    shape = part["row"].max() + 1, part["column"].max() + 1
    return part["value"].reshape(shape)
