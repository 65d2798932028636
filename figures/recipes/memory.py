"""Training memory and stored parameters against the size of the table, measured.

One field of d1 IDs, n = 131,072 one-hot rows, d2 = 16 targets, k = 128 parameters for each output
column; horizontally the size of the full table, 8 d1 d2 bytes. Grey: equal to the table.

(a) Peak memory that a training call of this library allocates beyond the data (X, Y), as traced by
tracemalloc: what was allocated, not a formula. Full: the optimum. PQ: the optimum, then k-means in
four blocks. Hashing trick and CE stream over the rows: their memory is that of the data and of k,
until the d1 hash values themselves count. One shot and Sparse CCE are here as in the theory, on a
reduced problem, and cost several times the table. Alternating CCE (random start, four blocks, three
rounds) keeps a residual of the size of Y, a code for each ID, and one block of the table at a time.
(b) What is stored after training: codebooks in float64 and codes of IDs in whole bits; hashes are
recomputed from a seed and cost nothing.

The quick profile has smaller tables.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from lsq_sketch import (
    LeastSquares,
    alternating_cce,
    hashing_trick,
    one_shot,
    several_hashes,
    sketched_least_squares,
    sparse_cce,
)
from lsq_sketch.quantize import product_quantization

from ..columns import Columns, split, stack
from ..run import Run
from ..style import LOOKS, PAGE_WIDTH, label_ends, write_beside
from ..trials import Progress

D2, BLOCKS = 16, 4
FLOAT = 8


@dataclass(frozen=True)
class Sizes:
    """Rows, parameters a column, powers of two of ``d1``."""

    n: int
    k: int
    powers: tuple[int, ...]


SIZES = {
    "draft": Sizes(500, 8, (6, 8)),
    "quick": Sizes(20_000, 32, (10, 12, 14)),
    "full": Sizes(2**17, 128, (10, 12, 14, 16, 18)),
}

Training = Callable[[LeastSquares, int, np.random.Generator], object]


def _pq(problem: LeastSquares, k: int, rng: np.random.Generator) -> object:
    return product_quantization(problem.optimum, k, BLOCKS, rng)


def _ce(problem: LeastSquares, k: int, rng: np.random.Generator) -> object:
    bounds = np.linspace(0, problem.d2, BLOCKS + 1).astype(int)
    hashes = several_hashes(problem.d1, k, BLOCKS, rng)
    return [
        sketched_least_squares(problem.X, problem.Y[:, a:b], part)
        for part, (a, b) in zip(hashes, pairwise(bounds), strict=True)
    ]


METHODS: dict[str, Training] = {
    "full": lambda problem, k, rng: problem.optimum,
    "pq": _pq,
    "one-shot": lambda problem, k, rng: one_shot(problem, k, k // 2, rng),
    "cce": lambda problem, k, rng: sparse_cce(problem, k, 2, rng),
    "alternating": lambda problem, k, rng: alternating_cce(
        problem, k, 3, rng, n_chunks=BLOCKS, init="hash"
    ),
    "ce": _ce,
    "hash": lambda problem, k, rng: sketched_least_squares(
        problem.X, problem.Y, hashing_trick(problem.d1, k, rng)
    ),
}


def compute(run: Run) -> Columns:
    """Train by every method on every size.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Columns
        For each method and size: bytes of the table, of peak training memory and of what is
        stored.
    """
    sizes = SIZES[run.profile]
    parts = []
    for power in sizes.powers:
        parameters = asdict(sizes) | {"power": power, "methods": list(METHODS)}
        parts.append(run.part(f"d1 = {2**power}", parameters, partial(measure, sizes, power)))
    return stack(parts)


def build(n: int, d1: int, rng: np.random.Generator) -> LeastSquares:
    """One field of ``d1`` IDs, each as likely as any other; random targets."""
    ids = rng.integers(0, d1, n).astype(np.int32)
    X = sp.csr_array((np.ones(n), ids, np.arange(n + 1, dtype=np.int32)), shape=(n, d1))
    return LeastSquares(X, rng.standard_normal((n, D2)))


def measure(sizes: Sizes, power: int, seed: np.random.SeedSequence, progress: Progress) -> Columns:
    """Peak memory and stored bytes of each method at one size."""
    d1 = 2**power
    rng = np.random.default_rng(seed)
    warm = build(64, 32, rng)
    peaks, stored = [], []
    for done, (name, train) in enumerate(METHODS.items()):
        progress(done, len(METHODS))
        train(warm, 4, np.random.default_rng(0))  # compiles and imports what it needs
        peaks.append(peak_of(train, build(sizes.n, d1, np.random.default_rng(seed)), sizes.k))
        stored.append(stored_bytes(name, d1, sizes.k))
    return {
        "method": np.array(list(METHODS)),
        "d1": np.repeat(d1, len(METHODS)),
        "table": np.repeat(float(FLOAT * d1 * D2), len(METHODS)),
        "training": np.array(peaks, dtype=float),
        "stored": np.array(stored, dtype=float),
    }


def peak_of(train: Training, problem: LeastSquares, k: int) -> int:
    """Most bytes that are allocated at once while a method trains, in steps of a kibibyte."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        train(problem, k, np.random.default_rng(0))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return 1024 * round(peak / 1024)


def stored_bytes(name: str, d1: int, k: int) -> int:
    """Codebooks in float64, and codes in whole bits."""
    clusters = {"pq": k, "alternating": k, "cce": k // 2, "one-shot": k // 2}
    if name == "full":
        return FLOAT * d1 * D2
    codebooks = FLOAT * k * D2 if name != "one-shot" else FLOAT * (k // 2) * D2
    if name not in clusters:
        return codebooks
    blocks = BLOCKS if name in ("pq", "alternating") else 1
    return codebooks + math.ceil(d1 * blocks * math.ceil(math.log2(clusters[name])) / 8)


def draw(columns: Columns) -> Figure:
    """Two panels: training and storage.

    Parameters
    ----------
    columns : Columns
        From `compute`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure((PAGE_WIDTH, 2.9), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    for ax, column, title in zip(
        axes,
        ("training", "stored"),
        ("(a) peak memory of training", "(b) stored after training"),
        strict=True,
    ):
        _draw_panel(ax, columns, column)
        ax.set_title(title)
        ax.set_xlabel("size of the full table")
    least = columns["table"].min()
    write_beside(axes[0], "size of the full table", least, least, offset=(14, 0))
    for ax, column in zip(axes, ("training", "stored"), strict=True):
        ends = {name: part[column][-1] for name, part in split(columns, "method").items()}
        label_ends(figure, ax, ends.items())
    return figure


def _draw_panel(ax: Axes, columns: Columns, column: str) -> None:
    table = np.unique(columns["table"])
    ax.plot(table, table, color="#BFBFBF", linewidth=3, zorder=1)
    for name, part in split(columns, "method").items():
        look = LOOKS[name]
        ax.plot(
            part["table"], part[column], color=look.colour, linestyle=look.line,
            marker=look.marker, zorder=3,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_words(value)))
        axis.set_minor_locator(NullLocator())


def in_words(count: float) -> str:
    """A number of bytes in decimal units.

    Examples
    --------
    >>> in_words(1e5), in_words(2e6)
    ('100 kB', '2 MB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count:g} B"
