"""Dense CCE, sparse CCE and the one-shot pipeline against plain NumPy twins, and their laws."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    LeastSquares,
    dense_cce,
    kmeans,
    one_shot,
    resolve,
    sparse_cce,
)
from tests import twins
from tests.checks import EPS
from tests.strategies import one_hot, problems, random_sparse, seeds, with_spectrum

FALSE_ALARM = 1e-6
"""Chance that a statistical test fails although the law holds; with fixed seeds it has not."""

NOISES = ["gaussian", "whitened", "count-sketch"]


def problem(n=80, d1=20, d2=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d1))
    return X, X @ rng.standard_normal((d1, d2)) + rng.standard_normal((n, d2))


def ill_conditioned(cond=1e4, seed=0):
    rng = np.random.default_rng(seed)
    return with_spectrum(60, 15, np.geomspace(1, 1 / cond, 15), rng), rng.standard_normal((60, 2))


def degenerate(seed=0):
    """Rank-deficient, with duplicate and zero columns, fewer rows than columns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 10))[:, [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 0, 1, 5, 5]]
    X[:, [2, 9]] = 0.0
    return X, rng.standard_normal((12, 2))


PROBLEMS = {
    "tall": problem(),
    "wide": problem(n=12, d1=30),
    "one target": problem(d2=1),
    "condition 1e4": ill_conditioned(),
    "degenerate": degenerate(),
}


# Dense CCE: the same trajectory as the twin's -----------------------------------------------


@pytest.mark.parametrize("m", [1, 4, 9])
@pytest.mark.parametrize("name", PROBLEMS)
def test_count_sketch_trajectory_is_the_twins(name, m):
    X, Y = PROBLEMS[name]
    noise = twins.count_sketch_noise(X.shape[1], m, np.random.default_rng(5))
    expected, tables = twins.dense_cce(X, Y, 8, noise)
    r = dense_cce(LeastSquares(X, Y), m + Y.shape[1], 8, noise="count-sketch", rng=5)
    np.testing.assert_allclose(r.excess, expected, rtol=1e-7, atol=1e-16 * expected[0])
    if name in ("tall", "one target"):
        np.testing.assert_allclose(r.table, tables[-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("noise", ["gaussian", "whitened"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_rotated_noise_is_noise_of_the_twin(name, noise):
    """What is drawn in rotated coordinates is the image of ``G = V Z`` (or ``V S^{-1} Z``).

    With that ``G`` the twin takes the same steps; its law is that of a Gaussian matrix projected
    on the row space of ``X``, and the part outside of it has no image.
    """
    X, Y = PROBLEMS[name]
    p, m = LeastSquares(X, Y), 4
    V, sigma = p.reduction.Vt.T, p.singular_values
    rng = np.random.default_rng(6)

    def draw():
        Z = rng.standard_normal((p.rank, m))
        return V @ (Z if noise == "gaussian" else Z / sigma[:, None])

    expected, tables = twins.dense_cce(X, Y, 6, draw)
    r = dense_cce(p, m + p.d2, 6, noise=noise, rng=6)
    np.testing.assert_allclose(r.excess, expected, rtol=1e-6, atol=1e-16 * expected[0])
    scale = np.abs(tables[-1]).max()
    np.testing.assert_allclose(r.table, tables[-1], rtol=1e-4, atol=1e-7 * scale)


def test_duplicate_columns():
    """A sketch that adds and subtracts equal columns, in small problems of many shapes."""
    for seed in range(120):
        rng = np.random.default_rng(seed)
        n, d1, k = rng.integers(1, 16), rng.integers(2, 13), int(rng.integers(1, 13))
        X = rng.standard_normal((n, d1))[:, rng.integers(0, d1, d1)]
        Y = rng.standard_normal((n, 1))
        p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
        C = CountSketch(d1, k, seed)
        stage, table = resolve(p, C), twin.fit(C.to_sparse().toarray())
        start = twin.excess(0 * twin.optimum)
        assert abs(stage.excess - twin.excess(table)) <= 1e-9 * start
        assert abs(twin.excess(stage.table) - stage.excess) <= 1e-9 * start


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("shape", [(30, 10, 2), (30, 10, 6), (300, 60, 10)])
def test_fewer_columns_than_targets(shape, noise):
    """``m = 1 < d2``: the table so far has rank 1, then 2, ..., known to rounding only.

    With that rounding scaled to unit length, there would be ``d2`` more columns to fit with: the
    excess would fall faster than the algorithm's, or than that of the table returned.
    """
    n, d1, d2 = shape
    for seed in range(10 if n < 100 else 3):
        rng = np.random.default_rng(seed)
        X, Y = rng.standard_normal((n, d1)), rng.standard_normal((n, d2))
        p, draws = LeastSquares(X, Y), np.random.default_rng(seed)
        V, sigma = p.reduction.Vt.T, p.singular_values

        def draw(draws=draws, V=V, sigma=sigma):
            if noise == "count-sketch":
                return CountSketch(len(V), 1, draws).to_sparse().toarray()
            Z = draws.standard_normal((len(sigma), 1))
            return V @ (Z if noise == "gaussian" else Z / sigma[:, None])

        expected, _ = twins.dense_cce(X, Y, 4, draw)
        r = dense_cce(p, 1 + d2, 4, noise, rng=seed)
        np.testing.assert_allclose(r.excess, expected, rtol=1e-7)
        assert p.excess(r.table) == pytest.approx(r.excess[-1], rel=1e-7)


@given(problems(), st.sampled_from(NOISES), st.integers(1, 6), st.integers(0, 5), seeds)
def test_dense_trajectories(data, noise, m, n_iter, seed):
    """Shapes, the first excess, monotony, the last excess, losses: for every problem and noise."""
    X, Y = data
    p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
    r = dense_cce(p, m + p.d2, n_iter, noise=noise, rng=seed)
    assert r.excess.shape == r.loss.shape == (n_iter + 1,)
    assert r.table.shape == (p.d1, p.d2)
    start = twin.excess(np.zeros_like(twin.optimum))
    assert r.excess[0] == pytest.approx(start, rel=1e-9, abs=1e-12)
    rounding = (1e3 * EPS) ** 2 * twins.squared_norm(Y)
    assert (np.diff(r.excess) <= 1e-12 * r.excess[:-1] + rounding).all()
    assert abs(p.excess(r.table) - r.excess[-1]) <= 1e-9 * r.excess[0]
    np.testing.assert_array_equal(r.loss, p.optimal_loss + r.excess)
    assert r.loss[-1] == pytest.approx(p.loss(r.table), rel=1e-8, abs=1e-12)
    if m >= p.rank and n_iter and noise != "count-sketch":
        assert r.excess[1] <= 1e-12 * (1 + r.excess[0])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_enough_columns_are_exact_at_once(name, noise):
    """``m >= rank``: one step. A count sketch needs the columns in different buckets."""
    X, Y = PROBLEMS[name]
    p = LeastSquares(X, Y)
    m = 10**6 if noise == "count-sketch" else p.rank
    if noise == "count-sketch":  # an injective hash: the fit is over all tables
        r = resolve(p, BucketMatrix(np.arange(p.d1), p.d1, CountSketch(p.d1, 2).signs))
        assert r.excess <= 1e-16 * p.excess(0 * p.optimum)
        np.testing.assert_allclose(X @ r.table, X @ p.optimum, atol=1e-8)
        return
    r = dense_cce(p, m + p.d2, 1, noise=noise)
    assert r.excess[1] <= 1e-16 * r.excess[0]
    np.testing.assert_allclose(X @ r.table, X @ p.optimum, atol=1e-7)
    np.testing.assert_allclose(r.table, p.optimum, rtol=1e-4, atol=1e-7 * np.abs(p.optimum).max())


@pytest.mark.parametrize("noise", ["gaussian", "whitened"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_table_has_minimum_norm(name, noise):
    """Among those with the same ``X T``: it lies in the row space of ``X``."""
    X, Y = PROBLEMS[name]
    T = dense_cce(LeastSquares(X, Y), 5, 4, noise=noise, rng=1).table
    projected = np.linalg.pinv(X) @ (X @ T)
    np.testing.assert_allclose(T, projected, rtol=1e-8, atol=1e-8 * np.abs(T).max())


@pytest.mark.parametrize("noise", NOISES)
def test_no_rounds(noise):
    X, Y = PROBLEMS["tall"]
    p = LeastSquares(X, Y)
    r = dense_cce(p, 7, 0, noise=noise)
    assert (r.table == 0).all()
    assert r.table.shape == (20, 2)
    assert r.excess.tolist() == [pytest.approx(p.excess(0 * p.optimum), rel=1e-12)]
    assert r.loss[0] == pytest.approx(twins.squared_norm(Y), rel=1e-12)


@pytest.mark.parametrize("noise", NOISES)
def test_targets_in_the_range_converge_to_nothing(noise):
    """Far below ``eps e_0``: errors are relative to the current residual, and do not add up."""
    X, _ = PROBLEMS["tall"]
    Y = X @ np.ones((20, 2))
    p = LeastSquares(X, Y)
    r = dense_cce(p, 12, 250, noise=noise)
    assert r.excess[-1] <= 1e-20 * r.excess[0]
    assert p.excess(r.table) <= (1e3 * EPS) ** 2 * r.excess[0]
    assert r.loss[-1] <= 1e-24 * r.loss[0]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_zero_targets_and_zero_designs(form, noise):
    X, Y = PROBLEMS["tall"]
    for A, B in [(X, 0 * Y), (0 * X, Y)]:
        p = LeastSquares(form(A), B)
        r = dense_cce(p, 5, 3, noise=noise)
        assert (r.excess == 0).all()
        assert (r.table == 0).all()
        s = sparse_cce(p, 6, 3)
        assert (s.excess == 0).all()
        assert (s.resolved_excess == 0).all()
        assert one_shot(p, 5, 3).resolved.excess == 0


@pytest.mark.parametrize("noise", NOISES)
def test_same_seed_same_trajectory(noise):
    X, Y = PROBLEMS["tall"]
    p = LeastSquares(X, Y)
    a, b = dense_cce(p, 6, 4, noise, rng=3), dense_cce(LeastSquares(X, Y), 6, 4, noise, rng=3)
    np.testing.assert_array_equal(a.excess, b.excess)
    np.testing.assert_array_equal(a.table, b.table)
    assert dense_cce(p, 6, 4, noise, rng=4).excess[-1] != a.excess[-1]
    default = dense_cce(p, 6, 4, noise)
    np.testing.assert_array_equal(default.excess, dense_cce(p, 6, 4, noise, rng=0).excess)
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(dense_cce(p, 6, 4, noise, rng).excess, a.excess)
    assert dense_cce(p, 6, 4, noise, rng).excess[-1] != a.excess[-1]  # the stream goes on


@pytest.mark.parametrize("noise", NOISES)
def test_more_rounds_continue_the_same_trajectory(noise):
    X, Y = PROBLEMS["tall"]
    p = LeastSquares(X, Y)
    long, short = dense_cce(p, 6, 6, noise, rng=3), dense_cce(p, 6, 3, noise, rng=3)
    np.testing.assert_array_equal(long.excess[:4], short.excess)


# Invariances --------------------------------------------------------------------------------


@given(seeds)
def test_rotating_rows_changes_nothing(seed):
    """``(QX, QY)`` with orthogonal ``Q``: the same losses, so the same trajectories."""
    X, Y = problem(n=25, d1=12, seed=1)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((25, 25)))[0]
    p, q = LeastSquares(X, Y), LeastSquares(Q @ X, Q @ Y)
    a, b = (dense_cce(each, 5, 5, "count-sketch", rng=2) for each in (p, q))
    np.testing.assert_allclose(a.excess, b.excess, rtol=1e-9)
    np.testing.assert_allclose(a.table, b.table, rtol=1e-7, atol=1e-9)
    c, d = (sparse_cce(each, 8, 4, rng=2) for each in (p, q))
    np.testing.assert_allclose(c.excess, d.excess, rtol=1e-9)
    np.testing.assert_array_equal(c.assignments, d.assignments)


@given(problems(), seeds)
def test_permuting_rows_changes_nothing(data, seed):
    X, Y = data
    order = np.random.default_rng(seed).permutation(X.shape[0])
    p, q = LeastSquares(X, Y), LeastSquares(X[order], Y[order])
    a, b = (dense_cce(each, p.d2 + 2, 4, "count-sketch", rng=seed) for each in (p, q))
    np.testing.assert_allclose(a.excess, b.excess, rtol=1e-7, atol=1e-12 * (1 + a.excess[0]))


@pytest.mark.parametrize("c", [2.0**-300, 1e-50, -3.0, 1e50, 2.0**300])
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_scaling_targets_scales_the_excess(noise, c, form):
    X, Y = PROBLEMS["tall"]
    p, q = LeastSquares(form(X), Y), LeastSquares(form(X), c * Y)
    a, b = (dense_cce(each, 5, 4, noise, rng=2) for each in (p, q))
    np.testing.assert_allclose(b.excess, c**2 * a.excess, rtol=1e-9)
    np.testing.assert_allclose(b.table, c * a.table, rtol=1e-7, atol=1e-10 * abs(c))
    d, e = (sparse_cce(each, 8, 3, rng=2) for each in (p, q))
    np.testing.assert_allclose(e.excess, c**2 * d.excess, rtol=1e-9)
    np.testing.assert_allclose(e.quantization_cost, c**2 * d.quantization_cost, rtol=1e-9)
    np.testing.assert_array_equal(d.assignments, e.assignments)


@pytest.mark.parametrize("c", [2.0**-332, 2.0**-66, 2.0**66, 2.0**332])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_scaling_designs_scales_the_table(form, c):
    """Any units within the documented range of the data, whatever range the table has.

    Powers of two, so that rounding (and the signs of singular vectors) stay the same.
    """
    X, Y = PROBLEMS["tall"]
    p, q = LeastSquares(form(X), Y), LeastSquares(form(c * X), Y)
    for noise in NOISES:
        a, b = (dense_cce(each, 5, 4, noise, rng=2) for each in (p, q))
        np.testing.assert_allclose(b.excess, a.excess, rtol=1e-8)
        np.testing.assert_allclose(b.table, a.table / c, rtol=1e-7)
    d, e = (sparse_cce(each, 8, 3, rng=2) for each in (p, q))
    np.testing.assert_allclose(e.excess, d.excess, rtol=1e-8)
    np.testing.assert_allclose(e.quantization_cost, d.quantization_cost / c**2, rtol=1e-8)
    f, g = (one_shot(each, 8, 3, rng=2) for each in (p, q))
    assert g.resolved.excess == pytest.approx(f.resolved.excess, rel=1e-8)
    np.testing.assert_allclose(g.resolved.table, f.resolved.table / c, rtol=1e-7)


# Dense CCE: laws ----------------------------------------------------------------------------


def ratios(p, m, trials, noise, seed=0):
    """``e_1 / e_0`` of independent first steps, and ``e_2 / e_1`` of the second ones."""
    rng = np.random.default_rng(seed)
    found = np.array([dense_cce(p, m + p.d2, 2, noise, rng).excess for _ in range(trials)])
    return found[:, 1] / found[:, 0], found[:, 2] / found[:, 1]


def hoeffding(trials):
    """Half width of a two-sided interval for the mean of values in [0, 1], at `FALSE_ALARM`."""
    return np.sqrt(np.log(2 / FALSE_ALARM) / (2 * trials))


def share_of_direction(sigma):
    """``lambda_j``: expected square of a unit vector along ``S g`` (THEORY section 4)."""

    def integrand(u, j):
        t = u / (1 - u)
        damped = 1 + 2 * t * sigma**2
        return sigma[j] ** 2 / damped[j] / np.sqrt(damped.prod()) / (1 - u) ** 2

    return np.array([integrate.quad(integrand, 0, 1, args=(j,))[0] for j in range(len(sigma))])


TRIALS = 3000


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_first_gaussian_column_has_the_exact_expectation(form):
    """``E e_1 / e_0 = 1 - lambda_min`` on the weakest direction, by quadrature; one column.

    False alarms 1e-6 (Hoeffding). The false twin (whitened noise, ``1 - 1/r``) is four half
    widths away, so it is taken for the truth with less than that probability too.
    """
    sigma = np.array([4.0, 3.0, 1.0, 0.5])
    rng = np.random.default_rng(1)
    X = with_spectrum(12, 4, sigma, rng)
    U, found, _ = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(found, sigma, rtol=1e-12)
    shares = share_of_direction(sigma)
    assert shares.sum() == pytest.approx(1, abs=1e-8)
    first, _ = ratios(LeastSquares(form(X), U[:, 3]), 1, TRIALS, "gaussian")
    half = hoeffding(TRIALS)
    assert abs(first.mean() - (1 - shares[3])) <= half
    assert abs(3 / 4 - (1 - shares[3])) >= 4 * half


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_gaussian_steps_have_the_law_of_the_twins(form):
    """Two-sample Kolmogorov-Smirnov test at 1e-6, against ``X @ G`` and lstsq; both steps.

    Noise of the wrong kind (whitened) is told apart from it by the same test on the same sample.
    """
    rng = np.random.default_rng(2)
    X = with_spectrum(20, 6, np.geomspace(3, 0.1, 6), rng)
    Y = rng.standard_normal((20, 1))
    p = LeastSquares(form(X), Y)
    first, second = ratios(p, 2, TRIALS, "gaussian")
    draws = np.random.default_rng(3)
    twin = np.array(
        [twins.dense_cce(X, Y, 2, lambda: draws.standard_normal((6, 2)))[0] for _ in range(1500)]
    )
    for found, expected in [
        (first, twin[:, 1] / twin[:, 0]),
        (second, twin[:, 2] / twin[:, 1]),
    ]:
        assert stats.ks_2samp(found, expected).pvalue > FALSE_ALARM
    wrong, _ = ratios(p, 2, TRIALS, "whitened")
    assert stats.ks_2samp(wrong, twin[:, 1] / twin[:, 0]).pvalue < FALSE_ALARM


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_whitened_steps_are_beta_distributed(form):
    """``Beta((r-m)/2, m/2)``, then ``Beta((r-1-m)/2, m/2)`` for one target, independent.

    Kolmogorov-Smirnov at 1e-6. Sample size: the distance between the two laws is three times
    what the test bears, so that each would be refuted as the law of the other's step.
    """
    r, m = 7, 3
    rng = np.random.default_rng(4)
    X = with_spectrum(20, 9, np.geomspace(5, 0.2, r), rng)
    first, second = ratios(LeastSquares(form(X), rng.standard_normal(20)), m, TRIALS, "whitened")
    laws = stats.beta((r - m) / 2, m / 2), stats.beta((r - 1 - m) / 2, m / 2)
    critical = np.sqrt(np.log(2 / FALSE_ALARM) / (2 * TRIALS))
    grid = np.linspace(0, 1, 2001)
    assert np.abs(laws[0].cdf(grid) - laws[1].cdf(grid)).max() > 2 * critical
    for sample, law, false_law in [(first, *laws), (second, *laws[::-1])]:
        assert stats.kstest(sample, law.cdf).statistic <= critical
        assert stats.kstest(sample, false_law.cdf).statistic > critical
    correlation = np.corrcoef(first, second)[0, 1] * np.sqrt(TRIALS)
    assert abs(correlation) <= stats.norm.isf(FALSE_ALARM / 2) + 0.5


def test_count_sketch_of_orthonormal_columns_fits_the_nonempty_buckets():
    """``E e(CM) = (1 - m (1 - (1 - 1/m)^d1) / d1) e_0``, by enumeration: exact."""
    d1, m = 4, 2
    X = np.linalg.qr(np.random.default_rng(5).standard_normal((9, d1)))[0]
    Y = np.random.default_rng(6).standard_normal((9, 2))
    p = LeastSquares(X, Y)
    total = 0.0
    for code in range((2 * m) ** d1):
        digits = code // (2 * m) ** np.arange(d1) % (2 * m)
        total += resolve(p, BucketMatrix(digits // 2, m, 1.0 - 2 * (digits % 2))).excess
    mean = total / (2 * m) ** d1
    expected = (1 - m * (1 - (1 - 1 / m) ** d1) / d1) * p.excess(0 * p.optimum)
    assert mean == pytest.approx(expected, rel=1e-12)


# Sparse CCE ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("k", [2, 8, 16])
def test_sparse_trajectory_is_the_twins(k, form):
    X, Y = PROBLEMS["tall"]
    tables, labels, costs, resolved = twins.sparse_cce(X, Y, k, 6, np.random.default_rng(9))
    r = sparse_cce(LeastSquares(form(X), Y), k, 6, rng=9)
    twin = twins.Problem(X, Y)
    np.testing.assert_array_equal(r.assignments, labels)
    np.testing.assert_allclose(r.excess, [twin.excess(T) for T in tables], rtol=1e-8)
    np.testing.assert_allclose(r.quantization_cost, costs, rtol=1e-8, atol=1e-20)
    np.testing.assert_allclose(r.resolved_excess, resolved, rtol=1e-8)
    np.testing.assert_allclose(r.table, tables[-1], rtol=1e-7, atol=1e-9)


def check_sparse_trajectory(X, Y, k, n_iter, seed):
    """The documented meaning of every field, from prefixes of the same run."""
    p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
    runs = [sparse_cce(p, k, i, rng=seed) for i in range(n_iter + 1)]
    r, half = runs[-1], k // 2
    scale = twin.excess(0 * twin.optimum)
    assert r.excess.shape == (n_iter + 1,)
    assert r.assignments.shape == (n_iter, p.d1)
    assert r.assignments.dtype == np.int32
    assert r.quantization_cost.shape == r.resolved_excess.shape == (n_iter,)
    for i in range(1, n_iter + 1):
        T, labels = runs[i].table, r.assignments[i - 1]
        assert abs(twin.excess(T) - r.excess[i]) <= 1e-9 * scale
        assert 0 <= labels.min() <= labels.max() < half
        cost = twins.clustering_cost(T, labels)
        tolerance = 1e-12 * twins.squared_norm(T)
        assert r.quantization_cost[i - 1] == pytest.approx(cost, rel=1e-9, abs=tolerance)
        A = twins.dense_matrix(labels, np.ones(p.d1), half)
        best = twin.excess(twin.fit(A))
        assert abs(r.resolved_excess[i - 1] - best) <= 1e-9 * scale
        # resolve-improves: no worse than the clustered table it starts from.
        means = A @ np.linalg.lstsq(A, T)[0]
        assert r.resolved_excess[i - 1] <= twin.excess(means) + 1e-9 * scale


@given(problems(), st.data(), seeds)
def test_sparse_trajectories(data, draw, seed):
    X, Y = data
    k = 2 * draw.draw(st.integers(1, X.shape[1]))
    check_sparse_trajectory(X, Y, k, 3, seed)


def test_tables_are_spanned_by_assignments_and_sketch():
    """``T_1 = C_1 M_1`` with ``k`` buckets, then ``T_i = [A_i | C_i] M_i`` from the same draws."""
    X, Y = PROBLEMS["tall"]
    p, k, d1 = LeastSquares(X, Y), 8, 20
    rng = np.random.default_rng(11)
    for i in range(1, 5):
        r = sparse_cce(p, k, i, rng=11)
        if i == 1:
            H = CountSketch(d1, k, rng).to_sparse().toarray()
        else:
            A = twins.dense_matrix(r.assignments[i - 2], np.ones(d1), k // 2)
            H = np.hstack([A, CountSketch(d1, k // 2, rng).to_sparse().toarray()])
        M = np.linalg.lstsq(H, r.table)[0]
        np.testing.assert_allclose(H @ M, r.table, atol=1e-12)
        # ... and no table they span has a lower loss: the gradient is orthogonal to them.
        gradient = H.T @ (X.T @ (X @ r.table - Y))
        np.testing.assert_allclose(gradient, 0, atol=1e-10)
        found = kmeans(r.table, k // 2, rng)
        np.testing.assert_array_equal(found.labels, r.assignments[i - 1])
        assert found.cost == r.quantization_cost[i - 1]


def test_resolved_excess_is_that_of_resolve():
    X, Y = PROBLEMS["tall"]
    p = LeastSquares(X, Y)
    r = sparse_cce(p, 8, 4, rng=1)
    for labels, a in zip(r.assignments, r.resolved_excess, strict=True):
        assert resolve(p, BucketMatrix(labels, 4)).excess == pytest.approx(a, rel=1e-12)


def test_sparse_cce_without_rounds():
    X, Y = PROBLEMS["tall"]
    r = sparse_cce(LeastSquares(X, Y), 8, 0)
    assert (r.table == 0).all()
    assert r.excess.shape == (1,)
    assert r.assignments.shape == (0, 20)
    assert r.quantization_cost.shape == r.resolved_excess.shape == (0,)


def test_sparse_cce_is_not_monotone_but_finds_clustered_tables():
    rng = np.random.default_rng(12)
    X = rng.standard_normal((80, 20))
    r = sparse_cce(LeastSquares(X, rng.standard_normal((80, 2))), 8, 20, rng=0)
    assert np.diff(r.excess).max() > 0
    planted = rng.standard_normal((4, 2))[rng.integers(0, 4, 20)]
    s = sparse_cce(LeastSquares(X, X @ planted), 16, 10, rng=0)
    assert s.resolved_excess[-1] <= 1e-20 * s.excess[0]
    for labels in s.assignments[-1:]:
        for c in np.unique(labels):
            assert len(np.unique(planted[labels == c], axis=0)) == 1


def test_as_many_clusters_as_columns():
    """``k = 2 d1``: nothing is lost by clustering, and once rows differ each has its cluster."""
    X, Y = PROBLEMS["tall"]
    r = sparse_cce(LeastSquares(X, Y), 40, 5, rng=0)
    assert r.quantization_cost.max() <= 1e-25
    assert (np.sort(r.assignments[-1]) == np.arange(20)).all()
    assert r.excess[-1] <= 1e-20 * r.excess[0]
    assert r.resolved_excess[-1] <= 1e-20 * r.excess[0]


# One shot and resolve -----------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", ["tall", "one target"])
def test_one_shot_stages(name, form):
    """Each stage computed directly: sketch, solve, cluster, re-solve."""
    X, Y = PROBLEMS[name]
    twin, rng = twins.Problem(X, Y), np.random.default_rng(13)
    sketched = twin.fit(CountSketch(20, 9, rng).to_sparse().toarray())
    clustering = kmeans(sketched, 5, rng)
    clustered = clustering.centroids[clustering.labels]
    resolved = twin.fit(twins.dense_matrix(clustering.labels, np.ones(20), 5))
    r = one_shot(LeastSquares(form(X), Y), 9, 5, rng=13)
    for stage, table in [
        (r.sketched, sketched), (r.clustered, clustered), (r.resolved, resolved),
    ]:  # fmt: skip
        np.testing.assert_allclose(stage.table, table, rtol=1e-8, atol=1e-10)
        assert stage.excess == pytest.approx(twin.excess(table), rel=1e-9)
        assert stage.loss == pytest.approx(twin.loss(table), rel=1e-11)
    np.testing.assert_array_equal(r.assignments, clustering.labels)
    cost = twins.clustering_cost(sketched, clustering.labels)
    assert r.quantization_cost == pytest.approx(cost, rel=1e-9)


@given(problems(), st.integers(1, 12), st.data(), seeds)
def test_one_shot_of_any_problem(data, k, draw, seed):
    X, Y = data
    p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
    n_clusters = draw.draw(st.integers(1, p.d1))
    r = one_shot(p, k, n_clusters, rng=seed)
    scale = twin.excess(0 * twin.optimum)
    for stage in (r.sketched, r.clustered, r.resolved):
        assert abs(twin.excess(stage.table) - stage.excess) <= 1e-9 * (scale + stage.excess)
        assert stage.loss == pytest.approx(p.optimal_loss + stage.excess, rel=1e-12)
    assert r.resolved.loss <= r.clustered.loss + 1e-9 * scale
    assert r.sketched.excess <= scale * (1 + 1e-9)
    assert len(np.unique(r.assignments)) <= n_clusters
    for c in np.unique(r.assignments):
        assert np.ptp(r.resolved.table[r.assignments == c], axis=0).max() == 0


def test_one_cluster_and_all_clusters():
    X, Y = PROBLEMS["tall"]
    p = LeastSquares(X, Y)
    one = one_shot(p, 9, 1)
    assert (one.assignments == 0).all()
    all_equal = twins.Problem(X, Y).fit(np.ones((20, 1)))
    np.testing.assert_allclose(one.resolved.table, all_equal, atol=1e-12)
    every = one_shot(p, 30, 20, rng=5)
    assert every.clustered.excess <= every.sketched.excess * (1 + 1e-9)


def test_one_field_with_one_hash_is_a_weighted_mean():
    """One-hot rows: every bucket solves to the mean of its rows, times the signs."""
    rng = np.random.default_rng(14)
    ids = rng.integers(0, 12, 100)
    X = sp.csr_array((np.ones(100), ids, np.arange(101)), shape=(100, 15))
    Y = rng.standard_normal((100, 2))
    A = BucketMatrix(np.arange(15) % 4, 6)
    stage = resolve(LeastSquares(X, Y), A)
    for i in range(15):
        members = A.buckets[ids] == A.buckets[i]
        np.testing.assert_allclose(stage.table[i], Y[members].mean(axis=0), rtol=1e-12)
    C = BucketMatrix(A.buckets, 6, rng.choice([-1.0, 1.0], 15))
    twin = twins.Problem(X, Y)
    expected = twin.excess(twin.fit(C.to_sparse().toarray()))
    assert resolve(LeastSquares(X, Y), C).excess == pytest.approx(expected, rel=1e-10)


@given(problems(), seeds, st.integers(1, 6))
def test_resolving_is_the_best_codebook(data, seed, n_clusters):
    X, Y = data
    p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
    rng = np.random.default_rng(seed)
    A = BucketMatrix(rng.integers(0, n_clusters, p.d1), n_clusters)
    stage = resolve(p, A)
    scale = 1 + twin.excess(0 * twin.optimum)
    best = twin.fit(A.to_sparse().toarray())
    assert abs(stage.excess - twin.excess(best)) <= 1e-9 * scale
    assert abs(p.excess(stage.table) - stage.excess) <= 1e-9 * scale
    other = A.expand(rng.standard_normal((n_clusters, p.d2)))
    assert stage.loss <= p.loss(other) + 1e-9 * scale


def test_nothing_touches_the_rows_after_the_reduction(monkeypatch):
    """Neither dense nor sparse designs: their rows could as well be gone."""
    rng = np.random.default_rng(15)
    Y = rng.standard_normal((60, 2))
    for X in (rng.standard_normal((60, 12)), random_sparse(60, 12, 0.4, rng)):
        p = LeastSquares(X, Y)
        expected = [dense_cce(p, 5, 3, noise, rng=1).excess for noise in NOISES]
        sparse, shot = sparse_cce(p, 6, 3, rng=1).excess, one_shot(p, 6, 3, rng=1).resolved.excess
        q = LeastSquares(X, Y)
        assert q.rank == 12
        assert q.optimal_loss > 0
        q.X = q.Y = None
        for noise, excess in zip(NOISES, expected, strict=True):
            np.testing.assert_array_equal(dense_cce(q, 5, 3, noise, rng=1).excess, excess)
        np.testing.assert_array_equal(sparse_cce(q, 6, 3, rng=1).excess, sparse)
        assert one_shot(q, 6, 3, rng=1).resolved.excess == shot


def test_recommendation_shaped_problem():
    """Users and items, rank-deficient by one: all three algorithms against the twin."""
    rng = np.random.default_rng(16)
    X = one_hot(150, [18, 11], rng)
    Y = rng.standard_normal((150, 1))
    p, twin = LeastSquares(X, Y), twins.Problem(X, Y)
    noise = twins.count_sketch_noise(29, 6, np.random.default_rng(1))
    expected, _ = twins.dense_cce(X.toarray(), Y, 6, noise)
    r = dense_cce(p, 7, 6, "count-sketch", rng=1)
    np.testing.assert_allclose(r.excess, expected, rtol=1e-8)
    check_sparse_trajectory(X, Y, 12, 4, 3)
    s = one_shot(p, 10, 6, rng=2)
    assert twin.excess(s.sketched.table) == pytest.approx(s.sketched.excess, rel=1e-9)
    assert s.resolved.excess == pytest.approx(
        twin.excess(twin.fit(twins.dense_matrix(s.assignments, np.ones(29), 6))), rel=1e-9
    )


def test_representation_is_short():
    X, Y = PROBLEMS["tall"]
    p = LeastSquares(X, Y)
    for found in (dense_cce(p, 5, 2), sparse_cce(p, 6, 2), one_shot(p, 6, 3)):
        assert len(repr(found)) < 600
        assert "table=" not in repr(found)
