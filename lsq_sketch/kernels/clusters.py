"""Nearest of many centroids for many short float32 vectors: the dearest part of clustering."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "contract"})
def nearest_centroid(points, centroids, norms, start, stop, to, labels):
    """Nearest centroid of points ``start:stop``, the first of several equal ones.

    ``centroids`` is transposed, (d, K), ``norms`` their squared lengths, ``to`` scratch (K,).
    Distances are compared without the point's own squared length.
    """
    d, n_clusters = centroids.shape
    for i in range(start, stop):
        to[:] = norms
        t = 0
        while t + 4 <= d:
            x0 = np.float32(-2) * points[i, t]
            x1 = np.float32(-2) * points[i, t + 1]
            x2 = np.float32(-2) * points[i, t + 2]
            x3 = np.float32(-2) * points[i, t + 3]
            c0, c1, c2, c3 = centroids[t], centroids[t + 1], centroids[t + 2], centroids[t + 3]
            for c in range(n_clusters):
                to[c] += x0 * c0[c] + x1 * c1[c] + x2 * c2[c] + x3 * c3[c]
            t += 4
        while t < d:
            x0 = np.float32(-2) * points[i, t]
            c0 = centroids[t]
            for c in range(n_clusters):
                to[c] += x0 * c0[c]
            t += 1
        smallest = to[0]
        for c in range(n_clusters):
            smallest = min(smallest, to[c])
        best = 0
        while to[best] > smallest:
            best += 1
        labels[i] = best
