"""Bucket matrices and count sketches: products, adjoints, laws of the draw, normal equations."""

import tracemalloc
from itertools import pairwise, product

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    sketched_least_squares,
    sketched_normal_equations,
    sketches,
)
from tests import twins
from tests.strategies import bucket_matrices, one_hot, random_sparse, seeds, sparse_designs

FALSE_ALARM = 1e-6
"""Chance that a statistical test fails although the law holds; with fixed seeds it has not."""

SHAPES = [(1, 1, 1), (1, 9, 4), (5, 1, 3), (7, 6, 1), (8, 5, 11), (67, 30, 7), (300, 4, 2)]


def dense(C):
    return twins.dense_matrix(C.buckets, C.signs, C.m)


# X @ C --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool, ">f8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_apply_dense_in_any_layout(shape, dtype):
    n, d1, m = shape
    rng = np.random.default_rng(shape)
    C = CountSketch(d1, m, rng)
    X = (3 * rng.standard_normal((2 * n, 2 * d1))).astype(dtype)
    layouts = {
        "C": np.ascontiguousarray(X[:n, :d1]),
        "F": np.asfortranarray(X[:n, :d1]),
        "rows of C": X[:n, :d1],
        "strided": X[::2, ::2],
        "reversed": X[::-1, ::-1][:n, :d1],
        "transposed": X.T.copy()[:d1, :n].T,
    }
    for name, layout in layouts.items():
        out = C.apply(layout)
        expected = twins.sketch(layout, C.buckets, C.signs, m)
        np.testing.assert_array_equal(out, expected, err_msg=name)
        assert out.dtype == np.float64
        assert out.flags.c_contiguous


def test_apply_takes_lists_and_no_rows():
    C = BucketMatrix([0, 1, 0], 2, [1, -1, -1])
    np.testing.assert_array_equal(C.apply([[1, 2, 4], [True, 0, 0]]), [[-3.0, -2.0], [1.0, 0.0]])
    assert C.apply(np.zeros((0, 3))).shape == (0, 2)
    assert C.apply(sp.csr_array((0, 3))).shape == (0, 2)


def test_apply_does_not_change_its_input():
    rng = np.random.default_rng(0)
    X, C = rng.standard_normal((9, 6)), CountSketch(6, 2)
    S = sp.csc_matrix(X)
    before = X.copy()
    C.apply(X)
    C.apply(S)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(S.toarray(), before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, bool])
@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("shape", SHAPES)
def test_apply_sparse_keeps_format_and_kind(shape, kind, form, dtype):
    n, d1, m = shape
    rng = np.random.default_rng(shape)
    X = random_sparse(n, d1, 0.3, rng)
    X.data = np.round(4 * X.data)
    X = getattr(sp, f"{form}_{kind}")(X.astype(dtype))
    C = CountSketch(d1, m, rng)
    out = C.apply(X)
    assert type(out) is type(X)
    assert out.dtype == np.float64
    assert out.shape == (n, m)
    out.check_format(full_check=True)
    assert out.nnz <= X.nnz
    np.testing.assert_array_equal(out.toarray(), X.toarray().astype(float) @ dense(C))


@pytest.mark.parametrize("form", ["coo", "lil", "dok", "dia", "bsr"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_apply_other_sparse_formats_become_csr(form, kind):
    X = random_sparse(12, 8, 0.3, np.random.default_rng(0))
    C = CountSketch(8, 3)
    out = C.apply(getattr(sp, f"{form}_{kind}")(X))
    assert type(out) is getattr(sp, f"csr_{kind}")
    np.testing.assert_allclose(out.toarray(), X.toarray() @ dense(C), atol=1e-14)


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array])
def test_apply_sparse_with_empty_rows_and_columns(form):
    X = np.zeros((6, 5))
    X[1, 3], X[4, 0] = 2.0, -1.0
    C = CountSketch(5, 3, rng=1)
    np.testing.assert_array_equal(C.apply(form(X)).toarray(), X @ dense(C))
    empty = C.apply(form((6, 5)))
    assert empty.nnz == 0
    assert empty.shape == (6, 3)


def test_apply_sparse_that_is_not_canonical():
    """Unsorted and repeated entries are summed."""
    X = sp.csr_array((np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3])), (1, 3))
    C = BucketMatrix([0, 1, 0], 2, [1, 1, -1])
    np.testing.assert_array_equal(C.apply(X).toarray(), [[2.0 - 1.0 - 3.0, 0.0]])


@given(bucket_matrices(), seeds, st.integers(1, 20))
def test_apply_equals_the_sparse_product(C, seed, n):
    X = np.random.default_rng(seed).standard_normal((n, C.d1))
    expected = X @ C.to_sparse()
    np.testing.assert_allclose(C.apply(X), expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(C.apply(sp.csr_array(X)).toarray(), expected, atol=1e-13)
    np.testing.assert_allclose(C.apply(sp.csc_array(X)).toarray(), expected, atol=1e-13)


@given(bucket_matrices(), seeds)
def test_apply_is_linear(C, seed):
    rng = np.random.default_rng(seed)
    A, B = rng.integers(-9, 9, (2, 11, C.d1))
    a, b = rng.integers(-9, 9, 2)
    np.testing.assert_array_equal(C.apply(a * A + b * B), a * C.apply(A) + b * C.apply(B))


@pytest.mark.parametrize("order", ["C", "F"])
def test_apply_has_the_documented_error(order):
    """At most ``b eps`` times the sum of magnitudes, ``b`` the size of the bucket."""
    rng = np.random.default_rng(0)
    X = np.array(rng.standard_normal((5, 3000)) * 10.0 ** rng.integers(-8, 8, 3000), order=order)
    C = CountSketch(3000, 2, rng)
    exact = X.astype(np.longdouble) @ dense(C).astype(np.longdouble)
    sizes = np.bincount(C.buckets, minlength=2)
    assert (np.abs(C.apply(X) - exact) <= sizes * twins.EPS * (np.abs(X) @ np.abs(dense(C)))).all()


# C @ M and C' @ T ---------------------------------------------------------------------------


@given(bucket_matrices(), seeds, st.integers(1, 3))
def test_expand_and_gather(C, seed, d2):
    rng = np.random.default_rng(seed)
    M, T = rng.standard_normal((C.m, d2)), rng.standard_normal((C.d1, d2))
    np.testing.assert_array_equal(C.expand(M), dense(C) @ M)
    np.testing.assert_array_equal(C.expand(M[:, 0]), dense(C) @ M[:, 0])
    np.testing.assert_array_equal(C.gather(T), twins.bucket_sums(T, C.buckets, C.signs, C.m))
    np.testing.assert_array_equal(C.to_sparse().toarray(), dense(C))


@given(bucket_matrices(), seeds, st.integers(1, 3))
def test_gather_is_the_adjoint_of_expand(C, seed, d2):
    """``<C'x, y> = <x, C y>``, exactly on integers."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-99, 99, (C.d1, d2)), rng.integers(-99, 99, (C.m, d2))
    assert (C.gather(x) * y).sum() == (x * C.expand(y)).sum()
    np.testing.assert_array_equal(C.gather(x).T, C.apply(x.T))


@given(bucket_matrices(), seeds)
def test_gathering_what_was_expanded_counts_the_buckets(C, seed):
    M = np.random.default_rng(seed).integers(-9, 9, (C.m, 2))
    sizes = np.bincount(C.buckets, minlength=C.m)
    np.testing.assert_array_equal(C.gather(C.expand(M)), sizes[:, None] * M)


@given(bucket_matrices(), seeds)
def test_without_empty_buckets(C, seed):
    """The same columns in the same order, but for the zero ones."""
    D = C.without_empty_buckets()
    used = np.abs(dense(C)).sum(axis=0) > 0
    np.testing.assert_array_equal(dense(D), dense(C)[:, used])
    assert D.m == used.sum()
    assert (D is C) == used.all()
    M = np.random.default_rng(seed).standard_normal((C.m, 2))
    np.testing.assert_array_equal(D.expand(M[used]), C.expand(M))


def test_types_and_representation():
    C = CountSketch(6, 2, rng=0)
    assert C.buckets.dtype == np.int32
    assert C.signs.dtype == np.float64
    assert repr(C) == "CountSketch(d1=6, m=2)"
    A = BucketMatrix(np.array([2, 0], np.uint8), 3)
    assert repr(A) == "BucketMatrix(d1=2, m=3)"
    assert (A.signs == 1).all()
    assert isinstance(A.to_sparse(), sp.csr_array)


# Exact expectations over all sketches -------------------------------------------------------


def all_sketches(d1, m):
    """Every (hash function, signs): each has the same probability."""
    for buckets in product(range(m), repeat=d1):
        for signs in product([-1.0, 1.0], repeat=d1):
            yield BucketMatrix(np.array(buckets), m, np.array(signs))


@pytest.mark.parametrize(("d1", "m"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2), (3, 3), (4, 2)])
def test_moments_by_enumeration(d1, m):
    """``E[CC'] = I`` and ``E[CC'SCC'] = (1 + 1/m) S + (tr(S) I - 2 diag(S)) / m``, exactly.

    Entries are integers, so the sums over all sketches are exact: no tolerance.
    """
    A = np.random.default_rng(0).integers(-5, 6, (d1, d1))
    S = A + A.T
    count, first, second = 0, np.zeros((d1, d1)), np.zeros((d1, d1))
    for C in all_sketches(d1, m):
        back = C.expand(C.apply(np.eye(d1)).T)  # C (I C)' = CC'
        first += back
        second += back @ S @ back
        count += 1
    assert count == m**d1 * 2**d1
    np.testing.assert_array_equal(first, count * np.eye(d1))
    diagonal = np.diag(np.diag(S))
    expected = (m + 1) * S + np.trace(S) * np.eye(d1) - 2 * diagonal
    np.testing.assert_array_equal(m * second, count * expected)
    if d1 > 1:
        assert not np.array_equal(m * second, count * (expected + 2 * diagonal))  # a false twin


# The law of the draw ------------------------------------------------------------------------


def chi_square_rejects(counts):
    """Whether counts of cells that should be equally likely are not, at `FALSE_ALARM`."""
    expected = counts.sum() / counts.size
    statistic = ((counts - expected) ** 2 / expected).sum()
    return statistic > stats.chi2.isf(FALSE_ALARM, counts.size - 1)


def chi_square_power(probabilities, n):
    """Chance that ``n`` draws with these cell probabilities are rejected (noncentral law)."""
    cells = probabilities.size
    shift = n * cells * ((probabilities - 1 / cells) ** 2).sum()
    return stats.ncx2.sf(stats.chi2.isf(FALSE_ALARM, cells - 1), cells - 1, shift)


def cells_of(buckets, signs, m):
    """Counts of (bucket, sign, bucket of the next row, its sign)."""
    one = 2 * buckets + (signs > 0)
    pair = one[:-1:2].astype(np.int64) * 2 * m + one[1::2]
    return np.bincount(pair, minlength=4 * m * m)


M, N_ROWS = 5, 400_000


def test_buckets_and_signs_are_uniform_and_independent():
    """Joint law of (bucket, sign) of two rows; one false alarm in a million such tests."""
    C = CountSketch(N_ROWS, M, rng=2024)
    assert not chi_square_rejects(cells_of(C.buckets, C.signs, M))


@pytest.mark.parametrize("fault", ["signs", "last bucket", "parity"])
def test_that_test_would_notice(fault):
    """Signs +1 in 51.5 of 100; a bucket 8 % rarer; neighbours with the same sign in 52.5 of 100.

    Each would be missed less than once in a million times.
    """
    rng = np.random.default_rng(1)
    buckets, signs = rng.integers(0, M, N_ROWS), rng.choice([-1.0, 1.0], N_ROWS)
    sign_law, bucket_law = np.full(2, 0.5), np.full(M, 1 / M)
    joint_signs = np.full((2, 2), 0.25)
    if fault == "signs":
        sign_law = np.array([0.485, 0.515])
        signs = rng.choice([-1.0, 1.0], N_ROWS, p=sign_law)
        joint_signs = np.outer(sign_law, sign_law)
    elif fault == "last bucket":
        bucket_law[-1] *= 0.92
        bucket_law /= bucket_law.sum()
        buckets = rng.choice(M, N_ROWS, p=bucket_law)
    else:
        repeat = rng.random(N_ROWS // 2) < 0.525
        signs[1::2] = np.where(repeat, signs[::2], -signs[::2])
        joint_signs = np.array([[0.2625, 0.2375], [0.2375, 0.2625]])
    law = np.einsum("a,b,st->asbt", bucket_law, bucket_law, joint_signs).ravel()
    assert chi_square_power(law, N_ROWS // 2) > 1 - 1e-6
    assert chi_square_rejects(cells_of(buckets, signs, M))


def test_same_seed_same_sketch():
    C, D, E = CountSketch(500, 7, rng=3), CountSketch(500, 7, rng=3), CountSketch(500, 7, rng=4)
    np.testing.assert_array_equal(C.buckets, D.buckets)
    np.testing.assert_array_equal(C.signs, D.signs)
    assert (C.buckets != E.buckets).any()
    assert (C.signs != E.signs).any()
    default = CountSketch(500, 7)
    np.testing.assert_array_equal(default.buckets, CountSketch(500, 7, rng=0).buckets)


def test_a_generator_is_used_as_it_is():
    """So that a second sketch from it is a fresh one."""
    rng = np.random.default_rng(3)
    C, D = CountSketch(500, 7, rng), CountSketch(500, 7, rng)
    np.testing.assert_array_equal(C.buckets, CountSketch(500, 7, rng=3).buckets)
    assert (C.buckets != D.buckets).any()


def test_one_bucket():
    C = CountSketch(50, 1, rng=0)
    assert (C.buckets == 0).all()
    np.testing.assert_array_equal(C.apply(np.ones((1, 50))), [[C.signs.sum()]])


# (XC)'(XC) and (XC)'Y -----------------------------------------------------------------------


def check_normal_equations(X, Y, C, rtol=1e-12):
    gram, moments = sketched_normal_equations(X, Y, C)
    XC = X.toarray().astype(float) @ dense(C)
    Y = np.asarray(Y, dtype=float).reshape(X.shape[0], -1)
    size = (np.abs(X.toarray()) @ np.abs(dense(C))).astype(float)
    assert (np.abs(gram - XC.T @ XC) <= rtol * (size.T @ size) + 1e-300).all()
    assert (np.abs(moments - XC.T @ Y) <= rtol * (size.T @ np.abs(Y)) + 1e-300).all()
    np.testing.assert_array_equal(gram, gram.T)
    assert gram.shape == (C.m, C.m)
    assert moments.shape == (C.m, Y.shape[1])


@given(sparse_designs(), seeds, st.integers(1, 9), st.integers(1, 3), st.integers(1, 60))
def test_normal_equations(X, seed, m, d2, pairs):
    """In chunks of any size."""
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketches, "PAIRS", pairs)
        patch.setattr(sketches, "PANEL_BITS", int(rng.integers(0, 4)))
        C = CountSketch(X.shape[1], m, rng)
        check_normal_equations(X, rng.standard_normal((X.shape[0], d2)), C)


@pytest.mark.parametrize("m", [1, 2, 63, 64, 65, 150])
def test_normal_equations_of_fields(m):
    rng = np.random.default_rng(m)
    X = one_hot(400, [30, 20, 10], rng)
    check_normal_equations(X, rng.standard_normal((400, 2)), CountSketch(60, m, rng))


def test_normal_equations_of_integers_are_exact():
    rng = np.random.default_rng(0)
    X = one_hot(300, [20, 15], rng, weights=True).astype(np.int32)
    check_normal_equations(X, rng.integers(-5, 5, (300, 2)), CountSketch(35, 8, rng), rtol=0)


def test_normal_equations_in_many_chunks(monkeypatch):
    monkeypatch.setattr(sketches, "PAIRS", 40)
    rng = np.random.default_rng(1)
    X = one_hot(300, [20, 15, 10], rng)
    pairs = twins.running_pairs(X.indptr)
    chunks = sketches._balanced_chunks(pairs)
    assert len(chunks) > 3 * sketches.CHUNKS_AT_ONCE
    assert chunks[0][0] == 0
    assert chunks[-1][1] == 300
    assert all(a[1] == b[0] for a, b in pairwise(chunks))
    check_normal_equations(X, rng.standard_normal(300), CountSketch(45, 70, rng))


@pytest.mark.parametrize("wide", [sketches.WIDE_ROW, sketches.WIDE_ROW + 1, 200])
def test_normal_equations_of_wide_rows(wide):
    """Few long rows among short ones, on both sides of the limit."""
    rng = np.random.default_rng(wide)
    X = random_sparse(20, 250, 0.02, rng).toarray()
    X[3, :wide] = rng.standard_normal(wide)
    X = sp.csr_array(X[:, rng.permutation(250)])
    for m in (3, 40):
        check_normal_equations(X, rng.standard_normal((20, 2)), CountSketch(250, m, rng))


def test_one_row_of_thousands_takes_memory_for_its_buckets_not_its_pairs():
    rng = np.random.default_rng(5)
    X = sp.csr_array(rng.standard_normal((1, 2500)))
    C = CountSketch(2500, 6, rng)
    sketched_normal_equations(X, [2.0], C)  # what compiling takes is not counted
    tracemalloc.start()
    try:
        check_normal_equations(X, [2.0], C)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2500 * 8  # its pairs would be 1250 * 2500


def test_normal_equations_of_collisions_in_one_bucket():
    """All columns in one bucket: the square of the sum, not the sum of squares."""
    X = sp.csr_array(np.array([[1.0, 2.0, 4.0], [0.0, 3.0, 5.0]]))
    C = BucketMatrix([1, 1, 1], 3, [1, -1, 1])
    gram, moments = sketched_normal_equations(X, [1.0, 2.0], C)
    assert gram[1, 1] == (1 - 2 + 4) ** 2 + (-3 + 5) ** 2
    assert moments[1, 0] == (1 - 2 + 4) + 2 * (-3 + 5)
    assert np.count_nonzero(gram) == 1


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_normal_equations_of_any_format(form, kind):
    rng = np.random.default_rng(2)
    X = getattr(sp, f"{form}_{kind}")(random_sparse(30, 12, 0.3, rng))
    check_normal_equations(X, rng.standard_normal(30), CountSketch(12, 5, rng))


def test_normal_equations_of_unsorted_and_repeated_indices():
    rng = np.random.default_rng(3)
    indices = rng.integers(0, 9, 60)
    X = sp.csr_array((rng.standard_normal(60), indices, np.arange(0, 61, 6)), shape=(10, 9))
    assert not X.has_canonical_format
    check_normal_equations(X, rng.standard_normal((10, 2)), CountSketch(9, 4, rng))


def test_normal_equations_of_an_empty_design():
    gram, moments = sketched_normal_equations(sp.csr_array((4, 5)), np.ones(4), CountSketch(5, 3))
    np.testing.assert_array_equal(gram, np.zeros((3, 3)))
    np.testing.assert_array_equal(moments, np.zeros((3, 1)))


# The codebook by streaming ------------------------------------------------------------------


def check_codebook(X, Y, C, rtol=1e-10):
    """As little loss as any, and zero for buckets in which nothing falls."""
    M = sketched_least_squares(X, Y, C)
    XC = X.toarray() @ dense(C)
    Y = np.asarray(Y, dtype=float).reshape(X.shape[0], -1)
    least = twins.squared_norm(XC @ twins.lstsq(XC, Y)[0] - Y)
    assert M.shape == (C.m, Y.shape[1])
    assert twins.squared_norm(XC @ M - Y) <= least + rtol * twins.squared_norm(Y)
    empty = np.abs(X.toarray()) @ np.abs(dense(C))
    assert (M[empty.sum(axis=0) == 0] == 0).all()


@given(sparse_designs(), st.data(), seeds)
def test_sketched_least_squares(X, data, seed):
    Y = np.random.default_rng(seed).standard_normal((X.shape[0], 2))
    check_codebook(X, Y, data.draw(bucket_matrices(X.shape[1])))


def test_sketched_least_squares_in_several_row_blocks(monkeypatch):
    """Rank-deficient, so that QR is taken: the two fields have the same sum."""
    monkeypatch.setattr(sketches, "QR_ROWS", 30)
    rng = np.random.default_rng(4)
    X = one_hot(200, [8, 6], rng)
    check_codebook(X, rng.standard_normal(200), BucketMatrix(np.arange(14), 20))


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-6, 1e-7, 1e-8])
def test_sketched_least_squares_of_columns_that_nearly_cancel(gap):
    """``x + gap z - x``: summed row by row first, so that nothing is lost but rounding."""
    rng = np.random.default_rng(3)
    x, z = random_sparse(60, 4, 0.5, rng), random_sparse(60, 4, 0.5, rng)
    X = sp.csr_array(sp.hstack([x, x + gap * z]))
    Y = z @ rng.standard_normal((4, 1)) + 0.1 * rng.standard_normal((60, 1))
    C = BucketMatrix([0, 1, 2, 3, 0, 1, 2, 3], 4, [-1, -1, -1, -1, 1, 1, 1, 1])
    check_codebook(X, Y, C, rtol=1e-8)


def test_buckets_of_unseen_ids_need_no_qr(monkeypatch):
    """A bucket of zero columns has nothing that could cancel: the normal equations stay safe."""

    def refuse(*_):
        raise AssertionError("went to QR")

    monkeypatch.setattr(sketches, "qr_solve", refuse)
    X = sp.csr_array(np.array([[1.0, 0, 0, 0], [0, 2.0, 0, 0], [1.0, 0, 0, 0]]))
    M = sketched_least_squares(X, [1.0, 4.0, 3.0], BucketMatrix([0, 1, 2, 2], 3))
    np.testing.assert_allclose(M.ravel(), [2.0, 2.0, 0.0])
