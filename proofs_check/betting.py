"""Means of bounded random variables by betting: tests and intervals valid at any time.

For observations ``Z_t`` in [0, 1] with ``E[Z_t | past] <= mu``, the capital of a gambler who bets
a fixed fraction ``f`` against it, ``prod_t (1 + f (Z_t / mu - 1))``, is a nonnegative
supermartingale, and so is the mean over several fractions. The chance that it ever reaches
``1/alpha`` is at most ``alpha`` (Ville's inequality). So a test may look after every batch, stop
when it has decided, or go on later; the steps of one trajectory may all be used.

The bets against ``E[Z_t | past] >= mu`` are the same on ``1 - Z_t`` and ``1 - mu``. Bets relative
to ``mu`` and ``1 - mu`` have power where the mean is close to 0 or 1: a ratio of 1 - 2e-7 is told
from 1 - 3e-7 in a few hundred trials.

References
----------
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024.
"""

from __future__ import annotations

import numpy as np

FRACTIONS = 2.0 ** -np.arange(0.0, 12.0)
FRACTIONS[0] = 1 - 2.0**-10
"""Bets, as fractions of the capital; the mixture costs a factor of 12 in capital at most."""

BISECTIONS = 60


def log_wealth(observations: np.ndarray, mean: float) -> float:
    """Log capital of the gambler who bets against ``E[Z | past] <= mean``.

    Parameters
    ----------
    observations : ndarray of float64, shape (t,)
        In [0, 1].
    mean : float
        In [0, 1]. At 0 any positive observation wins everything.

    Returns
    -------
    float
        Starts at 0 with no observations. Falls when ``mean`` rises; does not depend on the order.

    Examples
    --------
    >>> log_wealth(np.full(100, 0.9), 0.5) > 23  # a fortune of 1e10
    True
    """
    if mean <= 0:
        return float("inf") if (observations > 0).any() else 0.0
    gains = observations / mean - 1
    logs = np.log1p(FRACTIONS[:, None] * gains).sum(axis=1)
    return float(np.logaddexp.reduce(logs) - np.log(FRACTIONS.size))


def lower_confidence_bound(observations: np.ndarray, alpha: float) -> float:
    """Largest mean refuted from below: ``P(ever above the true mean) <= alpha``.

    Parameters
    ----------
    observations : ndarray of float64, shape (t,)
        In [0, 1].
    alpha : float
        Error probability, in (0, 1).

    Returns
    -------
    float
        In [0, 1]; rounded outwards.

    Examples
    --------
    >>> 0.85 < lower_confidence_bound(np.full(1000, 0.9), 0.05) < 0.9
    True
    """
    threshold = -np.log(alpha)
    low = 1e-300  # the bound may be tiny: find its order of magnitude first
    if not log_wealth(observations, low) >= threshold:
        return 0.0
    while low < 0.5 and log_wealth(observations, min(1.0, 16 * low)) >= threshold:
        low *= 16
    high = min(1.0, 16 * low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if log_wealth(observations, middle) >= threshold:
            low = middle
        else:
            high = middle
    return low


def confidence_interval(observations: np.ndarray, alpha: float) -> tuple[float, float]:
    """Interval for the mean, valid at any stopping time with probability ``1 - alpha``.

    Parameters
    ----------
    observations : ndarray of float64, shape (t,)
        In [0, 1].
    alpha : float
        Error probability of the whole interval, half on each side.

    Returns
    -------
    lower, upper : float

    Examples
    --------
    >>> lower, upper = confidence_interval(np.tile([0.0, 1.0], 500), 0.05)
    >>> 0.4 < lower < 0.5 < upper < 0.6
    True
    """
    lower = lower_confidence_bound(observations, alpha / 2)
    upper = 1 - lower_confidence_bound(1 - observations, alpha / 2)
    return lower, upper
