"""The prediction for high dimension: its fixed point, its limits, and that it predicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch import dense_cce
from proofs_check.asymptotics import implicit_ridge, predicted_excess, projection_shares
from proofs_check.claims import dense_quadrature_rate, whitened_law
from proofs_check.instances import with_spectrum
from proofs_check.integrals import direction_weights

spectra = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=30).map(
    lambda values: np.sort(values)[::-1]
)


@given(spectra, st.data())
def test_shares_solve_their_equation_and_follow_the_spectrum(sigma, data):
    m = data.draw(st.integers(1, sigma.size - 1))
    shares = projection_shares(sigma, m)
    np.testing.assert_allclose(shares.sum(), m, rtol=1e-9)
    assert ((shares > 0) & (shares < 1)).all()
    assert (np.diff(shares) <= 1e-12).all()
    np.testing.assert_allclose(projection_shares(7 * sigma, m), shares, rtol=1e-6)
    if m + 1 < sigma.size:
        assert implicit_ridge(sigma, m + 1) < implicit_ridge(sigma, m)


@pytest.mark.parametrize("m", [0, 4, 9])
def test_width_out_of_range(m):
    with pytest.raises(ValueError, match=rf"m must lie in 1..r-1 = 1..3, got {m}"):
        implicit_ridge(np.ones(4), m)


def test_flat_spectrum_is_the_exact_law():
    sigma, m = np.full(50, 3.0), 12
    predicted = predicted_excess(sigma, np.ones((50, 1)), m, 4)
    np.testing.assert_allclose(predicted, 50 * whitened_law.rate(50, m) ** np.arange(5), rtol=1e-9)


def test_one_column_in_high_dimension_is_the_exact_formula():
    """lambda of dense-first-column-exact tends to sigma^2/(sigma^2 + g) as the rank grows."""
    errors = []
    for r in (50, 200, 800):
        sigma = np.geomspace(1, 0.1, r)
        exact = direction_weights(sigma**2)
        errors.append(np.abs(projection_shares(sigma, 1) / exact - 1).max())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.01


@pytest.mark.compiled
@pytest.mark.parametrize("targets", ["random", "smallest"])
def test_it_predicts_dense_cce(targets):
    """Within 2 % of the measured mean over eight rounds, where the proved bound is far off."""
    r, m, rng = 400, 40, np.random.default_rng(3)
    sigma = np.geomspace(1, 0.1, r)
    coefficients = np.zeros((r, 2))
    coefficients[-2:] = np.eye(2)
    if targets == "random":
        coefficients = rng.standard_normal((r, 2))
    problem = with_spectrum(sigma, coefficients, rng, r + 10)
    runs = np.array([dense_cce(problem, m + 2, 8, rng=i).excess for i in range(30)])
    measured = runs.mean(axis=0)
    predicted = predicted_excess(sigma, coefficients, m, 8)
    np.testing.assert_allclose(predicted, measured, rtol=0.02)
    if targets == "random":
        rate = dense_quadrature_rate.rate(sigma, m)
        assert rate**8 * measured[0] > 1.5 * measured[8]
