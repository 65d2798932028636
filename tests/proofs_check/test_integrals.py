"""Quadratures against enumeration, closed forms, scipy and Monte Carlo."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from proofs_check.integrals import bucket_shares, direction_weights, smallest_direction_weights

positive = st.floats(1e-3, 1e3)


@given(st.lists(positive, min_size=1, max_size=12))
def test_direction_weights_sum_to_one_and_rise_with_the_singular_value(values):
    s = np.sort(np.array(values))[::-1] ** 2
    weights = direction_weights(s)
    assert weights.sum() == pytest.approx(1, rel=1e-11)
    assert (np.diff(weights) <= 1e-12).all()
    rho = s[-1] / s.sum()
    assert weights[-1] >= rho * (1 - 1e-11)  # Chebyshev's sum inequality: dense-rate


def test_direction_weights_against_scipy():
    s = np.array([4.0, 1.0, 0.01])

    def integrand(u, j):
        t = u / (1 - u)
        return s[j] / (1 + 2 * t * s[j]) / np.sqrt(np.prod(1 + 2 * t * s)) / (1 - u) ** 2

    expected = [quad(integrand, 0, 1, args=(j,), epsabs=1e-12)[0] for j in range(3)]
    np.testing.assert_allclose(direction_weights(s), expected, rtol=1e-8)


def test_direction_weights_against_monte_carlo():
    """Five standard errors: false-alarm rate below 1e-6 a direction."""
    s = np.array([9.0, 1.0, 1.0, 0.1])
    g = np.random.default_rng(0).standard_normal((200_000, 4)) ** 2 * s
    shares = g / g.sum(axis=1, keepdims=True)
    error = shares.std(axis=0) / np.sqrt(len(shares))
    assert (np.abs(shares.mean(axis=0) - direction_weights(s)) < 5 * error).all()


def test_two_directions_in_closed_form():
    """For two directions lambda_1 = sigma_1 / (sigma_1 + sigma_2)."""
    np.testing.assert_allclose(direction_weights(np.array([9.0, 1.0])), [0.75, 0.25], rtol=1e-12)


@given(st.lists(positive, min_size=2, max_size=10))
def test_smallest_direction_is_that_of_the_shortened_spectrum(values):
    sigma = np.sort(np.array(values))[::-1]
    counts = np.arange(len(sigma), 0, -1)
    expected = [direction_weights(np.append(sigma[: c - 1], sigma[-1]) ** 2)[-1] for c in counts]
    np.testing.assert_allclose(smallest_direction_weights(sigma, counts), expected, rtol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("weights", [[1.0, 2.0, 5.0, 100.0, 0.01], [1.0] * 5, [1e6, 1.0, 1e-6]])
def test_bucket_shares_by_enumeration(weights, m):
    w = np.array(weights)
    total = np.zeros(w.size)
    for buckets in itertools.product(range(m), repeat=w.size):
        h = np.array(buckets)
        total += [w[i] / w[h == h[i]].sum() for i in range(w.size)]
    np.testing.assert_allclose(bucket_shares(w, m), total / m**w.size, rtol=1e-11)
