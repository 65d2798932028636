"""`LeastSquares` against `numpy.linalg.lstsq`, and what it must not compute."""

import re
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import LeastSquares, TooLargeError
from lsq_sketch.reductions import elimination, svd
from tests import twins
from tests.checks import EPS, ROOM, check_against_lstsq, dense
from tests.strategies import one_hot, problems, random_sparse, seeds, with_spectrum


def rng_of(*key):
    return np.random.default_rng(key)


def targets(n, d2=3, seed=0):
    return rng_of(seed, n, d2).standard_normal((n, d2))


# Designs ------------------------------------------------------------------------------------


def dense_cases():
    rng = rng_of(1)
    X = rng.standard_normal((30, 8))
    duplicated = X[:, [0, 1, 2, 2, 3, 0, 4, 5]]
    zeroed = X.copy()
    zeroed[:, [1, 6]] = 0.0
    return {
        "tall": X,
        "fortran": np.asfortranarray(X),
        "strided": rng.standard_normal((60, 16))[::2, ::2],
        "float32": X.astype(np.float32),
        "int": rng.integers(-5, 6, (30, 8)),
        "uint8": rng.integers(0, 256, (30, 8)).astype(np.uint8),
        "bool": rng.random((30, 8)) < 0.4,
        "big-endian": X.astype(">f8"),
        "list": X[:4, :2].tolist(),
        "square": rng.standard_normal((9, 9)),
        "wide": rng.standard_normal((6, 20)),
        "one more row": rng.standard_normal((10, 9)),
        "one row": rng.standard_normal((1, 5)),
        "one column": rng.standard_normal((7, 1)),
        "one entry": np.array([[2.0]]),
        "low rank": with_spectrum(30, 12, [3.0, 2.0, 1.0, 0.5], rng),
        "low rank, wide": with_spectrum(8, 20, [3.0, 2.0, 1.0], rng),
        "duplicate columns": duplicated,
        "zero columns": zeroed,
        "zero": np.zeros((5, 3)),
        "zero, wide": np.zeros((3, 5)),
        "tiny": X * 1e-100,
        "huge": X * 1e100,
    }


DENSE = dense_cases()


@pytest.mark.parametrize("d2", [1, 3])
@pytest.mark.parametrize("name", DENSE)
def test_dense(name, d2):
    X = DENSE[name]
    Y = targets(len(X), d2)
    eps = float(np.finfo(np.float32).eps) if name == "float32" else EPS
    check_against_lstsq(LeastSquares(X, Y), np.asarray(X), Y, eps)


def sparse_cases():
    rng = rng_of(2)
    base = random_sparse(40, 10, 0.3, rng)
    with_copies = sp.csr_array(base[:, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 3, 3]])
    empty = base.toarray()
    empty[:, [2, 5]] = 0.0
    return {
        "one field": one_hot(50, [12], rng),
        "one field, IDs unseen": one_hot(6, [12], rng),
        "two fields": one_hot(60, [9, 7], rng),
        "two fields, equal": one_hot(60, [8, 8], rng),
        "several fields": one_hot(80, [6, 5, 4, 3], rng),
        "integer weights": one_hot(60, [9, 7], rng, weights=True),
        "random": base,
        "random, wide": random_sparse(8, 30, 0.3, rng),
        "random, dense": random_sparse(40, 10, 0.9, rng),
        "duplicate columns": with_copies,
        "zero columns": sp.csr_array(empty),
        "zero": sp.csr_array((6, 4)),
        "one row": sp.csr_array(np.array([[1.0, 0.0, 2.0, 3.0]])),
        "one column": sp.csr_array(np.array([[1.0], [0.0], [2.0]])),
        "two columns": sp.csr_array(np.array([[1.0, 1.0], [0.0, 1.0], [2.0, 0.0]])),
        "tiny": base * 1e-100,
        "huge": base * 1e100,
        "tiny fields": one_hot(60, [9, 7], rng) * 1e-100,
    }


SPARSE = sparse_cases()


@pytest.mark.parametrize("d2", [1, 3])
@pytest.mark.parametrize("name", SPARSE)
def test_sparse(name, d2):
    X = SPARSE[name]
    Y = targets(X.shape[0], d2)
    check_against_lstsq(LeastSquares(X, Y), X, Y)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr"])
def test_sparse_formats(form, kind):
    make = getattr(sp, f"{form}_{kind}")
    X = SPARSE["two fields"]
    Y = targets(X.shape[0])
    check_against_lstsq(LeastSquares(make(X.toarray()), Y), X, Y)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int8, bool])
def test_sparse_dtypes(dtype):
    X = SPARSE["two fields"].astype(dtype)
    Y = targets(X.shape[0])
    check_against_lstsq(LeastSquares(X, Y), X, Y, max(EPS, np.finfo(np.float32).eps))


def test_duplicate_entries_of_a_coo_matrix_are_summed():
    X = sp.coo_array(([1.0, 2.0, 5.0, 1.0], ([0, 0, 1, 2], [0, 0, 1, 1])), shape=(3, 2))
    Y = targets(3)
    check_against_lstsq(LeastSquares(X, Y), X, Y)


def test_a_csr_with_duplicate_entries_is_summed_and_left_as_it_was():
    X = sp.csr_array((np.ones(4), np.array([1, 1, 0, 1]), np.array([0, 2, 4])), shape=(2, 2))
    Y = targets(2)
    check_against_lstsq(LeastSquares(X, Y), np.array([[0.0, 2.0], [1.0, 1.0]]), Y)
    assert X.nnz == 4


def test_one_dimensional_targets_are_one_column():
    X, y = DENSE["tall"], targets(30, 1)[:, 0]
    p = LeastSquares(X, y)
    assert p.Y.shape == (30, 1)
    check_against_lstsq(p, X, y)
    T = p.optimum
    assert p.loss(T[:, 0]) == p.loss(T)
    assert p.excess(2 * T[:, 0]) == p.excess(2 * T)


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e100])
@pytest.mark.parametrize("name", ["tall", "low rank", "wide"])
def test_scaling_targets_scales_the_optimum(name, scale):
    X, Y = DENSE[name], targets(len(DENSE[name]))
    p, q = LeastSquares(X, Y), LeastSquares(X, scale * Y)
    np.testing.assert_allclose(q.optimum, scale * p.optimum, rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(q.excess(0 * q.optimum), scale**2 * p.excess(0 * p.optimum))


def test_many_row_blocks(monkeypatch):
    """More rows than one block of QR holds: the blocks' triangles are factored together."""
    monkeypatch.setattr(svd, "SAFE_GRAM", np.inf)  # no shortcut
    rng = rng_of(3)
    X, Y = rng.standard_normal((977, 5)), targets(977)
    assert len(X) > 20 * svd.BLOCK_ROWS * X.shape[1]
    check_against_lstsq(LeastSquares(X, Y), X, Y)


@pytest.mark.parametrize("scale", [2.0**-300, 1.0, 3e100])
@pytest.mark.parametrize("condition", [1.0, 5.0, 25.0])
def test_the_gram_shortcut_is_harmless_where_it_is_taken(monkeypatch, condition, scale):
    rng = rng_of(4)
    X = scale * with_spectrum(90, 12, np.geomspace(1, 1 / condition, 12), rng)
    Y = targets(90)
    short = svd.SingularValueReduction(X, Y, EPS)
    assert svd._by_gram(X, Y) is not None
    monkeypatch.setattr(svd, "SAFE_GRAM", np.inf)
    full = svd.SingularValueReduction(X, Y, EPS)
    np.testing.assert_allclose(short.singular_values, full.singular_values, rtol=EPS / 1e-3)
    np.testing.assert_allclose(short.optimum, full.optimum, rtol=1e-11, atol=1e-13 / scale)
    T = rng.standard_normal((12, Y.shape[1])) / scale
    assert short.excess(T) == pytest.approx(full.excess(T), rel=1e-12)


@pytest.mark.parametrize("condition", [100.0, 1e8])
def test_the_gram_shortcut_is_not_taken_where_it_would_harm(condition):
    X = with_spectrum(90, 12, np.geomspace(1, 1 / condition, 12), rng_of(5))
    assert svd._by_gram(X, targets(90)) is None
    X[:, 3] = X[:, 2]
    assert svd._by_gram(X, targets(90)) is None
    assert svd._by_gram(np.zeros((90, 12)), targets(90)) is None


def test_longdouble_data_have_the_precision_they_are_computed_with():
    """float64 arithmetic cannot tell singular values below its own eps from zero."""
    X = DENSE["low rank"].astype(np.longdouble)
    Y = targets(len(X))
    check_against_lstsq(LeastSquares(X, Y), DENSE["low rank"], Y)


# Ill-conditioned ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60, 15), (15, 15), (15, 40)])
@pytest.mark.parametrize("cond", [1e3, 1e6, 1e9, 1e12])
def test_ill_conditioned_dense(cond, shape):
    X = with_spectrum(*shape, np.geomspace(1, 1 / cond, 15), rng_of(4, int(np.log10(cond))))
    Y = targets(shape[0])
    check_against_lstsq(LeastSquares(X, Y), X, Y)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_near_duplicate_sparse_columns(gap):
    """Columns ``gap`` apart: beyond sqrt(eps) the Gram matrix is useless, and QR takes over."""
    rng = rng_of(5)
    base = random_sparse(60, 8, 0.3, rng)
    X = sp.csr_array(sp.hstack([base, base + gap * random_sparse(60, 8, 0.3, rng)]))
    Y = targets(60)
    p = LeastSquares(X, Y)
    assert isinstance(p.reduction, elimination.EliminationReduction)
    assert p.reduction._gram_is_safe == (gap > 1e-4)
    check_against_lstsq(p, X, Y)


@pytest.mark.parametrize("n", [9, 12, 14])
def test_near_duplicate_sparse_columns_with_few_rows(n):
    """Fewer rows than remaining columns, or hardly more, in the QR of the fallback."""
    rng = rng_of(6, n)
    base = random_sparse(n, 8, 0.6, rng)
    X = sp.csr_array(sp.hstack([base, base + 1e-7 * random_sparse(n, 8, 0.6, rng)]))
    Y = targets(n)
    p = LeastSquares(X, Y)
    assert not p.reduction._gram_is_safe
    check_against_lstsq(p, X, Y)


def test_the_fallback_spans_several_row_blocks(monkeypatch):
    monkeypatch.setattr(elimination, "MIN_BLOCK_ROWS", 16)
    rng = rng_of(7)
    base = random_sparse(100, 4, 0.3, rng)
    X = sp.csr_array(sp.hstack([base, base + 1e-8 * random_sparse(100, 4, 0.3, rng)]))
    Y = targets(100, 2)
    p = LeastSquares(X, Y)
    assert not p.reduction._gram_is_safe
    check_against_lstsq(p, X, Y)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_columns_far_below_the_cutoff_do_not_count(form):
    """A singular value below ``max(n, d1) eps sigma_1`` is zero, in any column."""
    X = np.zeros((6, 3))
    X[:3, 0], X[3:5, 1], X[5, 2] = 1.0, 1.0, 1e-20
    Y = targets(6)
    check_against_lstsq(LeastSquares(form(X), Y), X, Y)


@pytest.mark.parametrize("small", [1e-2, 1e-4, 1e-6, 1e-8, 1e-12])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_minimum_norm_beside_small_entries(form, small):
    """One row, so perfectly conditioned: ``T* = x y / |x|^2``, however small an entry is."""
    x = np.array([[small, 1.0, 2.0]])
    p = LeastSquares(form(x), [3.0])
    np.testing.assert_allclose(p.optimum, 3.0 * x.T / (x**2).sum(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("small", [1e-2, 1e-5, 1e-8])
def test_minimum_norm_of_wide_designs_with_columns_of_all_sizes(small):
    rng = rng_of(18)
    X = random_sparse(6, 15, 0.4, rng).toarray()
    X[:, ::3] *= small
    Y = targets(6)
    T, _, sigma = twins.lstsq(X, Y)
    assert sigma[-1] > 0.1  # well-conditioned all the same
    p = LeastSquares(sp.csr_array(X), Y)
    np.testing.assert_allclose(p.optimum, T, atol=1e-9 * np.abs(T).max())


# One field: closed form ---------------------------------------------------------------------


def test_one_field_is_means():
    rng = rng_of(8)
    ids = rng.integers(0, 20, 300)
    X = sp.csr_array((np.ones(300), ids, np.arange(301)), shape=(300, 25))
    Y = targets(300, 2)
    p = LeastSquares(X, Y)
    counts = np.bincount(ids, minlength=25)
    means = np.array([Y[ids == i].sum(axis=0) / max(1, counts[i]) for i in range(25)])
    np.testing.assert_allclose(p.optimum, means, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(p.singular_values, np.sqrt(np.sort(counts[counts > 0])[::-1]))
    assert p.rank == np.count_nonzero(counts)
    assert p.rho == pytest.approx(counts[counts > 0].min() / 300, rel=1e-14)
    assert p.spectral_norm == pytest.approx(np.sqrt(counts.max()), rel=1e-15)


def check_wide_one_hot(n, d1):
    rng = rng_of(9)
    ids = (d1 * rng.random(n) ** 3).astype(np.int64)
    X = sp.csr_array((np.ones(n), ids, np.arange(n + 1)), shape=(n, d1))
    y = rng.standard_normal(n)
    tracemalloc.start()
    try:
        p = LeastSquares(X, y)
        built = tracemalloc.get_traced_memory()[1]
        assert "reduction" not in p.__dict__
        assert built < 64 * n  # the data, and the masks of the checks: nothing of size d1
        counts = np.bincount(ids, minlength=d1)
        means = np.bincount(ids, y, minlength=d1) / np.maximum(counts, 1)
        np.testing.assert_allclose(p.optimum[:, 0], means, rtol=1e-12, atol=1e-14)
        assert p.rho == pytest.approx(counts[counts > 0].min() / n, rel=1e-12)
        assert p.rank == np.count_nonzero(counts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 * (n + d1)  # a few dozen vectors; one d1 x d1 matrix would be 8 d1 d1


def test_wide_one_hot_design():
    check_wide_one_hot(n=2_000, d1=10_000)


@pytest.mark.compiled
def test_million_column_one_hot_design():
    check_wide_one_hot(n=200_000, d1=1_000_000)


# Loss and excess ----------------------------------------------------------------------------


@given(problems())
def test_optimum_equals_lstsq(problem):
    X, Y = problem
    check_against_lstsq(LeastSquares(X, Y), X, Y)


@given(problems(), seeds)
def test_excess_is_loss_above_the_optimum(problem, seed):
    X, Y = problem
    p = LeastSquares(X, Y)
    T = rng_of(seed).standard_normal((p.d1, p.d2))
    loss = twins.squared_norm(dense(X) @ T - Y)
    assert p.loss(T) == pytest.approx(loss, rel=1e-12)
    scale = loss + p.optimal_loss
    assert abs(p.excess(T) - (loss - p.optimal_loss)) <= 1e-10 * scale
    assert p.excess(T) >= 0


@given(problems(), seeds, st.floats(-1.0, 1.0))
def test_excess_is_a_quadratic_form_around_the_optimum(problem, seed, t):
    """``e(T* + t D) = t^2 e(T* + D)``; and directions outside the row space change nothing."""
    X, Y = problem
    p = LeastSquares(X, Y)
    D = rng_of(seed).standard_normal((p.d1, p.d2))
    whole = p.excess(p.optimum + D)
    scale = whole + twins.squared_norm(dense(X) @ p.optimum)
    assert abs(p.excess(p.optimum + t * D) - t**2 * whole) <= 1e-9 * scale
    null = D - np.linalg.pinv(dense(X)) @ (dense(X) @ D)
    assert p.excess(p.optimum + null) <= 1e-20 * (1 + scale)


def test_small_excess_is_not_lost_in_a_large_loss():
    """An excess of 1e-12 beside a loss of 1e8: as a difference of losses it would be noise."""
    rng = rng_of(10)
    X = rng.standard_normal((50, 5))
    Y = X @ rng.standard_normal((5, 1)) + 1e3 * rng.standard_normal((50, 1))
    p = LeastSquares(X, Y)
    direction = np.eye(5)[:, :1] * 1e-6
    exact = 1e-12 * twins.squared_norm(X[:, 0])
    assert p.optimal_loss > 1e7
    assert p.excess(p.optimum + direction) == pytest.approx(exact, rel=1e-4)


@given(problems(), seeds)
def test_permuting_rows_changes_nothing(problem, seed):
    X, Y = problem
    order = rng_of(seed).permutation(X.shape[0])
    p, q = LeastSquares(X, Y), LeastSquares(X[order], Y[order])
    T = rng_of(seed).standard_normal((p.d1, p.d2))
    assert p.rank == q.rank
    assert q.excess(T) == pytest.approx(p.excess(T), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(q.optimum, p.optimum, rtol=1e-7, atol=1e-7)


@given(problems(), seeds)
def test_permuting_columns_permutes_the_optimum(problem, seed):
    X, Y = problem
    order = rng_of(seed).permutation(X.shape[1])
    p, q = LeastSquares(X, Y), LeastSquares(X[:, order], Y)
    assert p.rank == q.rank
    np.testing.assert_allclose(q.optimum, p.optimum[order], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(q.singular_values, p.singular_values, rtol=1e-9)


def test_loss_in_several_chunks(monkeypatch):
    monkeypatch.setattr("lsq_sketch.problem.LOSS_ENTRIES", 20)
    X, Y = DENSE["tall"], targets(30)
    T = targets(8)
    loss = twins.squared_norm(X @ T - Y)
    assert LeastSquares(X, Y).loss(T) == pytest.approx(loss, rel=1e-14)


def test_nothing_is_computed_before_it_is_asked_for():
    p = LeastSquares(DENSE["tall"], targets(30))
    assert "reduction" not in p.__dict__
    p.loss(np.zeros((8, 3)))
    assert repr(p) == "LeastSquares(n=30, d1=8, d2=3, dense)"
    assert repr(LeastSquares(SPARSE["random"], targets(40))) == (
        "LeastSquares(n=40, d1=10, d2=3, sparse)"
    )
    assert p.squared_frobenius_norm > 0
    assert "reduction" not in p.__dict__
    assert p.rank == 8
    assert "reduction" in p.__dict__
    assert p.reduction is p.reduction


def test_data_are_not_changed():
    X, Y = DENSE["tall"].copy(), targets(30)
    S = SPARSE["two fields"].copy()
    Z = targets(60)
    for design, response in [(X, Y), (S, Z)]:
        p = LeastSquares(design, response)
        assert p.rho > 0
        assert p.optimal_loss > 0
    np.testing.assert_array_equal(X, DENSE["tall"])
    np.testing.assert_array_equal(Y, targets(30))
    np.testing.assert_array_equal(S.toarray(), SPARSE["two fields"].toarray())
    np.testing.assert_array_equal(Z, targets(60))


# Spectrum by other roads --------------------------------------------------------------------


LANCZOS = {
    "two fields": one_hot(300, [60, 40], rng_of(11)),
    "weighted": one_hot(300, [60, 40], rng_of(12), weights=True),
    "random": random_sparse(300, 90, 0.05, rng_of(13)),
    "small": one_hot(60, [9, 7], rng_of(14)),
    "many fields": one_hot(400, [40, 30, 20, 10], rng_of(15)),
    "copies": sp.csr_array(random_sparse(300, 60, 0.05, rng_of(16))[:, [*range(60), *range(30)]]),
}


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1.0, 1e100])
@pytest.mark.parametrize("name", LANCZOS)
def test_extreme_singular_values_by_lanczos(monkeypatch, name, scale):
    """The road taken for large ranks, forced: rank-deficient designs (two fields) included."""
    monkeypatch.setattr(elimination, "SVD_SIZE", 0)
    X = LANCZOS[name] * scale
    p = LeastSquares(X, targets(X.shape[0]))
    sigma = np.linalg.svd(X.toarray(), compute_uv=False)[: p.rank]
    assert not p.reduction.spectrum_is_cheap
    assert p.spectral_norm == pytest.approx(sigma[0], rel=1e-10)
    smallest = p.reduction.smallest_singular_value
    assert "singular_values" not in p.reduction.__dict__
    cond = sigma[0] / sigma[-1]
    assert smallest == pytest.approx(sigma[-1], rel=ROOM * EPS * cond**2 + 1e-10)
    assert p.rho == pytest.approx(sigma[-1] ** 2 / twins.squared_norm(X.toarray()), rel=1e-8)


@pytest.mark.parametrize("name", LANCZOS)
def test_singular_values_from_the_gram_matrix(monkeypatch, name):
    monkeypatch.setattr(elimination, "SVD_SIZE", 0)
    X = LANCZOS[name]
    p = LeastSquares(X, targets(X.shape[0]))
    sigma = np.linalg.svd(X.toarray(), compute_uv=False)[: p.rank]
    np.testing.assert_allclose(p.singular_values, sigma, rtol=1e-10)
    assert p.reduction.smallest_singular_value == p.singular_values[-1]


def test_singular_values_take_one_dense_matrix(monkeypatch):
    monkeypatch.setattr(elimination, "SVD_SIZE", 0)
    p = LeastSquares(one_hot(4000, [400, 300], rng_of(20)), targets(4000))
    assert p.rank == 699
    tracemalloc.start()
    try:
        assert p.singular_values.shape == (699,)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.4 * 8 * 700**2


def test_singular_values_of_an_ill_conditioned_design_do_not_come_from_the_gram_matrix(monkeypatch):
    monkeypatch.setattr(elimination, "SVD_SIZE", 0)
    rng = rng_of(19)
    base = random_sparse(60, 8, 0.3, rng)
    X = sp.csr_array(sp.hstack([base, base + 1e-5 * random_sparse(60, 8, 0.3, rng)]))
    p = LeastSquares(X, targets(60))
    sigma = np.linalg.svd(X.toarray(), compute_uv=False)
    np.testing.assert_allclose(p.singular_values, sigma, rtol=0, atol=ROOM * EPS * sigma[0])


def test_the_spectrum_of_a_large_design_is_refused_but_rho_is_not(monkeypatch):
    monkeypatch.setattr(elimination, "SVD_SIZE", 0)
    monkeypatch.setattr(elimination, "SPECTRUM_SIZE", 10)
    X = LANCZOS["two fields"]
    p = LeastSquares(X, targets(X.shape[0]))
    message = f"singular_values of this design need a dense matrix of rank {p.rank}; more than 10"
    with pytest.raises(TooLargeError, match=re.escape(message)):
        p.singular_values  # noqa: B018
    sigma = np.linalg.svd(X.toarray(), compute_uv=False)[: p.rank]
    assert p.rho == pytest.approx(sigma[-1] ** 2 / twins.squared_norm(X.toarray()), rel=1e-9)


def test_spectral_norms_of_three_columns():
    """The smallest size that Lanczos iteration is asked for, and the hardest to converge in."""
    for seed in range(50):
        X = random_sparse(6, 3, 0.5, rng_of(17, seed))
        expected = np.linalg.norm(X.toarray(), 2)
        for max_dense in (0, 4096):
            p = LeastSquares(X, np.ones(6), max_dense=max_dense)
            assert p.spectral_norm == pytest.approx(expected, rel=1e-10)


def test_svd_falls_back_to_qr_iteration(monkeypatch):
    """LAPACK's divide and conquer may fail to converge; its QR iteration does the rest."""
    original, drivers = svd.scipy.linalg.svd, []

    def failing(*args, lapack_driver="gesdd", **options):
        drivers.append(lapack_driver)
        if lapack_driver == "gesdd":
            raise np.linalg.LinAlgError("SVD did not converge")
        return original(*args, lapack_driver=lapack_driver, **options)

    monkeypatch.setattr(svd.scipy.linalg, "svd", failing)
    X = DENSE["square"]
    Y = targets(len(X))
    check_against_lstsq(LeastSquares(X, Y), X, Y)
    assert drivers == ["gesdd", "gesvd"]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_a_zero_design(form):
    p = LeastSquares(form(np.zeros((4, 3))), np.ones(4))
    assert p.rank == 0
    assert p.singular_values.shape == (0,)
    assert p.spectral_norm == 0.0
    assert (p.optimum == 0).all()
    assert p.optimal_loss == 4.0
    assert p.excess(np.ones((3, 1))) == 0.0
    with pytest.raises(ValueError, match=r"rho is not defined: X is zero\. Give X at least one"):
        p.rho  # noqa: B018
