"""Gram matrix and right-hand side of a sketched two-field one-hot design, against SciPy."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lsq_sketch import CountSketch, sketched_normal_equations
from lsq_sketch.threads import for_each, row_chunks

from .count_sketch import _sum
from .timing import Benchmark, Contender

SIZES = {
    "full": {"n": 5_000_000, "d1": 1_000_000, "m": 2048, "d2": 8},
    "toy": {"n": 2000, "d1": 400, "m": 32, "d2": 2},
}


def zipf_design(rng: np.random.Generator, n: int, d1: int) -> sp.csr_array:
    """A one-hot design of two fields of ``d1/2`` IDs each, with Zipf frequencies."""
    half = d1 // 2
    cumulative = np.cumsum(1 / np.arange(1, half + 1))
    draws = np.searchsorted(cumulative, rng.random((n, 2)) * cumulative[-1])
    ids = rng.permutation(d1).astype(np.int32)[draws + np.array([0, half])]
    pointers = np.arange(0, 2 * n + 1, 2, dtype=np.int32)
    return sp.csr_array((np.ones(2 * n), ids.ravel(), pointers), shape=(n, d1))


def prepare(size: str) -> Benchmark:
    """Check both results against SciPy's; then time."""
    n, d1, m, d2 = SIZES[size].values()
    rng = np.random.default_rng(0)
    X, Y = zipf_design(rng, n, d1), rng.standard_normal((n, d2))
    C = CountSketch(d1, m, rng=1)
    sparse = C.to_sparse()

    def peer() -> tuple[np.ndarray, np.ndarray]:
        XC = X @ sparse
        return (XC.T @ XC).toarray(), XC.T @ Y

    ours, theirs = sketched_normal_equations(X, Y, C), peer()
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-9 * n)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-9 * n)

    def read() -> None:
        entries = X.data.reshape(n, 2)
        for matrix in (Y, entries):
            for_each(
                lambda piece, matrix=matrix: _sum(matrix[piece[0] : piece[1]]),  # type: ignore[misc]
                row_chunks(n, 65536),
            )

    read()
    return Benchmark(
        f"(XC)'(XC) and (XC)'Y: two one-hot fields, n={n}, d1={d1}, {m} buckets, {d2} targets",
        Contender(lambda: sketched_normal_equations(X, Y, C)),
        {"scipy.sparse": Contender(peer)},
        {"reading X and Y once": Contender(read)},
    )
