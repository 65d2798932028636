"""Pairwise inner products of the vectors of a row, and the way back."""

import numpy as np
from numba import njit

from .factorization import dot


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
    n, count, d = vectors.shape
    for i in range(n):
        p = 0
        for a in range(count):
            for b in range(a):
                slope = slopes[i, p]
                x, y = vectors[i, a], vectors[i, b]
                gx, gy = gradients[i, a], gradients[i, b]
                for c in range(d):
                    gx[c] += slope * y[c]
                    gy[c] += slope * x[c]
                p += 1


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


@njit(cache=True, nogil=True)
def rectify(values, bias):
    """Add a bias to each row and keep the positive part, in place."""
    zero = np.float32(0)
    for i in range(values.shape[0]):
        row = values[i]
        for c in range(bias.size):
            row[c] = max(row[c] + bias[c], zero)


@njit(cache=True, nogil=True)
def rectify_gradient(outputs, gradients):
    """Zero the gradients where the positive part was zero, in place."""
    zero = np.float32(0)
    for i in range(outputs.shape[0]):
        out, gradient = outputs[i], gradients[i]
        for c in range(out.size):
            value = gradient[c]  # read in any case: LLVM does not vectorise reads under a condition
            gradient[c] = value if out[c] > zero else zero
