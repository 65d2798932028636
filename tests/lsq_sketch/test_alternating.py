"""Alternating CCE: monotone, Lloyd's algorithm on one field, chunks, brute force, errors."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import BucketMatrix, LeastSquares, alternating_cce, resolve, sketched_least_squares
from lsq_sketch.kernels.alternating import move_ids

from ..twins import move_ids as move_ids_twin


def one_hot(ids, d1):
    return sp.csr_array((np.ones(ids.size), ids, np.arange(ids.size + 1)), shape=(ids.size, d1))


def random_problem(seed, kind, d2=2):
    rng = np.random.default_rng(seed)
    n, d1 = 40, 12
    X = rng.standard_normal((n, d1)) * (rng.random((n, d1)) < 0.4)
    X[:, 3] = X[:, 2]
    X[:, 5] = 0
    Y = rng.standard_normal((n, d2))
    return LeastSquares(sp.csr_array(X) if kind == "sparse" else X, Y)


@given(
    st.integers(0, 10**6),
    st.sampled_from(["dense", "sparse"]),
    st.integers(1, 6),
    st.sampled_from(["kmeans++", "hash"]),
    st.integers(1, 2),
)
def test_loss_never_rises_and_is_the_loss_of_the_table(seed, kind, n_clusters, init, n_chunks):
    p = random_problem(seed, kind)
    r = alternating_cce(p, n_clusters, 6, seed, n_chunks, init)
    assert (np.diff(r.loss) <= 1e-12 * r.loss[0]).all()
    for i in range(7):
        assert p.loss(r.table_after(i)) == pytest.approx(r.loss[i], rel=1e-9)
    np.testing.assert_allclose(r.excess, r.loss - p.optimal_loss, atol=1e-9 * r.loss[0])


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_dense_and_sparse_designs_find_the_same(seed, n_clusters):
    dense, sparse = random_problem(seed, "dense"), random_problem(seed, "sparse")
    a = alternating_cce(dense, n_clusters, 4, seed, init="hash")
    b = alternating_cce(sparse, n_clusters, 4, seed, init="hash")
    np.testing.assert_allclose(a.loss[:2], b.loss[:2], rtol=1e-9)


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_one_field_is_lloyd_on_the_optimum_with_count_weights(seed, n_clusters):
    """Claim alternating-is-lloyd: the iterates, and the loss as L* + weighted k-means cost."""
    rng = np.random.default_rng(seed)
    ids = np.concatenate([np.arange(15), rng.zipf(1.5, 100) % 15])
    weights = np.bincount(ids)
    p = LeastSquares(one_hot(ids, 15), rng.standard_normal((ids.size, 2)) + ids[:, None] % 4)
    r = alternating_cce(p, n_clusters, 8, seed)
    labels = r.assignments[0, 0].copy()
    centroids = r.codebooks[0].copy()
    for i in range(8):
        if i:
            distances = ((p.optimum[:, None] - centroids) ** 2).sum(axis=2)
            labels = distances.argmin(axis=1)
        for c in np.unique(labels):
            inside = labels == c
            centroids[c] = np.average(p.optimum[inside], axis=0, weights=weights[inside])
        np.testing.assert_array_equal(r.assignments[i, 0], labels)
        cost = (weights * ((p.optimum - centroids[labels]) ** 2).sum(axis=1)).sum()
        assert r.excess[i + 1] == pytest.approx(cost, rel=1e-9, abs=1e-9 * r.loss[0])
        assert r.loss[i + 1] == pytest.approx(p.optimal_loss + cost, rel=1e-9)


def test_the_optimum_is_never_formed_for_one_hot_designs():
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 30, 300), rng.integers(0, 40, 300)
    X = sp.hstack([one_hot(users, 30), one_hot(items, 40)]).tocsr()
    p = LeastSquares(X, rng.standard_normal((300, 3)))
    r = alternating_cce(p, 5, 4)
    assert r.loss[-1] < r.loss[1]
    assert not {"reduction", "optimum"} & set(p.__dict__)


def test_chunks_are_separate_problems():
    p = random_problem(1, "sparse", d2=4)
    r = alternating_cce(p, 3, 5, 7, n_chunks=2, init="hash")
    assert r.assignments.shape == (5, 2, 12)
    assert r.codebooks.shape == (5, 3, 4)
    left = alternating_cce(LeastSquares(p.X, p.Y[:, :2]), 3, 5, 7, init="hash")
    np.testing.assert_array_equal(r.assignments[:, 0], left.assignments[:, 0])
    np.testing.assert_allclose(r.table[:, :2], left.table)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_never_below_the_best_codebook_and_often_at_it(kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20, 6))
    p = LeastSquares(sp.csr_array(X) if kind == "sparse" else X, rng.standard_normal((20, 2)))
    best = min(
        resolve(p, BucketMatrix(np.array(labels), 2)).excess
        for labels in itertools.product(range(2), repeat=6)
    )
    found = [alternating_cce(p, 2, 20, seed).excess[-1] for seed in range(20)]
    assert min(found) == pytest.approx(best, rel=1e-9)
    assert all(value >= best * (1 - 1e-9) for value in found)


def test_it_stands_still_once_nothing_moves():
    p = random_problem(2, "sparse")
    r = alternating_cce(p, 3, 40, 0)
    np.testing.assert_array_equal(r.assignments[-1], r.assignments[-2])
    np.testing.assert_array_equal(r.loss[-1], r.loss[-2])


def test_limits():
    p = random_problem(4, "sparse")
    assert alternating_cce(p, 3, 0).loss.tolist() == [p.loss(np.zeros((12, 2)))]
    one = alternating_cce(p, 1, 3)
    assert one.excess[-1] == pytest.approx(resolve(p, BucketMatrix(np.zeros(12, int), 1)).excess)
    zero = LeastSquares(p.X, np.zeros((40, 2)))
    assert alternating_cce(zero, 4, 3).loss.tolist() == [0, 0, 0, 0]


def test_same_seed_same_bits():
    p = random_problem(5, "sparse")
    a, b, c = (alternating_cce(p, 4, 5, seed, init="hash") for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.loss, b.loss)
    np.testing.assert_array_equal(a.assignments, b.assignments)
    assert (a.assignments != c.assignments).any()


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 2))
def test_kernel_agrees_with_its_twin(seed, n_clusters, first):
    rng = np.random.default_rng(seed)
    X = sp.random_array((15, 8), density=0.4, rng=rng, format="csc")
    first = min(first, n_clusters - 1)
    codebook = rng.standard_normal((n_clusters, 2))
    labels = rng.integers(0, n_clusters, 8).astype(np.int32)
    residual = rng.standard_normal((15, 2))
    weights = (X.toarray() ** 2).sum(axis=0)
    expected_labels, expected_residual = move_ids_twin(
        X.toarray(), codebook, first, labels, residual
    )
    moved = move_ids(
        X.indptr, X.indices, X.data, weights, np.ascontiguousarray(codebook.T),
        first, labels, residual,
    )  # fmt: skip
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(residual, expected_residual, atol=1e-12)
    assert moved >= 0


@pytest.mark.parametrize("m", [1, 3, 12, 20])
def test_sketched_least_squares_for_any_rank(m):
    """Duplicate and zero columns, empty buckets, more buckets than rank: the loss of lstsq."""
    p = random_problem(6, "sparse")
    C = BucketMatrix(np.random.default_rng(m).integers(0, m, 12), m)
    M = sketched_least_squares(p.X, p.Y, C)
    XC = C.apply(p.X).toarray()
    best = np.linalg.lstsq(XC, p.Y, rcond=None)[0]
    assert ((XC @ M - p.Y) ** 2).sum() == pytest.approx(((XC @ best - p.Y) ** 2).sum(), rel=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(["dense", "sparse"]))
def test_starts_from_given_assignments(seed, kind):
    """The first round is their re-solved codebook; going on from the last round is a longer run."""
    p = random_problem(seed, kind)
    start = np.random.default_rng(seed).integers(0, 4, (2, 12))
    kept = start.copy()
    r = alternating_cce(p, 4, 3, n_chunks=2, init=start)
    np.testing.assert_array_equal(start, kept)
    np.testing.assert_array_equal(r.assignments[0], start)
    columns = [LeastSquares(p.X, p.Y[:, [c]]) for c in range(2)]
    solved = [resolve(q, BucketMatrix(a, 4)).excess for q, a in zip(columns, start, strict=True)]
    assert r.excess[1] == pytest.approx(sum(solved), rel=1e-9, abs=1e-9 * r.loss[0])
    on = alternating_cce(p, 4, 1, n_chunks=2, init=r.assignments[-1])
    assert on.loss[-1] == pytest.approx(r.loss[-1], rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters must be at least 1, got 0"),
        ({"n_clusters": 13}, ValueError, "n_clusters must be at most d1 = 12, got 13"),
        ({"n_clusters": 2.0}, TypeError, "n_clusters must be an integer"),
        ({"n_iter": -1}, ValueError, "n_iter must be at least 0"),
        ({"n_chunks": 3}, ValueError, "n_chunks must be at most d2 = 2, got 3"),
        ({"init": "random"}, ValueError, "init must be one of 'kmeans\\+\\+', 'hash'"),
        (
            {"init": np.zeros((2, 12), int)},
            ValueError,
            r"init has shape \(2, 12\); expected \(n_chunks, d1\) = \(1, 12\)",
        ),
        ({"init": np.zeros((1, 12))}, TypeError, "init has dtype float64; expected integers"),
        (
            {"init": np.full((1, 12), 2)},
            ValueError,
            "init has codewords from 2 to 2; expected from 0 to n_clusters - 1 = 1",
        ),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        alternating_cce(random_problem(0, "dense"), **{"n_clusters": 2, "n_iter": 2} | arguments)


def test_needs_a_problem():
    with pytest.raises(TypeError, match=r"problem must be a LeastSquares.*Build one with"):
        alternating_cce(np.eye(3), 2, 2)
