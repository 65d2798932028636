"""A Gaussian prior fitted to parabolas of the loss by its evidence.

Matrices are as small as a chunk of columns: NumPy does, and nothing has to be compiled but what
goes through the parabolas.
"""

from __future__ import annotations

import numpy as np

from ..kernels.parabolas import posteriors

LEAST_KNOWN = 1e-4
"""Share of a direction that parabolas are taken to tell at the least, lest 0 be divided by 0."""

EPS = 2.0**-52


def fit_by_evidence(
    blocks: np.ndarray,
    weights: np.ndarray,
    rounds: int,
    least: float,
    least_share: float,
    mean: np.ndarray,
    covariance: np.ndarray,
    posterior_covariance: np.ndarray,
) -> None:
    """Rounds of the evidence, from the mean and covariance given.

    Parameters
    ----------
    blocks : ndarray, shape (blocks, features, `argmin.POINT_BLOCK`)
        Of losses in nats; see `lsq_sketch.kernels.parabolas`.
    weights : ndarray, shape (n,)
        Of the parabolas in the posterior covariance.
    rounds : int
    least, least_share : float
        No variance becomes less than the one, or than the other times the largest.
    mean : ndarray of float64, shape (width,)
    covariance : ndarray of float64, shape (width, width)
        Both changed in place.
    posterior_covariance : ndarray of float64, shape (width, width)
        Overwritten: the weighted sum of those of the parabolas.
    """
    n, width = weights.size, mean.size
    found, sums = np.empty((n, width)), np.empty((2, width, width))
    values, vectors = np.linalg.eigh(covariance)
    for step in range(rounds + 1):
        precision = (vectors / values) @ vectors.T
        posteriors(blocks, precision, precision @ mean, 1 / values[-1], weights, found, sums)
        if step < rounds:
            moved, values, vectors = next_prior(
                found, sums[0], least, least_share, mean, values, vectors
            )
            mean[:] = moved
    covariance[:] = (vectors * values) @ vectors.T
    posterior_covariance[:] = sums[1]


def next_prior(
    found: np.ndarray,
    sum_of: np.ndarray,
    least: float,
    least_share: float,
    mean: np.ndarray,
    values: np.ndarray,
    vectors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One round: the next prior, given posterior means and the sum of their covariances.

    In coordinates where the covariance is the identity, with ``D`` the scatter of the posterior
    means and ``G`` the sum of ``I - V``, it becomes ``G^(-1/2) D G^(-1/2)``.

    Parameters
    ----------
    found : ndarray, shape (n, width)
    sum_of : ndarray, shape (width, width)
    least, least_share
        As for `fit_by_evidence`.
    mean, values : ndarray, shape (width,)
    vectors : ndarray, shape (width, width)
        The prior's mean, and the eigenvalues and eigenvectors of its covariance.

    Returns
    -------
    mean, values, vectors : ndarray
    """
    n, width = found.shape
    scale = np.sqrt(values)
    root, inverse_root = (vectors * scale) @ vectors.T, (vectors / scale) @ vectors.T
    known = n * (1 + LEAST_KNOWN) * np.eye(width) - inverse_root @ sum_of @ inverse_root
    shares, directions = np.linalg.eigh(known)
    shares = np.maximum(shares, EPS * shares[-1])
    away = (found - mean) @ inverse_root
    total = away.sum(axis=0)
    mean = mean + root @ (directions / shares @ (directions.T @ total))
    away -= total / n
    half = root @ (directions / np.sqrt(shares)) @ directions.T
    values, vectors = np.linalg.eigh(half @ (away.T @ away) @ half.T)
    return mean, np.maximum(values, max(least_share * values[-1], least)), vectors
