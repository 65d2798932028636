"""One-dimensional integrals behind the sharper statements, to near working precision.

All are integrals over a half line of analytic functions with algebraic or exponential decay. With
``t = exp(x)`` (or a double-exponential variable) the trapezoidal rule converges exponentially
(Trefethen and Weideman, "The exponentially convergent trapezoidal rule", SIAM Review 2014).
"""

from __future__ import annotations

import numpy as np

STEP = 0.3
"""Spacing in ``x``. The integrands are analytic for ``|Im x| < pi``: error ``exp(-2 pi^2/0.3)``."""

TAIL = 40.0
"""Where the integrands have decayed below ``exp(-40)`` on the left, ``exp(-TAIL)`` on the right."""


def direction_weights(squared: np.ndarray) -> np.ndarray:
    """``lambda_j = E[s_j g_j^2 / sum_l s_l g_l^2]`` for independent standard normal ``g``.

    The expected projection onto one Gaussian combination of directions with squared singular
    values ``s``: ``lambda_j = int_0^inf s_j/(1 + 2 t s_j) prod_l (1 + 2 t s_l)^{-1/2} dt``
    (claim dense-first-column-exact).

    Parameters
    ----------
    squared : ndarray of float64, shape (r,)
        Positive.

    Returns
    -------
    ndarray of float64, shape (r,)
        Sums to 1 within about 1e-13.

    Examples
    --------
    >>> np.round(direction_weights(np.ones(4)), 12)
    array([0.25, 0.25, 0.25, 0.25])
    """
    t, weight = _half_line_nodes(squared)
    logs = -0.5 * np.log1p(2 * t[:, None] * squared).sum(axis=1)
    kernel = weight * np.exp(logs)
    return np.array([(kernel * s / (1 + 2 * t * s)).sum() for s in squared])


def smallest_direction_weights(singular_values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``lmin(sigma_1, ..., sigma_{c-1}, sigma_r)`` for each ``c`` in ``counts``.

    The weight of the last direction when only the ``c - 1`` largest others are left (claim
    dense-quadrature-rate).

    Parameters
    ----------
    singular_values : ndarray of float64, shape (r,)
        Positive, descending.
    counts : ndarray of int, shape (q,)
        Between 1 and r.

    Returns
    -------
    ndarray of float64, shape (q,)
        Relative error about 1e-12.

    Examples
    --------
    >>> np.round(smallest_direction_weights(np.ones(5), np.array([5, 2, 1])), 12).tolist()
    [0.2, 0.5, 1.0]
    """
    scaled = (singular_values / singular_values[0]) ** 2
    smallest = scaled[-1]
    out = np.empty(len(counts))
    t, weight = _half_line_nodes(scaled)
    logs = np.zeros(t.size)
    last = np.log1p(2 * t * smallest)
    done = 0
    for position in np.argsort(counts, kind="stable"):
        others = int(counts[position]) - 1
        if others > done:
            logs += np.log1p(2 * t[:, None] * scaled[done:others]).sum(axis=1)
            done = others
        if others == 0:
            out[position] = 1.0
        else:
            out[position] = (weight * smallest * np.exp(-1.5 * last - 0.5 * logs)).sum()
    return out


def _half_line_nodes(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes ``t = e^x`` and weights for integrands that change between ``1/s_1`` and ``1/s_r``."""
    low = -np.log(squared.max()) - TAIL
    high = -np.log(squared.min()) + 2 * TAIL  # decays like t^{-1/2} at worst
    x = np.arange(low, high + STEP, STEP)
    t = np.exp(x)
    return t, STEP * t


def bucket_shares(weights: np.ndarray, m: int) -> np.ndarray:
    """``q_i = E[w_i / sum_{j in the bucket of i} w_j]`` for ``m`` uniform random buckets.

    ``q_i = int_0^inf w_i e^{-t w_i} prod_{j != i} (1 - 1/m + e^{-t w_j}/m) dt``
    (claim one-hot-exact).

    Parameters
    ----------
    weights : ndarray of float64, shape (d,)
        Positive: ID counts.
    m : int
        Buckets.

    Returns
    -------
    ndarray of float64, shape (d,)
        Relative error about 1e-12. Equal weights share one quadrature.

    Examples
    --------
    >>> float(np.round(bucket_shares(np.array([1.0, 1.0]), 2)[0], 12))
    0.75
    """
    if m == 1:
        return weights / weights.sum()
    values, inverse, counts = np.unique(weights, return_inverse=True, return_counts=True)
    # s = t w_i = exp(x - exp(-x)) decays doubly exponentially on the left; e^{-s} on the right
    x = np.arange(-5.0, 4.0, 0.05)
    s = np.exp(x - np.exp(-x))
    ds = s * (1 + np.exp(-x)) * 0.05
    shares = np.empty(values.size)
    for i, w in enumerate(values):
        decay = np.exp(-np.outer(s, values / w))
        terms = np.log1p((decay - 1) / m)
        logs = terms @ counts - terms[:, i]
        shares[i] = (ds * np.exp(-s + logs)).sum()
    return shares[inverse]
