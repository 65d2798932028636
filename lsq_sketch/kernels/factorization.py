"""Two-field models (matrix factorisation, GMF): a block of batches in one compiled call."""

import math

import numpy as np
from numba import njit

from .embedding import gather, locate, scatter
from .optimizers import apply_step, touch

SQUARED, LOGISTIC = 0, 1


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def dot(a, b, n):
    """Inner product of the first ``n`` entries, in an order that only the compiler chooses."""
    total = np.float32(0)
    for c in range(n):
        total += a[c] * b[c]
    return total


@njit(cache=True, nogil=True)
def loss_and_slope(loss, score, label):
    """Loss of one row (float64) and its derivative by the score."""
    if loss == SQUARED:
        error = np.float64(score) - label
        return error * error, 2.0 * error
    z = np.float64(score)
    e = math.exp(-abs(z))
    value = max(z, 0.0) - z * label + math.log1p(e)
    sigmoid = 1.0 / (1.0 + e) if z >= 0 else e / (1.0 + e)
    return value, sigmoid - label


@njit(cache=True, nogil=True)
def batch_loss(loss, scores, labels, slopes):
    """Sum of the losses of a batch; ``slopes`` become the derivatives of its mean."""
    total = 0.0
    n = labels.size
    for i in range(n):
        value, slope = loss_and_slope(loss, scores[i], np.float64(labels[i]))
        total += value
        slopes[i] = np.float32(slope / n)
    return total


@njit(cache=True, nogil=True)
def product_scores(vectors, n, dim, intercept, scores):
    """Score of each of ``n`` rows: inner product of its two vectors, plus biases if any.

    Columns of ``vectors`` (n, 2, columns) from ``dim`` on are biases.
    """
    for i in range(n):
        a = vectors[i, 0]
        b = vectors[i, 1]
        score = dot(a, b, dim)
        for c in range(dim, a.size):
            score += a[c] + b[c]
        scores[i] = score + intercept


@njit(cache=True, nogil=True)
def product_gradients(vectors, n, dim, slopes):
    """Turn the vectors into the gradients by them, in place."""
    for i in range(n):
        a = vectors[i, 0]
        b = vectors[i, 1]
        slope = slopes[i]
        for c in range(dim):
            x = a[c]
            a[c] = slope * b[c]
            b[c] = slope * x
        for c in range(dim, a.size):
            a[c] = slope
            b[c] = slope


@njit(cache=True, nogil=True)
def train_batches(
    ids, labels, batch, loss, dim, columns, intercept, intercept_gradient,
    terms, coefficients, assignments, values, gradient, gradient_start,
    segments, kind, hyper, step, idle, first, second, last, slots,
    offsets, gradient_offsets, touched,
):  # fmt: skip
    """One step of the optimiser for each batch of the rows; returns the sum of their losses.

    A row's loss is that before its batch's step. ``columns`` is ``dim``, or ``dim + 1`` with
    biases; ``intercept`` is where the global one lies, or -1.
    """
    vectors = np.empty((batch, 2, columns), np.float32)
    scores = np.empty(batch, np.float32)
    slopes = np.empty(batch, np.float32)
    total = 0.0
    for done in range((labels.size + batch - 1) // batch):
        begin = done * batch
        n = min(labels.size - begin, batch)
        now = done + 1
        locate(ids, begin, begin + n, terms, coefficients, assignments, offsets)
        count = touch(
            terms, n, now, kind, hyper, idle, values, first, second, gradient_start,
            offsets, gradient_offsets, last, slots, touched,
        )  # fmt: skip
        vectors[:n] = np.float32(0)
        gather(values, offsets, terms, n, vectors)
        constant = values[intercept] if intercept >= 0 else np.float32(0)
        product_scores(vectors, n, dim, constant, scores)
        total += batch_loss(loss, scores[:n], labels[begin : begin + n], slopes[:n])
        if intercept >= 0:
            for i in range(n):
                gradient[intercept_gradient] += slopes[i]
        product_gradients(vectors, n, dim, slopes)
        scatter(gradient, gradient_offsets, terms, n, vectors)
        apply_step(
            kind, hyper, step + now, segments, values, gradient, first, second, touched, count
        )
    return total
