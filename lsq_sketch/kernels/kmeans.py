"""The steps of k-means: nearest centroid, sums of clusters, distances to a new centroid."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def nearest(points, centroids, start, stop, labels, distances):
    """Nearest centroid of points ``start:stop`` and its squared distance.

    ``centroids`` is transposed, (d, K), so that the loop over centroids is a vector loop.
    Distances are sums of squared differences, never differences of squares: a point equal to a
    centroid has distance exactly 0. The first of several equal ones wins.
    """
    d, n_clusters = centroids.shape
    to = np.empty(n_clusters)
    for i in range(start, stop):
        for c in range(n_clusters):
            difference = points[i, 0] - centroids[0, c]
            to[c] = difference * difference
        for t in range(1, d):
            x = points[i, t]
            row = centroids[t]
            for c in range(n_clusters):
                difference = x - row[c]
                to[c] += difference * difference
        best = 0
        smallest = to[0]
        for c in range(1, n_clusters):
            if to[c] < smallest:
                smallest = to[c]
                best = c
        labels[i] = best
        distances[i] = smallest


@njit(cache=True, nogil=True)
def cluster_sums(points, labels, start, stop, sums, counts):
    """Add the points ``start:stop`` to their clusters' ``sums`` (K, d) and ``counts`` (K,)."""
    for i in range(start, stop):
        target = sums[labels[i]]
        counts[labels[i]] += 1
        for t in range(points.shape[1]):
            target[t] += points[i, t]


@njit(cache=True, nogil=True)
def distances_to(points, candidates, start, stop, closest, out):
    """``out[c, i] = min(closest[i], |points[i] - candidates[c]|^2)`` for ``start <= i < stop``."""
    for c in range(candidates.shape[0]):
        for i in range(start, stop):
            total = 0.0
            for t in range(points.shape[1]):
                difference = points[i, t] - candidates[c, t]
                total += difference * difference
            out[c, i] = min(closest[i], total)
