"""Codewords seeded anew, from parabolas of the loss of each ID in one chunk of columns.

An ID's parabola is one row of features, as `lsq_sketch.kernels.reassignment.expand_ids` gives
them: the entries of half its curvature matrix below and on the diagonal, then its slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ..kernels import clusters, reassignment
from ..kernels.argmin import first_least
from ..rng import generator

KMEANS_ROUNDS = 10
LOSS_ROUNDS = 5


def seed_codewords(
    features: np.ndarray, n_codewords: int, precision: float, prior: float, rng: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Codewords for parabolas: k-means of their least points, then rounds of Lloyd by the loss.

    Parameters
    ----------
    features : ndarray of float32, shape (n, width (width + 3) / 2)
        Of the sampled IDs.
    n_codewords : int
    precision : float
        Times half the squared length of a vector, added to each ID's loss; positive.
    prior : float
        Times minus the logarithm of a codeword's share of the IDs, likewise.
    rng : int or numpy.random.Generator

    Returns
    -------
    codewords : ndarray of float32, shape (n_codewords, width)
    penalties : ndarray of float64, shape (n_codewords,)
        What each adds to an ID's loss.

    Examples
    --------
    Two kinds of IDs, whose losses are least near -1 and 1:

    >>> features = np.float32([[50.0, 100.0], [50.0, -100.0]] * 4)
    >>> codewords, penalties = seed_codewords(features, 2, 1e-3, 1.0, 0)
    >>> sorted(codewords.round(3).ravel().tolist())
    [-1.0, 1.0]
    """
    random = generator(rng)
    curvatures, slopes = quadratic_parts(features)
    width = slopes.shape[1]
    ridge = precision * np.eye(width)
    least = -np.linalg.solve(curvatures + ridge, slopes[:, :, None])[:, :, 0].astype(np.float32)
    codewords = np.empty((n_codewords, width), np.float32)
    clusters.spread_seeds(least, random.random(n_codewords), codewords)
    clusters.lloyd_rounds(least, codewords, KMEANS_ROUNDS)
    labels = np.empty(len(least), np.int32)
    clusters.nearest_centroid(least, codewords, 0, len(least), labels)
    for _ in range(LOSS_ROUNDS):
        penalties = _penalties(codewords, labels, precision, prior)
        labels = least_cost(features, codewords, penalties)
        together = _indicator(labels, n_codewords) @ features.astype(np.float64)
        of_clusters, their_slopes = quadratic_parts(together)
        used = np.bincount(labels, minlength=n_codewords) > 0
        solved = -np.linalg.solve(of_clusters[used] + ridge, their_slopes[used, :, None])
        codewords[used] = solved[:, :, 0]
    return codewords, _penalties(codewords, labels, precision, prior)


def least_cost(features: np.ndarray, codewords: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """The codeword of least cost for each parabola.

    Parameters
    ----------
    features : ndarray of float32, shape (n, width (width + 3) / 2)
    codewords : ndarray of float32, shape (n_codewords, width)
    penalties : ndarray, shape (n_codewords,)
        Added to the costs.

    Returns
    -------
    ndarray of int32, shape (n,)
        Ties go to the first.

    Examples
    --------
    Parabolas ``c^2 / 2 - c`` and ``c^2 / 2 + c``, and codewords -1 and 1:

    >>> features = np.float32([[0.5, -1], [0.5, 1]])
    >>> least_cost(features, np.float32([[-1], [1]]), np.zeros(2)).tolist()
    [1, 0]
    """
    labels = np.empty(len(features), np.int32)
    expanded = np.empty((len(codewords), features.shape[1]), np.float32)
    reassignment.expand_codewords(codewords, expanded)
    first_least(
        features, np.float32(1), expanded, penalties.astype(np.float32), 0, len(labels), labels
    )
    return labels


def quadratic_parts(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvature matrices, (n, width, width), and slopes, (n, width), of parabolas.

    Examples
    --------
    >>> curvatures, slopes = quadratic_parts(np.float32([[1.0, 0.5, 2.0, 7.0, 8.0]]))
    >>> curvatures.tolist(), slopes.tolist()
    ([[[2.0, 0.5], [0.5, 4.0]]], [[7.0, 8.0]])
    """
    n, columns = features.shape
    width = round(np.sqrt(2 * columns + 2.25) - 1.5)
    rows, cols = np.tril_indices(width)
    curvatures = np.zeros((n, width, width))
    curvatures[:, rows, cols] = features[:, : len(rows)]
    curvatures[:, cols, rows] = features[:, : len(rows)]
    curvatures[:, range(width), range(width)] *= 2
    return curvatures, features[:, len(rows) : len(rows) + width].astype(np.float64)


def _penalties(
    codewords: np.ndarray, labels: np.ndarray, precision: float, prior: float
) -> np.ndarray:
    counts = np.bincount(labels, minlength=len(codewords))
    shares = (counts + 1) / (len(labels) + len(codewords))
    lengths = (codewords.astype(np.float64) ** 2).sum(axis=1)
    penalties: np.ndarray = precision / 2 * lengths - prior * np.log(shares)
    return penalties


def _indicator(labels: np.ndarray, n_codewords: int) -> sp.csr_array:
    """(codewords, IDs), 1 where an ID has the codeword."""
    n = len(labels)
    return sp.csr_array(
        (np.ones(n), (labels.astype(np.int64), np.arange(n))), shape=(n_codewords, n)
    )
