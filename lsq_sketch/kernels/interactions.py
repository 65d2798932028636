"""Pairwise inner products of the vectors of a row, and the way back."""

import numpy as np
from numba import njit

from .factorization import dot
from .products import add_product


@njit(cache=True, nogil=True)
def pairwise_products(vectors, products):
    """Inner products of all pairs of vectors, (n, V, d) to (n, V (V - 1) / 2), row-major pairs."""
    n, count, d = vectors.shape
    for i in range(n):
        p = 0
        for a in range(count):
            for b in range(a):
                products[i, p] = dot(vectors[i, a], vectors[i, b], d)
                p += 1


@njit(cache=True, nogil=True)
def pairwise_gradients(vectors, slopes, gradients):
    """Add the gradient by the vectors to ``gradients``, given that by the products."""
    n, count, _ = vectors.shape
    between = np.zeros((count, count), np.float32)
    for i in range(n):
        p = 0
        for a in range(count):
            for b in range(a):
                between[a, b] = between[b, a] = slopes[i, p]
                p += 1
        add_product(between, vectors[i], gradients[i])


@njit(cache=True, nogil=True)
def one_vectors_gradients(vectors, slopes, which, gradients):
    """Like `pairwise_gradients`, for one of the vectors alone: added to ``gradients`` (n, d)."""
    n, count, d = vectors.shape
    for i in range(n):
        out = gradients[i]
        for other in range(count):
            if other == which:
                continue
            later = max(which, other)
            slope = slopes[i, later * (later - 1) // 2 + min(which, other)]
            vector = vectors[i, other]
            for c in range(d):
                out[c] += slope * vector[c]
