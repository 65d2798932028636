"""The betting test: coverage at any time, power, monotonicity, edge cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from proofs_check.betting import (
    FRACTIONS,
    confidence_interval,
    log_wealth,
    lower_confidence_bound,
)

RUNS, LENGTH, ALPHA = 400, 300, 0.1


def ever_crossed(observations, mean, alpha):
    """Whether the capital against ``mean`` reached 1/alpha at any time."""
    logs = np.cumsum(np.log1p(FRACTIONS[:, None] * (observations / mean - 1)), axis=1)
    wealth = np.logaddexp.reduce(logs, axis=0) - np.log(FRACTIONS.size)
    return bool((wealth >= -np.log(alpha)).any())


@pytest.mark.parametrize(
    ("name", "draw", "mean"),
    [
        ("bernoulli", lambda rng: rng.integers(0, 2, LENGTH) * 1.0, 0.5),
        ("rare", lambda rng: (rng.random(LENGTH) < 0.01) * 1.0, 0.01),
        ("beta", lambda rng: rng.beta(2, 6, LENGTH), 0.25),
        ("near one", lambda rng: 1 - 1e-6 * rng.exponential(1, LENGTH), 1 - 1e-6),
        ("dependent", lambda rng: dependent(rng), 0.5),
    ],
)
def test_false_alarms_at_any_time(name, draw, mean):
    """True means are refuted at most at the stated rate, both sides, looking after every draw.

    False-alarm rate of this test: 1e-6 (binomial tail at the largest allowed rate).
    """
    allowed = stats.binom.isf(1e-6, RUNS, ALPHA)
    rng = np.random.default_rng([7, *name.encode()])
    samples = [draw(rng) for _ in range(RUNS)]
    assert sum(ever_crossed(z, mean, ALPHA) for z in samples) <= allowed
    assert sum(ever_crossed(1 - z, 1 - mean, ALPHA) for z in samples) <= allowed


def dependent(rng):
    """Steps whose spread depends on the past, each of conditional mean 1/2."""
    z = np.empty(LENGTH)
    spread = 0.5
    for t in range(LENGTH):
        z[t] = 0.5 + spread * rng.choice([-1, 1])
        spread = 0.05 if z[t] > 0.5 else 0.5
    return z


def test_a_wrong_mean_is_refuted():
    """Power: mean 0.5 against 0.4 in 300 draws; misses fewer than 1 in 100 of 400 runs."""
    rng = np.random.default_rng(3)
    samples = [rng.integers(0, 2, LENGTH) * 1.0 for _ in range(RUNS)]
    missed = sum(not ever_crossed(z, 0.4, 0.1) for z in samples)
    assert missed < 0.25 * RUNS
    assert all(ever_crossed(z, 0.25, 0.1) for z in samples)


def test_power_is_relative_near_one():
    """1 - 3e-7 is told from 1 - 2e-7 in a thousand draws of relative spread one."""
    rng = np.random.default_rng(4)
    z = 1 - 3e-7 * rng.gamma(2, 0.5, 1000)
    assert log_wealth(1 - z, 2e-7) > np.log(1e4)
    assert log_wealth(1 - z, 4e-7) < np.log(10)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(1e-6, 1),
    st.floats(1e-6, 1),
)
def test_wealth_falls_with_the_mean_and_ignores_order(values, a, b):
    z = np.array(values)
    low, high = min(a, b), max(a, b)
    assert log_wealth(z, low) >= log_wealth(z, high) - 1e-9
    assert log_wealth(z[::-1], a) == pytest.approx(log_wealth(z, a), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.sampled_from([0.3, 0.05, 1e-4]))
def test_interval_holds_the_sample_mean_and_shrinks_with_alpha(values, alpha):
    z = np.array(values)
    lower, upper = confidence_interval(z, alpha)
    assert 0 <= lower <= z.mean() + 1e-12
    assert z.mean() - 1e-12 <= upper <= 1
    wider = confidence_interval(z, alpha / 10)
    assert wider[0] <= lower + 1e-12
    assert wider[1] >= upper - 1e-12


def test_bound_inverts_the_test():
    z = np.random.default_rng(5).beta(3, 5, 200)
    bound = lower_confidence_bound(z, 0.01)
    assert log_wealth(z, bound * (1 - 1e-9)) >= np.log(100)
    assert log_wealth(z, bound * (1 + 1e-6)) < np.log(100)


def test_edges():
    assert log_wealth(np.array([]), 0.5) == pytest.approx(0, abs=1e-12)
    assert log_wealth(np.array([0.0, 0.0]), 0.0) == 0
    assert log_wealth(np.array([0.0, 0.1]), 0.0) == np.inf
    assert lower_confidence_bound(np.zeros(100), 0.05) == 0
    assert confidence_interval(np.array([]), 0.05) == (0.0, 1.0)
    tiny = lower_confidence_bound(np.full(500, 1e-9), 0.05)
    assert 0.9e-9 < tiny < 1e-9
