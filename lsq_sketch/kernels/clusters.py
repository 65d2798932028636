"""The clustering step of a chunk of columns: many short float32 vectors, many centroids."""

import numpy as np
from numba import njit

from .embedding import HALF

FRESH, WARM = 0, 1


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "contract"})
def nearest_centroid(points, centroids, norms, start, stop, to, labels):
    """Nearest centroid of points ``start:stop``, the first of several equal ones.

    ``centroids`` is transposed, (d, K), ``norms`` their squared lengths, ``to`` scratch (K,).
    Distances are compared without the point's own squared length.
    """
    d, n_clusters = centroids.shape
    two = np.float32(-2)
    for i in range(start, stop):
        to[:] = norms
        t = 0
        while t + 4 <= d:
            x0, x1 = two * points[i, t], two * points[i, t + 1]
            x2, x3 = two * points[i, t + 2], two * points[i, t + 3]
            c0, c1, c2, c3 = centroids[t], centroids[t + 1], centroids[t + 2], centroids[t + 3]
            for c in range(n_clusters):
                to[c] += x0 * c0[c] + x1 * c1[c] + x2 * c2[c] + x3 * c3[c]
            t += 4
        while t < d:
            x0 = two * points[i, t]
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


@njit(cache=True, nogil=True)
def squared_lengths(columns):
    """Squared length of each column of a (d, K) matrix."""
    out = np.zeros(columns.shape[1], columns.dtype)
    for t in range(columns.shape[0]):
        for c in range(columns.shape[1]):
            out[c] += columns[t, c] * columns[t, c]
    return out


@njit(cache=True, nogil=True)
def spread_seeds(points, uniforms, centroids):
    """D^2 seeding: each seed drawn by squared distance to those before, by a given uniform.

    ``centroids`` (K, d) become the seeds. Where every point is a seed already, any is repeated.
    """
    n, d = points.shape
    closest = np.full(n, np.float32(np.inf), np.float32)
    for k in range(centroids.shape[0]):
        drawn = 0
        if k == 0:
            drawn = int(uniforms[0] * n)
        else:
            total = 0.0
            for i in range(n):
                total += closest[i]
            left = uniforms[k] * total
            while drawn < n - 1 and left >= closest[drawn]:
                left -= closest[drawn]
                drawn += 1
        centroids[k] = points[drawn]
        for i in range(n):
            distance = np.float32(0)
            for t in range(d):
                difference = points[i, t] - centroids[k, t]
                distance += difference * difference
            closest[i] = min(closest[i], distance)


@njit(cache=True, nogil=True)
def lloyd_rounds(points, centroids, rounds):
    """Rounds of Lloyd's algorithm, in place; the centroid of an empty cluster stays."""
    n, d = points.shape
    n_clusters = centroids.shape[0]
    labels = np.empty(n, np.int32)
    to = np.empty(n_clusters, np.float32)
    for _ in range(rounds):
        transposed = np.ascontiguousarray(centroids.T)
        nearest_centroid(points, transposed, squared_lengths(transposed), 0, n, to, labels)
        sums = np.zeros((n_clusters, d))
        counts = np.zeros(n_clusters, np.int64)
        for i in range(n):
            counts[labels[i]] += 1
            for t in range(d):
                sums[labels[i], t] += points[i, t]
        for k in range(n_clusters):
            if counts[k] > 0:
                for t in range(d):
                    centroids[k, t] = np.float32(sums[k, t] / counts[k])


@njit(cache=True, nogil=True)
def hash_buckets(keys, function, rows):
    """Buckets of IDs (uint64) by a multiply-shift hash function, as in `embedding.locate`."""
    return (((function[0] * keys + function[1]) >> HALF) * np.uint64(rows)) >> HALF


@njit(cache=True, nogil=True)
def chunk_vectors(ids, first, second, assignments, chunk, function, out):
    """Vectors of IDs in one chunk: their row of the first table, plus that of the second."""
    buckets = np.zeros(ids.size, np.uint64)
    if second.shape[0] > 0:
        buckets = hash_buckets(ids.astype(np.uint64), function, second.shape[0])
    for i in range(ids.size):
        row = first[np.int64(assignments[ids[i], chunk])]
        for t in range(row.size):
            out[i, t] = row[t]
        if second.shape[0] > 0:
            other = second[np.int64(buckets[i])]
            for t in range(row.size):
                out[i, t] += other[t]


@njit(cache=True, nogil=True)
def cluster_chunk(
    first, second, assignments, chunk, old_hash, new_hash, sample, uniforms, seeding, rounds, block
):
    """Cluster one chunk's vectors; hash the second table afresh, from the mean residuals.

    ``first`` (K, d) becomes the centroids, column ``chunk`` of ``assignments`` the clusters,
    ``second`` (m, d) the mean residual of each bucket of the new hash function, zero where empty.
    Vectors of ``block`` IDs are held at once.
    """
    n = assignments.shape[0]
    n_clusters, d = first.shape
    points = np.empty((sample.size, d), np.float32)
    chunk_vectors(sample, first, second, assignments, chunk, old_hash, points)
    centroids = first.copy()
    if seeding == FRESH:
        spread_seeds(points, uniforms, centroids)
    lloyd_rounds(points, centroids, rounds)
    transposed = np.ascontiguousarray(centroids.T)
    norms = squared_lengths(transposed)
    to = np.empty(n_clusters, np.float32)
    labels = np.empty(block, np.int32)
    vectors = np.empty((block, d), np.float32)
    sums = np.zeros(second.shape)
    counts = np.zeros(second.shape[0], np.int64)
    for start in range(0, n, block):
        size = min(block, n - start)
        ids = np.arange(start, start + size).astype(np.int32)
        chunk_vectors(ids, first, second, assignments, chunk, old_hash, vectors)
        nearest_centroid(vectors, transposed, norms, 0, size, to, labels)
        for i in range(size):
            assignments[start + i, chunk] = labels[i]
        if second.shape[0] > 0:
            buckets = hash_buckets(ids.astype(np.uint64), new_hash, second.shape[0])
            for i in range(size):
                b = int(buckets[i])
                counts[b] += 1
                for t in range(d):
                    sums[b, t] += vectors[i, t] - centroids[labels[i], t]
    first[:] = centroids
    for b in range(second.shape[0]):
        for t in range(d):
            second[b, t] = np.float32(sums[b, t] / max(counts[b], 1))
