"""Two-field models (matrix factorisation, GMF): a block of batches in one compiled call."""

import numpy as np
from numba import njit

from .embedding import (
    CIRCLE,
    COLUMN,
    FIELD,
    GRADIENT_START,
    ROW_BLOCK,
    WIDTH,
    gather_rows,
    locate,
)
from .optimizers import apply_step, touch
from .slices import add_to_slices

SQUARED, LOGISTIC = 0, 1

INVERSE_LN2 = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""ln 2 in two parts: a multiple of the first by an integer up to 2^20 is exact."""

POWERS = 2.0 ** -np.arange(1024.0)
SINGLE_POWERS = POWERS[:127].astype(np.float32)


@njit(cache=True, nogil=True, forceinline=True, fastmath={"reassoc", "contract"})
def dot(a, b, n):
    """Inner product of the first ``n`` entries, in an order that only the compiler chooses."""
    total = np.float32(0)
    for c in range(n):
        total += a[c] * b[c]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(x):
    """``exp(x)`` for ``-700 <= x <= 0``, to a few units in the last place, as vector code.

    ``x = -k ln 2 + r`` with ``|r| <= ln(2) / 2``: a table of powers of two, and Taylor's series.
    """
    k = np.rint(-x * INVERSE_LN2)
    r = (x + k * LN2_HIGH) + k * LN2_LOW
    series = 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    series = series * r + 1.0
    series = series * r + 1.0
    return series * POWERS[int(k)]


@njit(cache=True, nogil=True, error_model="numpy")
def log_one_plus(e):
    """``log(1 + e)`` for ``0 <= e <= 1``, to 1e-13, as vector code: twice an area tangent."""
    s = e / (2.0 + e)
    q = s * s
    series = 1.0 / 25.0
    series = series * q + 1.0 / 23.0
    series = series * q + 1.0 / 21.0
    series = series * q + 1.0 / 19.0
    series = series * q + 1.0 / 17.0
    series = series * q + 1.0 / 15.0
    series = series * q + 1.0 / 13.0
    series = series * q + 1.0 / 11.0
    series = series * q + 1.0 / 9.0
    series = series * q + 1.0 / 7.0
    series = series * q + 1.0 / 5.0
    series = series * q + 1.0 / 3.0
    series = series * q + 1.0
    return 2.0 * s * series


@njit(cache=True, nogil=True, error_model="numpy")
def exponential_single(x):
    """``exp(x)`` for ``-87 <= x <= 0`` in float32, to a few units in the last place."""
    k = np.rint(-x * np.float32(INVERSE_LN2))
    r = (x + k * np.float32(0.693359375)) + k * np.float32(-2.12194440e-4)
    series = np.float32(1.0 / 5040.0)
    series = series * r + np.float32(1.0 / 720.0)
    series = series * r + np.float32(1.0 / 120.0)
    series = series * r + np.float32(1.0 / 24.0)
    series = series * r + np.float32(1.0 / 6.0)
    series = series * r + np.float32(0.5)
    series = series * r + np.float32(1.0)
    series = series * r + np.float32(1.0)
    return series * SINGLE_POWERS[np.int32(k)]


@njit(cache=True, nogil=True, error_model="numpy")
def log_one_plus_single(e):
    """``log(1 + e)`` for ``0 <= e <= 1`` in float32, to a few units in the last place."""
    s = e / (np.float32(2.0) + e)
    q = s * s
    series = np.float32(1.0 / 13.0)
    series = series * q + np.float32(1.0 / 11.0)
    series = series * q + np.float32(1.0 / 9.0)
    series = series * q + np.float32(1.0 / 7.0)
    series = series * q + np.float32(1.0 / 5.0)
    series = series * q + np.float32(1.0 / 3.0)
    series = series * q + np.float32(1.0)
    return np.float32(2.0) * s * series


@njit(cache=True, nogil=True, error_model="numpy")
def logistic_losses(scores, labels, losses, slopes):
    """Cross-entropy of each score (log-odds), and its derivative."""
    for i in range(scores.size):
        z = np.float64(scores[i])
        e = exponential(-min(abs(z), 700.0))
        sigmoid = (1.0 if z >= 0.0 else e) / (1.0 + e)
        losses[i] = max(z, 0.0) - z * labels[i] + log_one_plus(e)
        slopes[i] = sigmoid - labels[i]


@njit(cache=True, nogil=True)
def squared_losses(scores, labels, losses, slopes):
    """Squared error of each score, and its derivative."""
    for i in range(scores.size):
        error = np.float64(scores[i]) - labels[i]
        losses[i] = error * error
        slopes[i] = 2.0 * error


@njit(cache=True, nogil=True)
def row_losses(loss, scores, labels, losses, slopes):
    """Loss of each score by its kind, and its derivative."""
    if loss == SQUARED:
        squared_losses(scores, labels, losses, slopes)
    else:
        logistic_losses(scores, labels, losses, slopes)


@njit(cache=True, nogil=True, error_model="numpy")
def batch_loss(loss, scores, labels, slopes):
    """Sum of the losses of a batch; ``slopes`` become the derivatives of its mean."""
    n = labels.size
    losses = np.empty(n)
    exact = np.empty(n)
    row_losses(loss, scores, labels, losses, exact)
    total = 0.0
    for i in range(n):
        total += losses[i]
        slopes[i] = np.float32(exact[i] / n)
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
def pair_scores(users, items, dim, intercept, scores):
    """As `product_scores`, of vectors of users and of items."""
    for i in range(scores.size):
        a, b = users[i], items[i]
        score = dot(a, b, dim)
        for c in range(dim, a.size):
            score += a[c] + b[c]
        scores[i] = score + intercept


@njit(cache=True, nogil=True)
def pair_gradient(others, dim, slopes, gradient):
    """Gradient by one vector of each pair: the other, and 1 for a bias, times the slope."""
    for i in range(slopes.size):
        slope, source, target = slopes[i], others[i], gradient[i]
        for c in range(dim):
            target[c] = slope * source[c]
        for c in range(dim, target.size):
            target[c] = slope


@njit(cache=True, nogil=True)
def scatter_products(gradient, offsets, terms, start, stop, dim, vectors, slopes):
    """Send the gradient of each row's score, times its slope, to the slices of its two vectors.

    The gradient by one vector is the other; that by a bias is 1. ``vectors`` begins with row
    ``start``, offsets and slopes with row 0.
    """
    for t in range(terms.shape[0]):
        width, column, field = terms[t, WIDTH], terms[t, COLUMN], terms[t, FIELD]
        if column >= dim:
            for i in range(start, stop):
                gradient[offsets[t, i]] += slopes[i]
            continue
        first, circle = terms[t, GRADIENT_START], terms[t, CIRCLE]
        add_to_slices(
            gradient, offsets, t, slopes, start, stop, vectors, 1 - field, column, width, first,
            circle,
        )  # fmt: skip


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
    vectors = np.empty((ROW_BLOCK, 2, columns), np.float32)  # of few rows, to stay in the cache
    scores = np.empty(batch, np.float32)
    slopes = np.empty(batch, np.float32)
    losses = np.empty(batch)
    exact = np.empty(batch)
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
        constant = values[intercept] if intercept >= 0 else np.float32(0)
        for start in range(0, n, ROW_BLOCK):
            stop = min(n, start + ROW_BLOCK)
            rows = vectors[: stop - start]
            rows[:] = np.float32(0)
            gather_rows(values, offsets, terms, start, stop, rows)
            product_scores(rows, stop - start, dim, constant, scores[start:stop])
            row_losses(
                loss, scores[start:stop], labels[begin + start : begin + stop],
                losses[start:stop], exact[start:stop],
            )  # fmt: skip
            for i in range(start, stop):
                slopes[i] = np.float32(exact[i] / n)
            scatter_products(gradient, gradient_offsets, terms, start, stop, dim, rows, slopes)
        batch_total = 0.0
        for i in range(n):
            batch_total += losses[i]
        total += batch_total
        if intercept >= 0:
            for i in range(n):
                gradient[intercept_gradient] += slopes[i]
        apply_step(
            kind, hyper, step + now, segments, values, gradient, first, second, touched, count
        )
    return total
