"""Applying a count sketch to a dense matrix, against SciPy."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.linalg import clarkson_woodruff_transform

from lsq_sketch import CountSketch
from lsq_sketch.threads import for_each, row_chunks

from .timing import Benchmark, Contender

SIZES = {
    "full": {"n": 4000, "d1": 20_000, "m": 512},
    "toy": {"n": 50, "d1": 300, "m": 16},
}


@njit(nogil=True, fastmath=True)
def _sum(rows: np.ndarray) -> float:
    total = 0.0
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            total += rows[i, j]
    return total


def prepare(size: str) -> Benchmark:
    """Check the product against SciPy's, exactly the same sketch; then time."""
    n, d1, m = SIZES[size].values()
    X = np.random.default_rng(0).standard_normal((n, d1))
    C = CountSketch(d1, m, rng=1)
    sparse = C.to_sparse()
    ours = C.apply(X)
    np.testing.assert_allclose(ours, X @ sparse, atol=1e-12 * d1)
    theirs = clarkson_woodruff_transform(X.T, m, rng=2)  # a sketch of its own: same law
    ratio = (theirs**2).sum() / (ours**2).sum()
    assert theirs.shape == (m, n)
    assert abs(ratio - 1) < 10 / np.sqrt(min(n, d1)), ratio

    def read() -> None:
        for_each(lambda piece: _sum(X[piece[0] : piece[1]]), row_chunks(n, 256))

    read()
    return Benchmark(
        f"Count sketch of a dense {n} x {d1} matrix (C-ordered) to {m} columns",
        Contender(lambda: C.apply(X)),
        {
            "scipy.sparse product": Contender(lambda: X @ sparse),
            "clarkson_woodruff_transform": Contender(
                lambda: clarkson_woodruff_transform(X.T, m, rng=2)
            ),
        },
        {"reading X once": Contender(read)},
    )
