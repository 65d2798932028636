"""Plain NumPy twins of every kernel, and of the algorithms: what they should compute.

Nothing here calls the library, except that the twins of the random algorithms take their
draws (count sketches, k-means) from it, so that both see the same randomness.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lsq_sketch import CountSketch, kmeans

EPS = float(np.finfo(float).eps)


# Count sketch -------------------------------------------------------------------------------


def dense_matrix(buckets, signs, m):
    """``C`` itself, d1 x m."""
    C = np.zeros((len(buckets), m))
    C[np.arange(len(buckets)), buckets] = signs
    return C


def sketch(X, buckets, signs, m):
    """``X @ C`` of a dense matrix, each entry summed in the order of the columns."""
    out = np.zeros((X.shape[0], m))
    for j, (bucket, sign) in enumerate(zip(buckets, signs, strict=True)):
        out[:, bucket] += sign * X[:, j].astype(float)
    return out


def sketch_row_entries(indptr, indices, data, buckets, signs, m):
    """The entries of each row of ``X @ C`` (CSR), as one dictionary {bucket: value} a row."""
    rows = []
    for start, stop in pairwise(indptr):
        row = {}
        for j, value in zip(indices[start:stop], data[start:stop], strict=True):
            row[int(buckets[j])] = row.get(int(buckets[j]), 0.0) + signs[j] * value
        rows.append(row)
    return rows


# Gram matrices ------------------------------------------------------------------------------


def running_pairs(indptr):
    """Pairs of entries in each row, as a running sum."""
    widths = np.diff(indptr).astype(object)
    return np.array([0, *np.cumsum(widths * (widths - 1) // 2)], dtype=np.int64)


def strict_pairs(dense_rows_of_entries, m):
    """Sum over rows, over pairs of entries in it, of their product, at (lower, upper bucket).

    ``dense_rows_of_entries``: for each row, its list of (bucket, signed value).
    """
    upper = np.zeros((m, m))
    for entries in dense_rows_of_entries:
        for a in range(len(entries)):
            for b in range(a):
                low, high = sorted((entries[a][0], entries[b][0]))
                upper[low, high] += entries[a][1] * entries[b][1]
    return upper


def bucketed_gram(S, left, left_signs, left_m, right, right_signs, right_m):
    """``C1' S C2`` for dense ``S``."""
    C1, C2 = dense_matrix(left, left_signs, left_m), dense_matrix(right, right_signs, right_m)
    return C1.T @ S @ C2


def bucket_sums(rows, buckets, signs, m):
    """``C' rows``, summed in the order of the rows."""
    out = np.zeros((m, rows.shape[1]))
    np.add.at(out, buckets, signs[:, None] * rows)
    return out


def independent_columns(gram, order):
    """The greedy independent set of the graph of nonzeros of ``gram``, in the given order."""
    chosen = []
    for j in order:
        if all(gram[j, i] == 0 for i in chosen):
            chosen.append(j)
    mask = np.zeros(len(gram), dtype=bool)
    mask[chosen] = True
    return mask


# k-means ------------------------------------------------------------------------------------


def squared_distances(points, centroids):
    """All squared distances, (n, K)."""
    return ((points[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)


def nearest(points, centroids):
    """Label of the nearest centroid (the first of equal ones) and squared distance to it."""
    to = squared_distances(points, centroids)
    labels = to.argmin(axis=1)
    return labels, to[np.arange(len(points)), labels]


def cluster_sums(points, labels, n_clusters):
    """Sum and size of each cluster."""
    sums = np.array([points[labels == c].sum(axis=0) for c in range(n_clusters)])
    return sums, np.bincount(labels, minlength=n_clusters)


def distances_to(points, candidates, closest):
    """``min(closest[i], |points[i] - candidates[c]|^2)``, (candidates, n)."""
    return np.minimum(closest, squared_distances(candidates, points))


def clustering_cost(points, labels):
    """K-means cost of an assignment: squared distances to the clusters' means."""
    return sum(
        ((points[labels == c] - points[labels == c].mean(axis=0)) ** 2).sum()
        for c in np.unique(labels)
    )


def partitions(n, n_clusters):
    """All label vectors of partitions of ``n`` points into at most ``n_clusters`` clusters."""

    def extend(labels, used):
        if len(labels) == n:
            yield np.array(labels)
            return
        for c in range(min(used + 1, n_clusters)):
            yield from extend([*labels, c], max(used, c + 1))

    return extend([0], 1)


def optimal_cost(points, n_clusters):
    """The optimal k-means cost, by trying every partition."""
    return min(clustering_cost(points, labels) for labels in partitions(len(points), n_clusters))


def optimal_cost_1d(points, n_clusters, weights=None):
    """The optimal k-means cost of numbers: clusters are runs of the sorted numbers."""
    x = np.ravel(points)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    order = np.argsort(x, kind="stable")
    x, w, n = x[order], w[order], len(x)
    best = np.full((n_clusters + 1, n + 1), np.inf)
    best[0, 0] = 0.0
    for c in range(1, n_clusters + 1):
        for stop in range(1, n + 1):
            best[c, stop] = min(
                best[c - 1, start] + run_cost(x[start:stop], w[start:stop]) for start in range(stop)
            )
    return best[1:, n].min()


def run_cost(x, w):
    """Weighted squared distance of numbers to their weighted mean."""
    return (w * (x - np.average(x, weights=w)) ** 2).sum()


# Alternating --------------------------------------------------------------------------------


def move_ids(X, codebook, first, labels, residual):
    """Each ID in turn to the codeword (of ``first..K-1``, and its own) of least loss.

    New labels and residual ``X T - Y``; the loss of each choice is evaluated as it stands.
    """
    labels, residual = labels.copy(), residual.copy()
    for j in range(X.shape[1]):
        if not X[:, j].any():
            continue
        losses = {}
        for c in [labels[j], *range(first, len(codebook))]:
            step = np.outer(X[:, j], codebook[c] - codebook[labels[j]])
            losses.setdefault(int(c), ((residual + step) ** 2).sum())
        best = min(losses, key=losses.get)
        residual += np.outer(X[:, j], codebook[best] - codebook[labels[j]])
        labels[j] = best
    return labels, residual


# Least squares and the algorithms, with every row and lstsq each time -------------------------


def lstsq(X, Y, rcond=None):
    """Minimum-norm minimiser, rank and singular values."""
    Y = Y.reshape(len(Y), -1)
    T, _, rank, sigma = np.linalg.lstsq(X, Y, rcond=rcond)
    return T, int(rank), sigma


def squared_norm(A):
    """``||A||_F^2``."""
    return float((np.asarray(A) ** 2).sum())


class Problem:
    """Loss, optimum and excess, dense and direct."""

    def __init__(self, X, Y):
        self.X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
        self.Y = np.asarray(Y, dtype=float).reshape(len(self.X), -1)
        self.optimum, self.rank, self.sigma = lstsq(self.X, self.Y)

    def loss(self, T):
        return squared_norm(self.X @ T - self.Y)

    def excess(self, T):
        return squared_norm(self.X @ (T - self.optimum))

    def fit(self, H):
        """``argmin ||X H M - Y||``, as the table ``H M``."""
        return H @ lstsq(self.X @ H, self.Y)[0]


def dense_cce(X, Y, n_iter, draw_noise):
    """Algorithm 1 of the paper; ``draw_noise()`` gives fresh noise (d1 x m)."""
    problem = Problem(X, Y)
    tables = [np.zeros_like(problem.optimum)]
    for _ in range(n_iter):
        tables.append(problem.fit(np.hstack([tables[-1], draw_noise()])))
    return np.array([problem.excess(T) for T in tables]), tables


def count_sketch_noise(d1, m, rng):
    """A function that draws count sketches, dense."""
    return lambda: CountSketch(d1, m, rng).to_sparse().toarray()


def sparse_cce(X, Y, k, n_iter, rng):
    """Algorithm 2 of the paper: tables, assignments, k-means costs, re-solved excesses."""
    problem = Problem(X, Y)
    d1, half = problem.X.shape[1], k // 2
    tables, labels, costs, resolved = [np.zeros_like(problem.optimum)], [], [], []
    for i in range(n_iter):
        if i == 0:
            H = CountSketch(d1, k, rng).to_sparse().toarray()
        else:
            A = dense_matrix(labels[-1], np.ones(d1), half)
            H = np.hstack([A, CountSketch(d1, half, rng).to_sparse().toarray()])
        tables.append(problem.fit(H))
        clustering = kmeans(tables[-1], half, rng)
        labels.append(clustering.labels)
        costs.append(clustering_cost(tables[-1], clustering.labels))
        A = dense_matrix(clustering.labels, np.ones(d1), half)
        resolved.append(problem.excess(problem.fit(A)))
    return tables, labels, np.array(costs), np.array(resolved)
