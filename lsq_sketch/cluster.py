"""k-means: the clustering step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ckwrap
import numpy as np

from . import _validate
from .kernels import kmeans as kernels
from .rng import generator
from .sketches import BucketMatrix
from .threads import for_each, row_chunks

POINTS_PER_PIECE = 4096

OPTIMAL_1D_WORK = 2_000_000
"""Points times clusters up to which one-dimensional clustering is optimal, not Lloyd's."""


@dataclass(frozen=True)
class Clustering:
    """A k-means clustering of the rows of a table.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
        Cluster of each point, in ``0..K-1``.
    centroids : ndarray of float64, shape (K, d)
        (Weighted) mean of each cluster. A cluster may be empty only if there are fewer than ``K``
        distinct points; its centroid is then one of the points.
    cost : float
        Sum of (weighted) squared distances of the points to their centroids.
    n_iter : int
        Rounds of Lloyd's algorithm; 0 where the optimum was computed directly.
    """

    labels: np.ndarray
    centroids: np.ndarray
    cost: float
    n_iter: int

    @property
    def assignments(self) -> BucketMatrix:
        """The matrix ``A`` (n x K) with one 1 in each row: ``A @ centroids`` are the centroids."""
        return BucketMatrix(self.labels, len(self.centroids))


def kmeans(points: Any, n_clusters: int, rng: Any = 0, *, max_iter: int = 100) -> Clustering:
    """Cluster points by k-means: D^2 seeding, then Lloyd's algorithm.

    Each centre is the best of ``2 + ln K`` candidates drawn with D^2 probability. One-dimensional
    points are clustered optimally by `kmeans_1d` as long as points times clusters stay below two
    million.

    Parameters
    ----------
    points : array_like, shape (n, d) or (n,)
    n_clusters : int
        K, between 1 and n.
    rng : int or numpy.random.Generator, default 0
    max_iter : int, default 100
        Rounds of Lloyd's algorithm, at most.

    Returns
    -------
    Clustering
        Labels are nearest to the centroids up to ties; the cost never rises from round to round.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or ``points`` are not finite real numbers.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    Lloyd, "Least squares quantization in PCM", 1982.

    Examples
    --------
    >>> clustering = kmeans([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0]], 2, rng=0)
    >>> clustering.cost
    0.5
    """
    values = _validate.points(points)
    n, d = values.shape
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=n, high_name="n")
    max_iter = _validate.integer(max_iter, "max_iter", low=0)
    random = generator(rng)
    if d == 1 and n * n_clusters <= OPTIMAL_1D_WORK:
        return kmeans_1d(values, n_clusters)
    n_candidates = 2 + int(np.log(n_clusters))
    seeds = kmeans_plusplus(values, n_clusters, random, n_candidates=n_candidates)
    return lloyd(values, values[seeds], max_iter=max_iter)


def kmeans_1d(points: Any, n_clusters: int, weights: Any = None) -> Clustering:
    """The optimal clustering of numbers, each with a weight, by dynamic programming.

    Optimal clusters are runs of the sorted numbers, which the package ckwrap (Ckmeans.1d.dp) finds
    in ``O(n K log n)`` time.

    Parameters
    ----------
    points : array_like, shape (n,) or (n, 1)
    n_clusters : int
        K, between 1 and n.
    weights : array_like, shape (n,), optional
        Positive; all 1 if not given.

    Returns
    -------
    Clustering
        Of least ``sum_i weights_i (points_i - centroid_i)^2``, its ``cost``, up to the rounding of
        the cost of one cluster. The centroids are weighted means, in ascending order.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or of another shape, or values are not finite real numbers.

    References
    ----------
    Wang and Song, "Ckmeans.1d.dp: optimal k-means clustering in one dimension by dynamic
    programming", R Journal 2011. Song and Zhong, "Efficient weighted univariate clustering maps
    outstanding dysregulated genomic zones in human cancers", Bioinformatics 2020.

    Examples
    --------
    >>> kmeans_1d([0.0, 1.0, 2.5], 2).centroids.ravel().tolist()
    [0.5, 2.5]
    >>> kmeans_1d([0.0, 1.0, 2.5], 2, weights=[9, 9, 1]).centroids.ravel().tolist()
    [0.0, 1.15]
    """
    values = _validate.points(points)
    if values.shape[1] != 1:
        raise ValueError(
            f"points have {values.shape[1]} columns; expected one. Cluster rows with kmeans."
        )
    n = len(values)
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=n, high_name="n")
    heft = np.ones(n) if weights is None else _validate.weights(weights, n)
    x, distinct = np.unique(values[:, 0], return_inverse=True)
    n_runs = min(n_clusters, x.size)
    w = np.bincount(distinct, heft)
    x -= np.average(x, weights=w)  # near zero, differences of running sums keep their digits
    runs = ckwrap.ckmeans(x, n_runs, w, method="loglinear").labels.astype(np.int32)
    labels = runs[distinct]
    centroids = np.full((n_clusters, 1), values[0, 0])
    centroids[labels] = values  # one of its points, from which the mean of a cluster is measured
    offsets = heft * (values - centroids[labels])[:, 0]
    mass = np.bincount(labels, heft)
    centroids[: mass.size, 0] += np.bincount(labels, offsets) / mass
    cost = float(heft @ (values - centroids[labels])[:, 0] ** 2)
    return Clustering(labels, centroids, cost, 0)


def kmeans_plusplus(
    points: Any, n_clusters: int, rng: Any = 0, *, n_candidates: int = 1
) -> np.ndarray:
    """Seeds for k-means, by D^2 sampling.

    The first seed is uniform; each further one is drawn with probability proportional to the
    squared distance to the nearest seed so far.

    Parameters
    ----------
    points : array_like, shape (n, d)
    n_clusters : int
        Number of seeds, between 1 and n.
    rng : int or numpy.random.Generator, default 0
    n_candidates : int, default 1
        Candidates drawn for each seed, of which the one that lowers the cost most is kept.
        1 is the method of the theorem.

    Returns
    -------
    ndarray of int64, shape (n_clusters,)
        Indices of points. Repeated only if there are fewer distinct points than seeds.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Examples
    --------
    >>> sorted(kmeans_plusplus([[0.0], [0.0], [5.0]], 2, rng=3).tolist())[-1]
    2
    """
    values = _validate.points(points)
    n = len(values)
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=n, high_name="n")
    n_candidates = _validate.integer(n_candidates, "n_candidates", low=1)
    random = generator(rng)
    seeds = np.empty(n_clusters, np.int64)
    seeds[0] = random.integers(n)
    pieces = row_chunks(n, POINTS_PER_PIECE)
    closest = _distances(values, seeds[:1], np.full(n, np.inf), pieces)[0]
    for c in range(1, n_clusters):
        cumulative = np.cumsum(closest)
        uniforms = random.random(n_candidates)
        if cumulative[-1] > 0:
            drawn = np.searchsorted(cumulative, uniforms * cumulative[-1], side="right")
            drawn = np.minimum(drawn, n - 1)
        else:  # every point is a seed already
            drawn = (uniforms * n).astype(np.int64)
        distances = _distances(values, drawn, closest, pieces)
        best = int(np.argmin(distances.sum(axis=1)))
        seeds[c], closest = drawn[best], distances[best]
    return seeds


def _distances(
    values: np.ndarray, drawn: np.ndarray, closest: np.ndarray, pieces: list[tuple[int, int]]
) -> np.ndarray:
    out = np.empty((len(drawn), len(values)))
    for_each(lambda p: kernels.distances_to(values, values[drawn], *p, closest, out), pieces)
    return out


def lloyd(points: Any, centroids: Any, *, max_iter: int = 100) -> Clustering:
    """Lloyd's algorithm from given centroids.

    A cluster left empty takes the point farthest from its centroid, if that point is not on it.

    Parameters
    ----------
    points : array_like, shape (n, d)
    centroids : array_like, shape (K, d)
        Where to start.
    max_iter : int, default 100

    Returns
    -------
    Clustering
        Of the last round: stopped after ``max_iter`` rounds, or when no label changed.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit or values are not finite real numbers.

    Examples
    --------
    >>> lloyd([[0.0], [1.0], [10.0]], [[0.0], [1.0]]).labels
    array([0, 0, 1], dtype=int32)
    """
    values = _validate.points(points)
    means = _validate.points(centroids, "centroids").copy()
    if means.shape[1] != values.shape[1]:
        raise ValueError(
            f"centroids have {means.shape[1]} columns but points have {values.shape[1]}; "
            f"expected as many."
        )
    max_iter = _validate.integer(max_iter, "max_iter", low=0)
    n = len(values)
    pieces = row_chunks(n, POINTS_PER_PIECE)
    labels, distances = np.full(n, -1, np.int32), np.empty(n)
    n_iter = 0
    while True:
        before = labels.copy()
        _assign(values, means, pieces, labels, distances)
        _fill_empty_clusters(labels, distances, len(means))
        if n_iter == max_iter or np.array_equal(before, labels):
            break
        means, _ = _means(values, labels, means)
        n_iter += 1
    means, _ = _means(values, labels, means)
    cost = float(((values - means[labels]) ** 2).sum())
    return Clustering(labels, means, cost, n_iter)


def _assign(
    values: np.ndarray,
    means: np.ndarray,
    pieces: list[tuple[int, int]],
    labels: np.ndarray,
    distances: np.ndarray,
) -> None:
    transposed = np.ascontiguousarray(means.T)
    for_each(lambda piece: kernels.nearest(values, transposed, *piece, labels, distances), pieces)


def _fill_empty_clusters(labels: np.ndarray, distances: np.ndarray, n_clusters: int) -> None:
    counts = np.bincount(labels, minlength=n_clusters)
    empty = np.flatnonzero(counts == 0)
    if not empty.size:
        return
    farthest = iter(np.argsort(-distances, kind="stable"))
    for cluster in empty:
        for i in farthest:
            if distances[i] == 0:
                return
            if counts[labels[i]] > 1:
                counts[labels[i]] -= 1
                labels[i], distances[i] = cluster, 0.0
                break


def _means(
    values: np.ndarray, labels: np.ndarray, otherwise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each cluster (``otherwise`` where it is empty) and its size."""
    n_clusters = len(otherwise)
    pieces = row_chunks(len(values), 16 * POINTS_PER_PIECE)
    sums = np.zeros((len(pieces), n_clusters, values.shape[1]))
    counts = np.zeros((len(pieces), n_clusters), np.int64)
    for_each(
        lambda i: kernels.cluster_sums(values, labels, *pieces[i], sums[i], counts[i]),
        range(len(pieces)),
    )
    sizes = counts.sum(axis=0)
    means = otherwise.copy()
    filled = sizes > 0
    means[filled] = sums.sum(axis=0)[filled] / sizes[filled, None]
    return means, sizes
