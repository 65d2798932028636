"""Hypothesis strategies shared by the tests, and the designs they are made of."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lsq_sketch import BucketMatrix

seeds = st.integers(0, 2**32 - 1)


def with_spectrum(n, d1, sigma, rng):
    """A dense matrix (n x d1) with the given nonzero singular values and random directions."""
    r = len(sigma)
    U = np.linalg.qr(rng.standard_normal((n, r)))[0]
    V = np.linalg.qr(rng.standard_normal((d1, r)))[0]
    return (U * sigma) @ V.T


def one_hot(n, sizes, rng, weights=False):
    """A one-hot design with one field for each of ``sizes`` (IDs), every row one ID of each."""
    starts = np.cumsum([0, *sizes[:-1]])
    columns = np.stack(
        [start + rng.integers(0, size, n) for start, size in zip(starts, sizes, strict=True)],
        axis=1,
    )
    data = rng.integers(1, 6, columns.size) if weights else np.ones(columns.size)
    indptr = np.arange(n + 1) * len(sizes)
    return sp.csr_array((data, columns.ravel(), indptr), shape=(n, sum(sizes)))


def random_sparse(n, d1, density, rng):
    """Independent N(0, 1) entries at random places."""
    mask = rng.random((n, d1)) < density
    return sp.csr_array(np.where(mask, rng.standard_normal((n, d1)), 0.0))


@st.composite
def sparse_designs(draw):
    """Small sparse designs: one field, several, weighted, random, with empty columns."""
    rng = np.random.default_rng(draw(seeds))
    n = draw(st.integers(1, 25))
    kind = draw(st.sampled_from(["one field", "two fields", "fields", "weighted", "random"]))
    if kind == "one field":
        return one_hot(n, [draw(st.integers(1, 12))], rng)
    if kind == "random":
        return random_sparse(n, draw(st.integers(1, 12)), draw(st.floats(0.1, 0.6)), rng)
    fields = 2 if kind == "two fields" else draw(st.integers(2, 4))
    sizes = [draw(st.integers(1, 6)) for _ in range(fields)]
    return one_hot(n, sizes, rng, weights=kind == "weighted")


@st.composite
def dense_designs(draw):
    """Small dense designs: Gaussian, integer, low rank, duplicate and zero columns."""
    rng = np.random.default_rng(draw(seeds))
    n, d1 = draw(st.integers(1, 15)), draw(st.integers(1, 12))
    kind = draw(st.sampled_from(["gaussian", "integer", "low rank", "duplicates", "zeros"]))
    if kind == "integer":
        return draw(hnp.arrays(np.int64, (n, d1), elements=st.integers(-3, 3)))
    if kind == "low rank":
        rank = draw(st.integers(1, min(n, d1)))
        return with_spectrum(n, d1, rng.uniform(0.5, 2.0, rank), rng)
    X = rng.standard_normal((n, d1))
    if kind == "duplicates":
        X = X[:, rng.integers(0, d1, d1)]
    if kind == "zeros":
        X[:, rng.random(d1) < 0.4] = 0.0
    return np.asfortranarray(X) if draw(st.booleans()) else X


@st.composite
def problems(draw, designs=None):
    """A design and targets of one to three columns."""
    X = draw(designs if designs is not None else st.one_of(dense_designs(), sparse_designs()))
    rng = np.random.default_rng(draw(seeds))
    return X, rng.standard_normal((X.shape[0], draw(st.integers(1, 3))))


@st.composite
def bucket_matrices(draw, d1=None):
    """A bucket matrix with random signs, or without."""
    d1 = draw(st.integers(1, 20)) if d1 is None else d1
    m = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(seeds))
    signs = rng.choice([-1.0, 1.0], d1) if draw(st.booleans()) else None
    return BucketMatrix(rng.integers(0, m, d1), m, signs)


@st.composite
def point_sets(draw, max_points=30, max_dimension=3):
    """Points on a coarse grid (with ties and duplicates) or in general position."""
    n, d = draw(st.integers(1, max_points)), draw(st.integers(1, max_dimension))
    if draw(st.booleans()):
        return draw(hnp.arrays(np.float64, (n, d), elements=st.integers(-3, 3)))
    return np.random.default_rng(draw(seeds)).standard_normal((n, d))
