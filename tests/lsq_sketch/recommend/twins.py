"""Plain NumPy twins of the recommenders' kernels."""

from __future__ import annotations

import numpy as np

from lsq_sketch.kernels import embedding as places


def hash_bucket(a, b, key, rows):
    """Multiply-shift in exact integers."""
    return ((((int(a) * int(key) + int(b)) % 2**64) >> 32) * rows) >> 32


def bucket(table, t, j):
    """Bucket of ID ``j`` under term ``t`` of a table."""
    term = table.terms[t]
    if term.kind == places.DIRECT:
        return (j // term.divisor) % term.rows
    if term.kind == places.HASHED:
        return hash_bucket(*table.coefficients[t], j, term.rows)
    return int(table.assignments[j, term.assignment])


def dense_map(table):
    """What maps the flattened codebook to the flattened table: (cardinality, dim, floats)."""
    H = np.zeros((table.cardinality, table.dim, table.codebook.value.size))
    for j in range(table.cardinality):
        for t, term in enumerate(table.terms):
            start = bucket(table, t, j) * term.stride
            for c in range(term.width):
                place = (start + c) % term.circle if term.circle else start + c
                H[j, term.column + c, term.start + place] += 1
    return H


def adam(values, gradients, rate, beta1, beta2, epsilon, decay):
    """Dense Adam in float64, step by step; gradients (steps, n)."""
    p, m, v = values.astype(float), np.zeros(len(values)), np.zeros(len(values))
    for t, g in enumerate(gradients, start=1):
        p = p * (1 - rate * decay)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        p = p - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    return p, m, v


def logistic_loss(scores, labels):
    return np.logaddexp(0, scores) - labels * scores


def spread_seeds(points, uniforms, n_clusters):
    """D^2 seeding with given uniforms."""
    points = points.astype(float)
    seeds = [int(uniforms[0] * len(points))]
    for k in range(1, n_clusters):
        closest = ((points[:, None] - points[seeds]) ** 2).sum(axis=2).min(axis=1)
        cumulative = np.cumsum(closest)
        if cumulative[-1] == 0:  # every point is a seed: the last one again
            seeds.append(seeds[-1])
            continue
        drawn = np.searchsorted(cumulative, uniforms[k] * cumulative[-1], side="right")
        seeds.append(min(int(drawn), len(points) - 1))
    return points[seeds]


def uniform_seeds(points, uniforms, n_clusters):
    """Points drawn without replacement with given uniforms, over again if there are too few."""
    order = list(range(len(points)))
    for k, uniform in enumerate(uniforms[: len(points)]):
        drawn = k + int(uniform * (len(points) - k))
        order[k], order[drawn] = order[drawn], order[k]
    return points[[order[k % len(points)] for k in range(n_clusters)]]


def cluster_chunk(first, second, labels, old_hash, new_hash, sample, centroids, rounds):
    """One chunk's clustering from given starting centroids: labels, centroids, mean residuals."""
    n, rows = len(labels), len(second)
    vectors = first[labels].astype(float)
    for j in range(n if rows else 0):
        vectors[j] += second[hash_bucket(*old_hash, j, rows)]
    centroids = centroids.astype(float).copy()
    for _ in range(rounds):
        nearest = ((vectors[sample][:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
        for k in range(len(centroids)):
            if (nearest == k).any():
                centroids[k] = vectors[sample][nearest == k].mean(axis=0)
    found = ((vectors[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
    means = np.zeros(second.shape)
    buckets = np.array([hash_bucket(*new_hash, j, rows) if rows else 0 for j in range(n)])
    for b in range(rows):
        if (buckets == b).any():
            means[b] = (vectors - centroids[found])[buckets == b].mean(axis=0)
    return found, centroids, means
