"""Every kernel and its NumPy twin, on the same draw; and a test that no kernel lacks one."""

import importlib
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch.kernels import count_sketch, gram, kmeans
from tests import twins
from tests.strategies import random_sparse, seeds, sparse_designs


def draw_buckets(rng, d1, m):
    return rng.integers(0, m, d1).astype(np.int32), rng.choice([-1.0, 1.0], d1)


LEAST_SQUARES = ("alternating", "count_sketch", "gram", "kmeans")
"""Modules whose kernels are called by tests here. Those of the recommenders are held against NumPy
through the tables and models that use them (``tests/lsq_sketch/recommend``), and the interpreted
run counts their lines."""


def test_every_kernel_is_tested():
    """A kernel is a function of these modules of `lsq_sketch.kernels`: some test here calls it."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    names = [
        name
        for module in LEAST_SQUARES
        for name, value in vars(importlib.import_module(f"lsq_sketch.kernels.{module}")).items()
        if callable(value) and name != "njit"
    ]
    assert len(names) >= 13
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


# Count sketch -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 16, 19, 64, 65, 131])
def test_sketch_dense(rows, dtype):
    """Both orders, to the bit: entries are summed in the order of the columns."""
    rng = np.random.default_rng(rows)
    X = rng.standard_normal((rows, 13)).astype(dtype)
    buckets, signs = draw_buckets(rng, 13, 4)
    expected = twins.sketch(X, buckets, signs, 4)
    kernels = [
        (count_sketch.sketch_c_order, np.ascontiguousarray(X)),
        (count_sketch.sketch_f_order, np.asfortranarray(X)),
    ]
    for kernel, ordered in kernels:
        out = np.full((rows, 4), np.nan)
        kernel(ordered, buckets, signs, 0, rows, out)
        np.testing.assert_array_equal(out, expected)


@given(seeds, st.integers(1, 40), st.data())
def test_sketch_dense_writes_its_own_rows_only(seed, rows, data):
    start = data.draw(st.integers(0, rows))
    stop = data.draw(st.integers(start, rows))
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 5))
    buckets, signs = draw_buckets(rng, 5, 3)
    expected = np.full((rows, 3), np.nan)
    expected[start:stop] = twins.sketch(X[start:stop], buckets, signs, 3)
    for kernel, order in [(count_sketch.sketch_c_order, "C"), (count_sketch.sketch_f_order, "F")]:
        out = np.full((rows, 3), np.nan)
        kernel(np.array(X, order=order), buckets, signs, start, stop, out)
        np.testing.assert_array_equal(out, expected)


@given(sparse_designs(), seeds, st.integers(1, 9))
def test_sketch_sparse(X, seed, m):
    rng = np.random.default_rng(seed)
    n, d1 = X.shape
    buckets, signs = draw_buckets(rng, d1, m)
    indices, data = np.empty(X.nnz, X.indices.dtype), np.empty(X.nnz)

    expected = twins.sketch_row_entries(X.indptr, X.indices, X.data, buckets, signs, m)
    indptr = count_sketch.sketch_compressed_rows(
        X.indptr, X.indices, X.data.astype(float), buckets, signs, m, indices, data
    )
    found = [
        dict(zip(indices[a:b].tolist(), data[a:b].tolist(), strict=True))
        for a, b in pairwise(indptr)
    ]
    assert found == expected
    assert [list(row) for row in found] == [list(row) for row in expected]  # in order of arrival

    by_columns = sp.csc_array(X)
    order = np.argsort(buckets, kind="stable")
    starts = np.searchsorted(buckets[order], np.arange(m + 1))
    indptr = count_sketch.sketch_compressed_columns(
        by_columns.indptr, by_columns.indices, by_columns.data.astype(float),
        order, starts, signs, n, indices, data,
    )  # fmt: skip
    used = indptr[-1]
    result = sp.csc_array((data[:used], indices[:used], indptr), shape=(n, m))
    np.testing.assert_allclose(
        result.toarray(), twins.sketch(X.toarray(), buckets, signs, m), rtol=1e-14, atol=1e-14
    )
    assert used == sum(len(row) for row in expected)


def test_sketch_sparse_has_no_repeated_entries():
    """Also if the rows of the input repeat entries."""
    indptr, indices = np.array([0, 3]), np.array([1, 0, 1])
    out_indices, out_data = np.empty(3, np.int64), np.empty(3)
    out_indptr = count_sketch.sketch_compressed_rows(
        indptr, indices, np.array([1.0, 2.0, 4.0]), np.array([0, 0], np.int32),
        np.array([1.0, -1.0]), 1, out_indices, out_data,
    )  # fmt: skip
    assert out_indptr.tolist() == [0, 1]
    assert out_data[0] == -1.0 + 2.0 - 4.0


# Gram matrices ------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), min_size=0, max_size=20))
def test_count_pairs(widths):
    indptr = np.cumsum([0, *widths]).astype(np.int32)
    np.testing.assert_array_equal(gram.count_pairs(indptr), twins.running_pairs(indptr))


def test_count_pairs_does_not_overflow_narrow_indices():
    indptr = np.array([0, 100_000, 200_000], np.int32)
    assert gram.count_pairs(indptr).tolist() == [0, 4_999_950_000, 9_999_900_000]


@given(sparse_designs(), seeds, st.integers(1, 9), st.integers(0, 3), st.integers(1, 3))
def test_scatter_rows_and_gather_panel(X, seed, m, shift, d2):
    rng = np.random.default_rng(seed)
    n, d1 = X.shape
    start, stop = sorted(rng.integers(0, n + 1, 2))
    Y = rng.standard_normal((n, d2))
    buckets, signs = draw_buckets(rng, d1, m)
    codes = (2 * buckets + (signs < 0)).astype(np.int32)
    panels = -(-m // (1 << shift))
    pairs = int(np.diff(twins.running_pairs(X.indptr))[start:stop].sum())
    squares, moments = np.zeros(m), np.zeros((m, d2))
    starts = np.empty(panels + 1, np.int64)
    cells, values = np.full(pairs, -1, np.int32), np.full(pairs, np.nan)
    gram.scatter_rows(
        X.indptr, X.indices, X.data.astype(float), codes, Y, start, stop, m, shift,
        squares, moments, starts, cells, values,
    )  # fmt: skip
    upper = np.zeros((m, m))
    for panel in range(panels):
        rows = upper[panel << shift : (panel + 1) << shift]
        gram.gather_panel(panel, starts, cells, values, rows.reshape(-1))

    entries = [
        [(int(buckets[j]), signs[j] * v) for j, v in zip(X.indices[a:b], X.data[a:b], strict=True)]
        for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
    ][start:stop]
    np.testing.assert_allclose(upper, twins.strict_pairs(entries, m), rtol=1e-12, atol=1e-13)
    part = X[start:stop].toarray()
    XC = twins.sketch(part, buckets, signs, m)
    np.testing.assert_allclose(moments, XC.T @ Y[start:stop], rtol=1e-12, atol=1e-13)
    own = np.zeros(m)
    np.add.at(own, buckets, (part**2).sum(axis=0))
    np.testing.assert_allclose(squares, own, rtol=1e-12)
    assert starts[0] == 0
    assert starts[-1] == pairs
    whole = upper + upper.T + np.diag(squares)
    np.testing.assert_allclose(whole, XC.T @ XC, rtol=1e-12, atol=1e-13)


@given(seeds, st.integers(1, 12), st.integers(1, 5), st.integers(1, 5))
def test_bucketed_gram(seed, d1, left_m, right_m):
    rng = np.random.default_rng(seed)
    S = random_sparse(d1, d1, 0.5, rng)
    left, left_signs = draw_buckets(rng, d1, left_m)
    right, right_signs = draw_buckets(rng, d1, right_m)
    out = np.ones((left_m, right_m))
    gram.bucketed_gram(S.indptr, S.indices, S.data, left, left_signs, right, right_signs, out)
    expected = twins.bucketed_gram(
        S.toarray(), left, left_signs, left_m, right, right_signs, right_m
    )
    np.testing.assert_allclose(out, 1 + expected, rtol=1e-12, atol=1e-13)


@given(seeds, st.integers(1, 20), st.integers(1, 6), st.integers(1, 3))
def test_bucket_sums(seed, d1, m, d2):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((d1, d2))
    buckets, signs = draw_buckets(rng, d1, m)
    out = np.zeros((m, d2))
    gram.bucket_sums(rows, buckets, signs, out)
    np.testing.assert_array_equal(out, twins.bucket_sums(rows, buckets, signs, m))
    gram.bucket_sums(rows, buckets, signs, out)  # adds
    np.testing.assert_allclose(out, 2 * twins.bucket_sums(rows, buckets, signs, m), atol=1e-13)


@given(sparse_designs(), seeds)
def test_independent_columns(X, seed):
    S = sp.csr_array(abs(X).T @ abs(X))
    order = np.random.default_rng(seed).permutation(X.shape[1])
    order = order[S.diagonal()[order] > 0]
    chosen = gram.independent_columns(S.indptr, S.indices, order)
    np.testing.assert_array_equal(chosen, twins.independent_columns(S.toarray(), order))
    # Mutually orthogonal, and no column can be added.
    overlap = S.toarray()[chosen]
    assert (overlap[:, chosen] != 0).sum() == chosen.sum()
    touched = (overlap != 0).any(axis=0)
    assert (touched | (S.diagonal() == 0)).all()


# k-means ------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 30), st.integers(1, 4), st.integers(1, 8), st.booleans())
def test_nearest(seed, n, d, n_clusters, on_a_grid):
    rng = np.random.default_rng(seed)
    points, centroids = rng.standard_normal((n, d)), rng.standard_normal((n_clusters, d))
    if on_a_grid:  # with ties: the first of several nearest wins
        points, centroids = np.round(points), np.round(centroids)
    start, stop = sorted(rng.integers(0, n + 1, 2))
    labels, distances = np.full(n, -7, np.int32), np.full(n, -7.0)
    kmeans.nearest(points, np.ascontiguousarray(centroids.T), start, stop, labels, distances)
    expected_labels, expected_distances = twins.nearest(points, centroids)
    inside = np.arange(start, stop)
    np.testing.assert_array_equal(labels[inside], expected_labels[inside])
    np.testing.assert_allclose(distances[inside], expected_distances[inside], rtol=1e-14)
    outside = np.setdiff1d(np.arange(n), inside)
    assert (labels[outside] == -7).all()
    assert (distances[outside] == -7).all()


def test_a_point_on_a_centroid_has_distance_exactly_zero():
    points = np.array([[1e8 + 0.1, 1e-8]])
    labels, distances = np.empty(1, np.int32), np.empty(1)
    centroids = np.vstack([points + 1e-6, points]).T.copy()
    kmeans.nearest(points, centroids, 0, 1, labels, distances)
    assert labels[0] == 1
    assert distances[0] == 0.0


@given(seeds, st.integers(1, 30), st.integers(1, 4), st.integers(1, 8))
def test_cluster_sums(seed, n, d, n_clusters):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, d))
    labels = rng.integers(0, n_clusters, n).astype(np.int32)
    sums, counts = np.zeros((n_clusters, d)), np.zeros(n_clusters, np.int64)
    middle = int(rng.integers(0, n + 1))
    kmeans.cluster_sums(points, labels, 0, middle, sums, counts)
    kmeans.cluster_sums(points, labels, middle, n, sums, counts)
    expected_sums, expected_counts = twins.cluster_sums(points, labels, n_clusters)
    np.testing.assert_allclose(sums, expected_sums, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(counts, expected_counts)


@given(seeds, st.integers(1, 30), st.integers(1, 4), st.integers(1, 5))
def test_distances_to(seed, n, d, n_candidates):
    rng = np.random.default_rng(seed)
    points, candidates = rng.standard_normal((n, d)), rng.standard_normal((n_candidates, d))
    closest = rng.exponential(2 * d, n)
    closest[rng.random(n) < 0.2] = np.inf
    start, stop = sorted(rng.integers(0, n + 1, 2))
    out = np.full((n_candidates, n), -7.0)
    kmeans.distances_to(points, candidates, start, stop, closest, out)
    expected = twins.distances_to(points, candidates, closest)
    np.testing.assert_allclose(out[:, start:stop], expected[:, start:stop], rtol=1e-14)
    assert (np.delete(out, np.arange(start, stop), axis=1) == -7).all()
