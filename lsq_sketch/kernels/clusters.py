"""The clustering step of a chunk of columns: many short float32 vectors, many centroids."""

import numpy as np
from numba import njit

from .argmin import first_least
from .embedding import HALF

UNIFORM, SPREAD, WARM = 0, 1, 2

SEED_BLOCK = 256


@njit(cache=True, nogil=True)
def nearest_centroid(points, centroids, start, stop, labels):
    """Nearest centroid of points ``start:stop``, the first of several equal ones.

    Distances are compared without the point's own squared length.
    """
    norms = np.zeros(centroids.shape[0], np.float32)
    for k in range(centroids.shape[0]):
        for t in range(centroids.shape[1]):
            norms[k] += centroids[k, t] * centroids[k, t]
    first_least(points, np.float32(-2), centroids, norms, start, stop, labels)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "contract", "reassoc"})
def come_closer(columns, seed, start, stop, closest):
    """Lower the squared distances of points ``start:stop`` to the nearest seed; their sum.

    ``columns`` (d, n) are the points transposed; at most `SEED_BLOCK` of them.
    """
    size = stop - start
    to = np.zeros(SEED_BLOCK, np.float32)
    for t in range(seed.size):
        column, value = columns[t, start:stop], seed[t]
        for i in range(size):
            difference = column[i] - value
            to[i] += difference * difference
    near = closest[start:stop]
    total = np.float32(0)
    for i in range(size):
        near[i] = min(near[i], to[i])
        total += near[i]
    return total


@njit(cache=True, nogil=True)
def spread_seeds(points, uniforms, centroids):
    """D^2 seeding: each seed drawn by squared distance to those before, by a given uniform.

    ``centroids`` (K, d) become the seeds. Where every point is a seed already, the last one is
    repeated. Sums are kept by blocks of points, so that few are looked at for a draw.
    """
    n = points.shape[0]
    columns = np.ascontiguousarray(points.T)
    closest = np.full(n, np.float32(np.inf), np.float32)
    sums = np.zeros((n + SEED_BLOCK - 1) // SEED_BLOCK)
    drawn = int(uniforms[0] * n)
    for k in range(centroids.shape[0]):
        if k > 0:
            total = 0.0
            for b in range(sums.size):
                total += sums[b]
            left = uniforms[k] * total
            b = 0
            while b < sums.size - 1 and left >= sums[b]:
                left -= sums[b]
                b += 1
            for i in range(b * SEED_BLOCK, min(n, (b + 1) * SEED_BLOCK)):
                if closest[i] > 0:
                    drawn = i
                    left -= closest[i]
                    if left < 0:
                        break
        centroids[k] = points[drawn]
        for b in range(sums.size):
            first, last = b * SEED_BLOCK, min(n, (b + 1) * SEED_BLOCK)
            sums[b] = come_closer(columns, centroids[k], first, last, closest)


@njit(cache=True, nogil=True)
def uniform_seeds(points, uniforms, centroids):
    """Different points as seeds, all alike likely, by given uniforms; over again if too few."""
    n = points.shape[0]
    order = np.arange(n)
    for k in range(min(n, centroids.shape[0])):
        drawn = k + int(uniforms[k] * (n - k))
        order[k], order[drawn] = order[drawn], order[k]
    for k in range(centroids.shape[0]):
        centroids[k] = points[order[k % n]]


@njit(cache=True, nogil=True)
def lloyd_rounds(points, centroids, rounds):
    """Rounds of Lloyd's algorithm, in place, or fewer if no point moves any more.

    The centroid of an empty cluster stays.
    """
    n, d = points.shape
    n_clusters = centroids.shape[0]
    labels = np.empty(n, np.int32)
    before = np.full(n, -1, np.int32)
    for _ in range(rounds):
        nearest_centroid(points, centroids, 0, n, labels)
        if (labels == before).all():
            return
        before[:] = labels
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
    d = first.shape[1]
    points = np.empty((sample.size, d), np.float32)
    chunk_vectors(sample, first, second, assignments, chunk, old_hash, points)
    centroids = first.copy()
    if seeding == SPREAD:
        spread_seeds(points, uniforms, centroids)
    elif seeding == UNIFORM:
        uniform_seeds(points, uniforms, centroids)
    lloyd_rounds(points, centroids, rounds)
    labels = np.empty(block, np.int32)
    vectors = np.empty((block, d), np.float32)
    sums = np.zeros(second.shape)
    counts = np.zeros(second.shape[0], np.int64)
    for start in range(0, n, block):
        size = min(block, n - start)
        ids = np.arange(start, start + size).astype(np.int32)
        chunk_vectors(ids, first, second, assignments, chunk, old_hash, vectors)
        nearest_centroid(vectors, centroids, 0, size, labels)
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
