"""The floor under every codebook: brute force, its share of the diagonal, its hypotheses."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import LeastSquares
from proofs_check.claim import HypothesisError
from proofs_check.floors import codebook_floor, column_weights, diagonal_share
from proofs_check.instances import catalogue, one_hot
from tests.strategies import seeds


def least_excess(problem, n_clusters):
    """The best codebook of every column, by trying every assignment."""
    X = problem.X @ np.eye(problem.d1)
    target = X @ np.linalg.lstsq(X, problem.Y)[0]
    least = np.full(problem.d2, np.inf)
    for labels in product(range(n_clusters), repeat=problem.d1 - 1):
        image = X @ np.eye(n_clusters)[[0, *labels]]
        error = image @ np.linalg.lstsq(image, target)[0] - target
        least = np.minimum(least, (error**2).sum(axis=0))
    return least.sum()


def two_fields(rng, sizes=(3, 4), n=25):
    ids = [np.concatenate([np.arange(size), rng.integers(0, size, n - size)]) for size in sizes]
    fields = np.repeat(np.arange(len(sizes)), sizes)
    return LeastSquares(one_hot(*map(rng.permutation, ids)), rng.standard_normal((n, 2))), fields


@given(seeds, st.integers(1, 3))
def test_on_one_field_it_is_the_least_excess(seed, n_clusters):
    rng = np.random.default_rng(seed)
    ids = np.concatenate([np.arange(6), rng.zipf(1.5, 40) % 6])
    problem = LeastSquares(one_hot(ids), rng.standard_normal((ids.size, 2)))
    floor, least = codebook_floor(problem, n_clusters), least_excess(problem, n_clusters)
    assert floor == pytest.approx(least, rel=1e-9)
    same = codebook_floor(problem, n_clusters, np.zeros(6, int))
    assert same == pytest.approx(floor, rel=1e-9)


@given(seeds, st.integers(1, 3))
def test_never_above_the_least_excess(seed, n_clusters):
    rng = np.random.default_rng(seed)
    dense = LeastSquares(rng.standard_normal((12, 6)), rng.standard_normal((12, 2)))
    rows = rng.integers(0, 6, (12, 2))
    wide = np.zeros((12, 6))
    wide[np.arange(12), rows[:, 0]] += 1
    wide[np.arange(12), rows[:, 1]] -= 2
    sparse = LeastSquares(wide, rng.standard_normal((12, 2)))
    for problem in (dense, sparse):
        least = least_excess(problem, n_clusters)
        assert codebook_floor(problem, n_clusters) <= least * (1 + 1e-9) + 1e-12


@given(seeds, st.integers(1, 3))
def test_never_above_the_least_excess_of_two_fields(seed, n_clusters):
    problem, fields = two_fields(np.random.default_rng(seed))
    least = least_excess(problem, n_clusters)
    floor = codebook_floor(problem, n_clusters, fields)
    assert floor <= least * (1 + 1e-9) + 1e-12
    # what is added to one field and taken from the other changes nothing
    moved = LeastSquares(problem.X, problem.X @ (problem.optimum + 5 * (1 - 2 * fields)[:, None]))
    assert codebook_floor(moved, n_clusters, fields) == pytest.approx(floor, rel=1e-6, abs=1e-9)


def test_on_two_fields_it_comes_near_the_least_excess():
    """Were the share, or the cost, needlessly small, no instance would come near."""
    ratios = []
    for seed in range(30):
        problem, fields = two_fields(np.random.default_rng(seed), (3, 3), 60)
        ratios.append(codebook_floor(problem, 2, fields) / least_excess(problem, 2))
    assert max(ratios) <= 1
    assert np.median(ratios) > 0.3


def share_by_definition(problem, fields):
    """The least eigenvalue, on a basis of the vectors whose means are 0."""
    weights = column_weights(problem.X)
    X = np.asarray(problem.X @ np.eye(problem.d1))[:, weights > 0]
    w = weights[weights > 0]
    basis = np.eye(w.size)
    if fields is not None:
        labels = np.asarray(fields)[weights > 0]
        means = np.sqrt(w)[:, None] * (labels[:, None] == np.unique(labels))
        basis = np.linalg.svd(means)[0][:, means.shape[1] :]
    scaled = X / np.sqrt(w) @ basis
    return np.linalg.eigvalsh(scaled.T @ scaled)[0]


@given(seeds, st.integers(2, 4), st.integers(4, 20))
def test_share_of_fields_is_its_definition(seed, n_fields, size):
    rng = np.random.default_rng(seed)
    problem, fields = two_fields(rng, (size,) * n_fields, 8 * size)
    expected = share_by_definition(problem, fields)
    assert diagonal_share(problem, fields) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(seeds, st.integers(1, 60))
def test_share_of_any_design_is_its_definition(seed, d1):
    rng = np.random.default_rng(seed)
    problem = LeastSquares(rng.standard_normal((2 * d1, d1)), np.ones(2 * d1))
    expected = share_by_definition(problem, None)
    assert diagonal_share(problem) == pytest.approx(expected, rel=1e-9)


def test_share_of_movielens_is_what_its_two_fields_have_in_common():
    """1 minus the second singular value of the table of counts, both its margins made 1."""
    problem = catalogue()["movielens"].problem
    movies = problem.X.indices.reshape(-1, 2)[:, 1]
    fields = (np.arange(problem.d1) >= movies.min()).astype(int)
    counts = (problem.X[:, : movies.min()].T @ problem.X[:, movies.min() :]).toarray()
    counts /= np.sqrt(counts.sum(axis=1, keepdims=True) * counts.sum(axis=0))
    second = np.sqrt(np.linalg.eigvalsh(counts @ counts.T)[-2])
    assert diagonal_share(problem, fields) == pytest.approx(1 - second, rel=1e-9)
    assert diagonal_share(problem) == pytest.approx(0, abs=1e-12)


def test_unseen_ids_do_not_count():
    X = np.diag([1.0, 2.0, 0.0, 3.0])
    assert diagonal_share(LeastSquares(X, np.ones(4))) == 1
    assert codebook_floor(LeastSquares(X, np.arange(4.0)), 3) == 0


def test_a_field_that_determines_another_leaves_no_floor():
    ids = np.arange(40) % 8
    problem = LeastSquares(one_hot(ids, ids // 4), np.random.default_rng(0).standard_normal(40))
    fields = np.repeat([0, 1], [8, 2])
    assert diagonal_share(problem, fields) == 0
    assert codebook_floor(problem, 2, fields) == 0


def test_at_least_the_sandwich_on_a_design_of_equal_columns():
    """The claim codebook-sandwich has sigma_r^2 where this has the diagonal and its share."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 12))
    X /= np.sqrt(column_weights(X))
    problem = LeastSquares(X, rng.standard_normal(40))
    assert diagonal_share(problem) == pytest.approx(problem.singular_values[-1] ** 2, rel=1e-9)


@pytest.mark.parametrize(
    ("X", "fields", "message"),
    [
        (np.eye(3), [0, 0], "fields must name the field of each column of X"),
        (np.eye(3), [0, 0, 1], "every row of X must be one-hot in each field"),
        (2 * np.eye(3), [0, 0, 0], "every row of X must be one-hot in each field"),
    ],
)
def test_hypotheses(X, fields, message):
    with pytest.raises(HypothesisError, match=message):
        codebook_floor(LeastSquares(X, np.ones(3)), 1, fields)
