"""Rational arithmetic against floating point, and against enumeration without any reduction."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import kmeans
from proofs_check.claims.kmeanspp import best_cost, expected_seed_cost
from proofs_check.claims.row_sketch_embedding import _norm_at_most
from proofs_check.claims.row_sketch_moment import error, rational_isometry
from proofs_check.exact.expectation import expected_loss
from proofs_check.exact.interval import Interval
from proofs_check.exact.rational import (
    exact_bucket_shares,
    exact_expected_gain,
    expected_gain,
    gain,
    integer_product,
    integers,
    is_positive_definite,
    largest_eigenvalue,
    lower_root,
    smallest_eigenvalue,
    solve,
)
from proofs_check.exact.small import SmallProblem
from proofs_check.integrals import bucket_shares

finite = st.floats(-1e6, 1e6).map(lambda v: v if abs(v) > 1e-9 else 0.0)
small_integers = st.integers(-4, 4)


def designs(rows, columns):
    return st.lists(st.lists(small_integers, min_size=columns, max_size=columns),
                    min_size=rows, max_size=rows)  # fmt: skip


def normal_equations(X, Y):
    X, Y = np.array(X, dtype=object), np.array(Y, dtype=object)
    return integer_product(X, X), integer_product(X, Y)


# ------------------------------------------------------------------ input


@given(st.lists(finite, min_size=1, max_size=8))
def test_integers_are_the_floats_exactly(values):
    whole, scale = integers(np.array(values))
    assert [int(entry) * scale for entry in whole] == [Fraction(value) for value in values]


def test_products_that_overflow_int64_are_exact():
    A = np.array([[2**40 + 1], [2**41]], dtype=object)
    assert integer_product(A, A) == [[(2**40 + 1) ** 2 + 2**82]]


# ------------------------------------------------------------------ elimination


@given(designs(4, 3), designs(4, 2))
def test_gain_is_that_of_least_squares_also_where_columns_are_dependent(X, Y):
    found = gain(*normal_equations(X, Y))
    fitted = np.array(X, float) @ np.linalg.lstsq(np.array(X, float), np.array(Y, float))[0]
    assert float(found) == pytest.approx((fitted**2).sum(), abs=1e-9)


@given(designs(4, 3), designs(4, 2))
def test_solve_and_definiteness(X, Y):
    gram, moments = normal_equations(X, Y)
    independent = np.linalg.matrix_rank(np.array(X, float)) == 3
    assert is_positive_definite(gram) == independent
    if independent:
        T = solve(gram, moments)
        back = [[sum(g * T[k][t] for k, g in enumerate(row)) for t in range(2)] for row in gram]
        assert back == moments


@given(designs(5, 3))
def test_eigenvalues_are_enclosed(X):
    gram, _ = normal_equations(X, X)
    values = np.linalg.eigvalsh(np.array(gram, float))
    top = largest_eigenvalue(gram)
    assert top.lower <= Fraction(values[-1]) + Fraction(1, 10**8)
    assert Fraction(values[-1]) - Fraction(1, 10**8) <= top.upper
    assert top.upper - top.lower < Fraction(1, 10**6)
    if values[0] > 1e-9:
        bottom = smallest_eigenvalue(gram)
        assert bottom.lower > 0
        assert float(bottom.lower) == pytest.approx(values[0], rel=1e-6)
        assert bottom.upper - bottom.lower <= bottom.upper / 2**40


def test_an_eigenvalue_that_is_known():
    """Of [[2, 1], [1, 2]]: 1 and 3, inside the closed intervals."""
    low, high = smallest_eigenvalue([[2, 1], [1, 2]]), largest_eigenvalue([[2, 1], [1, 2]])
    assert low.lower <= 1 <= low.upper
    assert high.lower <= 3 <= high.upper


def test_a_singular_matrix_has_no_smallest_positive_eigenvalue():
    with pytest.raises(ValueError, match="positive definite"):
        smallest_eigenvalue([[1, 1], [1, 1]])


@given(st.fractions(0, 10**9))
def test_lower_root(value):
    root = lower_root(value)
    assert root**2 <= value < (root + Fraction(1, 2**190)) ** 2


# ------------------------------------------------------------------ expectations


def mean_gain(X, Y, m, fixed=None):
    """The definition: every bucket and every sign of every row, a rational solve for each."""
    d1 = len(X[0])
    total, count = Fraction(0), 0
    for h in product(range(m), repeat=d1):
        for s in product((1, -1), repeat=d1):
            C = [[s[j] * (h[j] == b) for b in range(m)] for j in range(d1)]
            H = [[*(fixed[j] if fixed else []), *C[j]] for j in range(d1)]
            XH = np.array(X, dtype=object).dot(np.array(H, dtype=object))
            total += gain(*normal_equations(XH, Y))
            count += 1
    return total / count


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("fixed", [None, [[1], [2], [-1]], [[1, 0], [0, 1], [0, 1]]])
@pytest.mark.parametrize("X", [[[1, 2, 0], [0, 1, 3], [2, 0, 1]], [[1, 1, 0], [0, 0, 1]]])
def test_expected_gain_is_the_mean_over_all_sketches(X, fixed, m):
    Y = [[1, 2], [-1, 0], [3, 1]][: len(X)]
    gram, moments = normal_equations(X, Y)
    unit = gain(gram, moments)
    expected = mean_gain(X, Y, m, fixed)
    found = expected_gain(gram, moments, m, unit, fixed)
    assert found.lower <= expected / unit <= found.upper
    assert found.upper - found.lower <= Fraction(1, 2**199)
    if fixed is None:
        assert exact_expected_gain(gram, moments, m) == expected


weights = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@given(weights, st.integers(1, 3))
def test_bucket_shares_are_expectations_over_buckets(counts, m):
    shares = exact_bucket_shares([Fraction(w) for w in counts], m)
    total = [Fraction(0)] * len(counts)
    for h in product(range(m), repeat=len(counts)):
        for i, w in enumerate(counts):
            total[i] += Fraction(w, sum(v for v, b in zip(counts, h, strict=True) if b == h[i]))
    assert shares == [value / m ** len(counts) for value in total]
    np.testing.assert_allclose(
        [float(q) for q in shares], bucket_shares(np.array(counts, float), m), rtol=1e-11
    )


@given(weights, st.integers(1, 3))
def test_one_hot_exact_is_an_identity_of_rationals(counts, m):
    w = [Fraction(v, 7) for v in counts]
    T = [[Fraction(i + 1), Fraction(1, i + 2)] for i in range(len(w))]
    energies = [v * (a * a + b * b) for v, (a, b) in zip(w, T, strict=True)]
    lost = sum(e * (1 - q) for e, q in zip(energies, exact_bucket_shares(w, m), strict=True))
    assert expected_loss(w, T, m) == lost / sum(energies)


# ------------------------------------------------------------------ seeds of k-means


@given(st.lists(st.integers(-9, 9), min_size=4, max_size=6, unique=True), st.integers(1, 3))
def test_expected_seed_cost_over_all_sequences(values, clusters):
    x = sorted(values)
    total = Fraction(0)
    for seeds in product(range(len(x)), repeat=clusters):
        probability = Fraction(1, len(x))
        for step in range(1, clusters):
            nearest = [min((v - x[s]) ** 2 for s in seeds[:step]) for v in x]
            probability *= Fraction(nearest[seeds[step]], sum(nearest))
        total += probability * sum(min((v - x[s]) ** 2 for s in seeds) for v in x)
    assert expected_seed_cost(x, clusters) == total
    points = np.array([[float(v)] for v in x])
    assert float(best_cost(x, clusters)) == pytest.approx(kmeans(points, clusters).cost, abs=1e-9)


# ------------------------------------------------------------------ intervals


@given(st.fractions(), st.fractions())
def test_interval_arithmetic_contains_what_it_should(a, b):
    low, high = min(a, b), max(a, b)
    interval = Interval(low, high)
    for inside in (low, (low + high) / 2, high):
        assert (-interval).lower <= -inside <= (-interval).upper
        assert abs(interval).lower <= abs(inside) <= abs(interval).upper
        shifted = interval - Interval.exactly(a)
        assert shifted.lower <= inside - a <= shifted.upper
    below, above = interval.outward
    assert Fraction(below) <= low
    assert high <= Fraction(above)


def test_an_empty_interval_is_refused():
    with pytest.raises(ValueError, match="exceeds the upper end"):
        Interval(Fraction(1), Fraction(0))


# ------------------------------------------------------------------ sketches of rows


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_a_reflection_in_integers_is_an_isometry(seed, n):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n + 2, n))
    W, size = rational_isometry(SmallProblem(X, X[:, :1], ""), rng)
    d = W.shape[1]
    assert d == min(2, n)
    assert W.T.dot(W).tolist() == (size**2 * np.eye(d, dtype=int).astype(object)).tolist()
    h, s = rng.integers(0, 3, n), rng.choice([-1, 1], n)
    C = s[:, None] * np.eye(3)[h]
    U = np.array([[float(Fraction(entry, size)) for entry in row] for row in W])
    off = np.array([[float(Fraction(entry, size**2)) for entry in row]
                    for row in error(W, size, 3, h.tolist(), s.tolist())])  # fmt: skip
    np.testing.assert_allclose(off, U.T @ C @ C.T @ U - np.eye(d), atol=1e-12)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 20))
def test_spectral_norm_in_integers(a, b, c, radius):
    norm = np.linalg.norm([[a, b], [b, c]], 2)
    if abs(norm - radius) > 1e-9:
        assert _norm_at_most([[a, b], [b, c]], Fraction(radius)) == (norm < radius)
    assert _norm_at_most([[a]], Fraction(radius)) == (abs(a) <= radius)


def test_spectral_norm_on_the_boundary():
    assert _norm_at_most([[0, 5], [5, 0]], Fraction(5))
    assert not _norm_at_most([[0, 5], [5, 0]], Fraction(5) - Fraction(1, 10**30))
