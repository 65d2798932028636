"""Small least-squares problems: the Cholesky shortcut, QR, and stacked triangles."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import solve
from lsq_sketch.solve import (
    EPS,
    SAFE_CONDITION,
    cholesky_solve,
    least_squares_step,
    qr_solve,
    triangular_factor,
)
from tests import twins
from tests.strategies import seeds, with_spectrum

CONDITIONS = [1.0, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12]


def exact_loss(W, E, M):
    """``||E - W M||^2`` in rational arithmetic: huge codebooks nearly cancel in it."""
    W, E, M = (np.array([[Fraction(x) for x in row] for row in A.tolist()]) for A in (W, E, M))
    return float(((E - W @ M) ** 2).sum())


def least_loss(W, E):
    """Its minimum over ``M``: Gram-Schmidt with pivoting, twice, in extended precision."""
    W, E = W.astype(np.longdouble), E.astype(np.longdouble)
    cutoff = max(W.shape) * EPS * np.sqrt((W**2).sum(axis=0)).max(initial=0.0)
    for _ in range(min(W.shape)):
        lengths = np.sqrt((W**2).sum(axis=0))
        if lengths.max() <= cutoff:
            break
        q = W[:, lengths.argmax()] / lengths.max()
        for _ in range(2):
            W, E = W - np.outer(q, q @ W), E - np.outer(q, q @ E)
    return float((E**2).sum())


def allowed(W, E, M):
    """How far above its minimum the loss of a computed ``M`` may lie.

    The documented ``k^2 eps ||E||^2``, and the square of the rounding error of ``W M`` itself:
    where ``W`` is so ill-conditioned that codebooks are huge, no codebook in float64 does better.
    """
    sizes = np.linalg.norm(W, axis=0) @ np.linalg.norm(M, axis=1)
    return 10 * max(W.shape) ** 2 * (EPS * twins.squared_norm(E) + (EPS * sizes) ** 2)


def check_least_loss(W, E):
    M = least_squares_step(W, E)
    excess = exact_loss(W, E, M) - least_loss(W, E)
    assert excess <= allowed(W, E, M)


# Where Cholesky is taken --------------------------------------------------------------------


@pytest.mark.parametrize("cond", CONDITIONS)
def test_cholesky_gives_up_exactly_where_it_is_unsafe(cond):
    """``cond`` is of the columns: the Gram matrix has its square, with a limit of 6.7e7."""
    rng = np.random.default_rng(int(np.log10(cond)))
    W = with_spectrum(40, 6, np.geomspace(1, 1 / cond, 6), rng)
    gram = W.T @ W
    scale = np.sqrt(gram.diagonal())
    inverse_condition = 1 / np.linalg.cond(gram / scale / scale[:, None], 1)
    safe = inverse_condition > SAFE_CONDITION
    assert safe == (cond < 1e4)  # the cases lie on both sides of the limit
    solution = cholesky_solve(gram, W.T @ np.ones((40, 2)))
    assert (solution is not None) == safe


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_the_limit_of_cholesky_is_the_stated_one(factor):
    """Two unit columns at cosine ``c``: the 1-norm condition is ``(1 + c) / (1 - c)``."""
    rcond = factor * SAFE_CONDITION
    cosine = (1 - rcond) / (1 + rcond)
    gram = np.array([[1.0, cosine], [cosine, 1.0]])
    assert (cholesky_solve(gram, np.ones((2, 1))) is None) == (factor < 1)


@pytest.mark.parametrize(
    "gram",
    [
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.array([[1.0, 1.0], [1.0, 1.0]]),
        np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]),
    ],
    ids=["indefinite", "singular", "singular with a zero column"],
)
def test_cholesky_refuses_what_is_not_positive_definite(gram):
    assert cholesky_solve(gram, np.ones((len(gram), 1))) is None


def test_cholesky_gives_zero_columns_zero_weight():
    gram = np.array([[4.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 4.0]])
    moments = gram @ np.array([[1.0], [7.0], [-2.0]])
    np.testing.assert_allclose(cholesky_solve(gram, moments), [[1.0], [0.0], [-2.0]], rtol=1e-14)
    np.testing.assert_array_equal(
        cholesky_solve(np.zeros((2, 2)), np.zeros((2, 3))), np.zeros((2, 3))
    )


@given(seeds, st.integers(1, 8), st.integers(1, 3))
def test_cholesky_solves(seed, k, d2):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((3 * k + 5, k))
    gram, M = W.T @ W, rng.standard_normal((k, d2))
    before = gram.copy()
    np.testing.assert_allclose(cholesky_solve(gram, gram @ M), M, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(gram, before)


@given(seeds, st.lists(st.integers(-150, 150), min_size=2, max_size=6))
def test_scaling_columns_does_not_matter_to_cholesky(seed, exponents):
    """Columns of any units: with scales that are powers of two the answer scales exactly."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((20, len(exponents)))
    gram, moments = W.T @ W, W.T @ rng.standard_normal((20, 2))
    scale = 2.0 ** np.array(exponents)
    plain = cholesky_solve(gram, moments)
    scaled = cholesky_solve(gram * scale * scale[:, None], moments * scale[:, None])
    np.testing.assert_allclose(scaled * scale[:, None], plain, rtol=1e-10, atol=1e-12)


# The step -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 10), (10, 10), (10, 25)])
@pytest.mark.parametrize("cond", CONDITIONS)
def test_least_squares_step_has_the_least_loss_at_any_condition(cond, shape):
    rng = np.random.default_rng([int(np.log10(cond)), *shape])
    W = with_spectrum(*shape, np.geomspace(1, 1 / cond, min(shape)), rng)
    for E in (rng.standard_normal((shape[0], 3)), W @ rng.standard_normal((shape[1], 2))):
        check_least_loss(W, E)


@pytest.mark.parametrize("rank", [1, 3, 7])
@pytest.mark.parametrize("shape", [(40, 10), (8, 8), (10, 25)])
def test_least_squares_step_has_the_least_loss_at_any_rank(rank, shape):
    rng = np.random.default_rng([rank, *shape])
    W = with_spectrum(*shape, rng.uniform(1, 3, rank), rng)
    E = rng.standard_normal((shape[0], 2))
    check_least_loss(W, E)


@pytest.mark.parametrize("cond", [1e14, 1e15, 1e16, 1e17])
def test_least_squares_step_at_the_edge_of_the_precision(cond):
    """Directions may or may not count as zero there, but the loss does not rise."""
    rng = np.random.default_rng(int(np.log10(cond)))
    for shape in [(40, 10), (10, 10), (10, 25)]:
        W = with_spectrum(*shape, np.geomspace(1, 1 / cond, 10), rng)
        E = rng.standard_normal((shape[0], 3))
        E -= W @ np.linalg.lstsq(W, E, rcond=1e-12)[0]  # nothing left to gain, but rounding
        M = least_squares_step(W, E)
        loss, before = exact_loss(W, E, M), twins.squared_norm(E)
        assert loss <= before + allowed(W, E, M)


@pytest.mark.parametrize("seed", range(20))
def test_a_direction_just_above_the_noise_never_raises_the_loss(seed):
    """The residual lies in a direction below the noise, which the one just above is mixed with.

    Found by the adversarial search on dense-monotone: pivoted QR alone raised the loss by up to
    2e-3 of itself, in three of four draws.
    """
    rng = np.random.default_rng(seed)
    noise = 1e-13
    W = with_spectrum(4, 7, np.array([1, 0.3, 6 * noise, 0.2 * noise]), rng)
    U = np.linalg.svd(W)[0]
    E = U @ (np.array([1e-6, 1e-6, 1e-3, 1])[:, None] * rng.standard_normal((4, 2)))
    M = qr_solve(W, E, np.full(7, noise))
    assert twins.squared_norm(E - W @ M) <= twins.squared_norm(E) * (1 + 1e-14)
    assert np.abs(M).max() > 0  # what can be gained safely is gained


@given(seeds, st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(-3, 40))
def test_least_squares_step_beats_every_other_codebook(seed, r, k, d2, digits):
    """Gram matrices on both sides of the limit: columns equal up to ``10^(-digits/4)``."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((r, 1)) + 10 ** (-digits / 4) * rng.standard_normal((r, k))
    E = rng.standard_normal((r, d2))
    M = least_squares_step(W, E)
    loss, room = exact_loss(W, E, M), allowed(W, E, M)
    by_lstsq = exact_loss(W, E, np.linalg.lstsq(W, E, rcond=None)[0])
    assert loss <= by_lstsq + room
    assert loss <= twins.squared_norm(E) + room


def test_cholesky_is_what_the_step_takes_when_it_is_safe(monkeypatch):
    W, E = np.diag([1.0, 2.0]), np.ones((2, 1))
    calls, original = [], solve.scipy.linalg.lstsq

    def counted(*args, **options):
        calls.append(1)
        return original(*args, **options)

    monkeypatch.setattr(solve.scipy.linalg, "lstsq", counted)
    np.testing.assert_allclose(least_squares_step(W, E), [[1.0], [0.5]])
    assert not calls
    least_squares_step(np.ones((2, 2)), E)
    assert calls == [1]


# QR with column pivoting --------------------------------------------------------------------


def test_qr_gives_zero_columns_zero_weight():
    W = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(qr_solve(W, np.array([[4.0], [1.0]])), [[0.0], [2.0], [0.0]])
    np.testing.assert_array_equal(qr_solve(np.zeros((2, 3)), np.ones((2, 2))), np.zeros((3, 2)))


def test_qr_of_no_rows():
    np.testing.assert_array_equal(qr_solve(np.zeros((0, 3)), np.zeros((0, 2))), np.zeros((3, 2)))


@given(seeds, st.integers(1, 8), st.integers(1, 4))
def test_qr_has_minimum_norm_among_columns_of_unit_length(seed, n, rank):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, 6))
    W /= np.linalg.norm(W, axis=0)
    E = rng.standard_normal((n, 2))
    expected, found_rank, sigma = twins.lstsq(W, E, rcond=1e-12)
    cond = sigma[0] / sigma[found_rank - 1]
    np.testing.assert_allclose(qr_solve(W, E), expected, atol=1e-13 * cond**2)


# Stacked triangles --------------------------------------------------------------------------


@given(seeds, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 5))
def test_triangular_factor_has_the_gram_matrix_of_the_stack(seed, heights, d):
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal((height, d)) for height in heights]
    whole = np.vstack(blocks)
    R = triangular_factor(blocks)
    assert R.shape == (min(len(whole), d), d)
    np.testing.assert_array_equal(R, np.triu(R))
    np.testing.assert_allclose(R.T @ R, whole.T @ whole, atol=1e-12 * len(whole))
    np.testing.assert_allclose(
        np.linalg.svd(R, compute_uv=False), np.linalg.svd(whole, compute_uv=False), atol=1e-13
    )


def test_triangular_factor_keeps_small_singular_values():
    """To ``eps sigma_1``, where those of ``W'W`` would be off by ``sqrt(eps) sigma_1``."""
    W = with_spectrum(90, 5, np.array([1.0, 1e-3, 1e-6, 1e-9, 1e-12]), np.random.default_rng(0))
    R = triangular_factor([W[:30], W[30:50], W[50:]])
    np.testing.assert_allclose(
        np.linalg.svd(R, compute_uv=False), [1.0, 1e-3, 1e-6, 1e-9, 1e-12], rtol=0, atol=1e-14
    )
