"""A Gaussian prior fitted to parabolas of the loss by its evidence."""

import numpy as np
from numba import njit

from .parabolas import posteriors

LEAST_KNOWN = 1e-4
"""Share of a direction that parabolas are taken to tell at the least, lest 0 be divided by 0."""


@njit(cache=True, nogil=True)
def fit_by_evidence(
    blocks, weights, rounds, least, least_share, mean, covariance, posterior_covariance
):  # fmt: skip
    """Rounds of the evidence, from the mean and covariance given.

    Parameters
    ----------
    blocks : (blocks, features, `argmin.POINT_BLOCK`)
        Of losses in nats; see `parabolas`.
    weights : (n,)
        Of the parabolas in the posterior covariance.
    rounds : int
    least, least_share : float
        No variance becomes less than the one, or than the other times the largest.
    mean : (width,), covariance : (width, width)
        Of float64, changed in place.
    posterior_covariance : (width, width)
        Overwritten: the weighted sum of those of the parabolas.
    """
    n, width = weights.size, mean.size
    found, sums = np.empty((n, width)), np.empty((2, width, width))
    for step in range(rounds + 1):
        precision = np.linalg.inv(covariance)
        posteriors(blocks, precision, precision @ mean, weights, found, sums)
        if step < rounds:
            next_covariance(found, sums[0], least, least_share, mean, covariance)
    posterior_covariance[:] = sums[1]


@njit(cache=True, nogil=True)
def next_covariance(found, sum_of, least, least_share, mean, covariance):
    """One round: mean and covariance, given posterior means and the sum of their covariances.

    In coordinates where the covariance is the identity, with ``D`` the scatter of the posterior
    means and ``G`` the sum of ``I - V``, it becomes ``G^(-1/2) D G^(-1/2)``. ``found`` is used up.
    """
    n, width = found.shape
    root, inverse_root = powers(covariance)
    known = -(inverse_root @ sum_of @ inverse_root)
    for j in range(width):
        known[j, j] += n * (1 + LEAST_KNOWN)
    for i in range(n):
        found[i] -= mean
    away = found @ inverse_root
    total = np.zeros(width)
    for i in range(n):
        total += away[i]
    mean += root @ np.linalg.solve(known, total)
    for i in range(n):
        away[i] -= total / n
    half = root @ powers(known)[1]
    values, vectors = np.linalg.eigh(half @ (away.T @ away) @ half.T)
    values = np.maximum(values, max(least_share * values[-1], least))
    covariance[:] = (vectors * values) @ vectors.T


@njit(cache=True, nogil=True)
def powers(matrix):
    """Square root and inverse square root of a positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.sqrt(np.maximum(values, 2.0**-52 * values[-1]))
    return (vectors * values) @ vectors.T, (vectors / values) @ vectors.T
