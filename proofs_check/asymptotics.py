"""What Dense CCE does in high dimension: predictions to draw beside the bounds, not theorems.

For Gaussian noise ``G`` (d1 x m) the range of ``X G`` behaves, as rank and ``m`` grow in
proportion, as if it took the fixed share ``sigma_j^2 / (sigma_j^2 + g)`` of the j-th singular
direction (Derezinski, Liang, Liao and Mahoney 2020; Derezinski and Rebrova 2022).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq


def implicit_ridge(singular_values: np.ndarray, m: int) -> float:
    """``g`` with ``sum_j sigma_j^2 / (sigma_j^2 + g) = m``.

    Parameters
    ----------
    singular_values : ndarray, shape (r,)
        Positive.
    m : int
        From 1 to ``r - 1``.

    Returns
    -------
    float
        Positive.

    Raises
    ------
    ValueError
        If ``m`` is out of range.

    Examples
    --------
    >>> round(implicit_ridge(np.ones(4), 1), 12)
    3.0
    """
    r = len(singular_values)
    if not 1 <= m < r:
        raise ValueError(
            f"m must lie in 1..r-1 = 1..{r - 1}, got {m}; with m >= r one step is exact."
        )
    squared = np.asarray(singular_values, dtype=float) ** 2

    def surplus(log_ridge: float) -> float:
        return float((squared / (squared + np.exp(log_ridge))).sum() - m)

    # each share lies between those of the least and the largest singular value
    odds = np.log((r - m) / m)
    low, high = np.log(squared.min()) + odds, np.log(squared.max()) + odds
    return float(np.exp(brentq(surplus, low - 1e-9, high + 1e-9, xtol=1e-14, rtol=1e-14)))


def projection_shares(singular_values: np.ndarray, m: int) -> np.ndarray:
    """``lambda_j = sigma_j^2 / (sigma_j^2 + g)``: the share of each direction that is fitted.

    Parameters
    ----------
    singular_values : ndarray, shape (r,)
    m : int

    Returns
    -------
    ndarray of float64, shape (r,)
        In (0, 1); sums to ``m``.

    Examples
    --------
    >>> np.round(projection_shares(np.ones(4), 1), 12).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    squared = np.asarray(singular_values, dtype=float) ** 2
    return squared / (squared + implicit_ridge(singular_values, m))


def predicted_excess(
    singular_values: np.ndarray, coefficients: np.ndarray, m: int, n_iter: int
) -> np.ndarray:
    """Excess of Dense CCE with Gaussian noise over its rounds, predicted for high dimension.

    In the coordinates of the singular directions let ``R`` be the residual, ``V`` the fitted
    values, ``Q`` the projection orthogonal to the range of ``X G``. A round keeps the columns of
    the table in the span, so ``R`` becomes ``Q A``, ``A = R - V (V'QV)^+ V'QR``. In high dimension
    ``Q`` acts on the few columns of ``A`` as ``D = diag(1 - lambda)``, plus independent noise
    whose covariance in direction ``j`` is ``lambda_j (1 - lambda_j)`` times
    ``A' D Lambda A / sum_l lambda_l (1 - lambda_l)`` (second moments of such projections: Bach,
    "High-dimensional analysis of double descent for linear regression with random projections",
    2024). ``R`` is therefore known by its mean and the covariance of its noise.

    Parameters
    ----------
    singular_values : ndarray, shape (r,)
    coefficients : ndarray, shape (r, d2)
        ``U'Y``, how much of each target lies in each singular direction. ``d2`` is small beside
        ``r``.
    m : int
        Fresh noise columns a round.
    n_iter : int

    Returns
    -------
    ndarray of float64, shape (n_iter + 1,)
        ``e_0, e_1, ...``.

    Examples
    --------
    >>> np.round(predicted_excess(np.ones(4), np.ones((4, 1)), 1, 2), 12).tolist()
    [4.0, 3.0, 2.25]
    """
    fitted = projection_shares(singular_values, m)
    left, mixed = 1 - fitted, fitted * (1 - fitted)
    target = np.asarray(coefficients, dtype=float)
    mean, noise = target, np.zeros((*target.shape, target.shape[1]))
    excess = [float((mean**2).sum())]
    for i in range(n_iter):
        if i > 0:  # the columns of the table take what they can
            known, inner = target - mean, np.einsum("j,jab->ab", left, noise)
            kept = known.T @ (left[:, None] * known) + inner
            overlap = known.T @ (left[:, None] * mean) - inner
            weights = np.linalg.lstsq(kept, overlap)[0]
            turn = np.eye(len(weights)) + weights
            mean, noise = mean - known @ weights, turn.T @ noise @ turn
        fresh = (mean.T * mixed) @ mean + np.einsum("j,jab->ab", mixed, noise)
        mean = left[:, None] * mean
        noise = (left**2)[:, None, None] * noise + mixed[:, None, None] * (fresh / mixed.sum())
        excess.append(float((mean**2).sum() + np.einsum("jaa->", noise)))
    return np.array(excess)
