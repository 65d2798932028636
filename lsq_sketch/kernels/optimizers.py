"""Steps of the optimisers, and rows that are stepped only when they are read.

Parameters lie in one flat array, cut into *segments* (rows of an int64 matrix, columns named
below), each of rows of equal width. A segment is either stepped as a whole each batch, or row by
row: then a row's gradient lives in a compact buffer, and steps in which it had no gradient are
made up for when it is next read (`touch`) or at the end of a block (`settle`).

Functions of one slice are inlined by Numba: a call with slices costs more than the slice. The
division is NumPy's, which does not raise, so that loops become vector code.
"""

import numpy as np
from numba import njit

from .embedding import FIRST_ROW, GRADIENT_START, START, STRIDE, WIDTH

(
    SEGMENT_START,  # in the flat array
    SEGMENT_STOP,
    SEGMENT_GRADIENT,  # where its gradient begins (dense step)
    SEGMENT_WIDTH,  # floats in a row
    SEGMENT_ROW,  # number of its first row among all rows
    SEGMENT_LAZY,  # 1: stepped row by row
) = range(6)
SEGMENT_COLUMNS = 6

SGD, ADAGRAD, ADAM = 0, 1, 2

RATE, BETA1, BETA2, EPSILON, DECAY = range(5)
"""Hyperparameters (float64): learning rate, Adam's decays, epsilon, decoupled weight decay."""

ROW, VALUE, GRADIENT, SIZE, DONE = range(5)
"""Of each touched row: number, where value and gradient begin, width, batch it was up to date."""
TOUCHED_COLUMNS = 5


@njit(inline="always")
def adam_slice(values, gradient, first, second, rate, scale, b1, b2, epsilon, keep):
    """One step of Adam; the gradient is zeroed. ``scale = 1 / sqrt(1 - b2^t)``."""
    c1 = np.float32(1) - b1
    c2 = np.float32(1) - b2
    for c in range(values.size):
        g = gradient[c]
        m = b1 * first[c] + c1 * g
        v = b2 * second[c] + c2 * g * g
        first[c] = m
        second[c] = v
        values[c] = keep * values[c] - rate * m / (np.sqrt(v) * scale + epsilon)
        gradient[c] = np.float32(0)


@njit(inline="always")
def idle_slice(values, first, second, rate, epsilon, keep, decay1, decay2):
    """Several steps of Adam without gradient at once (see `idle_table`)."""
    for c in range(values.size):
        m = first[c]
        v = second[c]
        # where the second moment is zero so is the first, and nothing moves
        values[c] = keep * values[c] - rate * m / (np.sqrt(v) + epsilon)
        first[c] = decay1 * m
        second[c] = decay2 * v


@njit(inline="always")
def sgd_slice(values, gradient, rate):
    """One step of gradient descent; the gradient is zeroed."""
    for c in range(values.size):
        values[c] -= rate * gradient[c]
        gradient[c] = np.float32(0)


@njit(inline="always")
def adagrad_slice(values, gradient, sums, row, rate, epsilon):
    """One step of row-wise Adagrad: ``sums[row]`` adds up mean squares of the row's gradients."""
    total = np.float32(0)
    for c in range(values.size):
        total += gradient[c] * gradient[c]
    sums[row] += total / np.float32(values.size)
    step = rate / (np.sqrt(sums[row]) + epsilon)
    for c in range(values.size):
        values[c] -= step * gradient[c]
        gradient[c] = np.float32(0)


@njit(cache=True, nogil=True)
def idle_table(hyper, step, n, table):
    """What ``k <= n`` steps of Adam without gradient do, after ``step + i`` steps.

    Without gradient step ``s`` moves a parameter by ``rate B(s) r^j m / (sqrt(v) + ...)``, ``j``
    steps after the last gradient, with ``B(s) = sqrt(1 - b2^s) / (1 - b1^s)`` and ``r = b1 /
    (sqrt(b2) keep)``: a sum of geometric kind, ``G(s) = B(s) + r G(s + 1)``.
    ``table[:, i]``: G(step + i), r^i, b1^i, b2^i, keep^i, and sqrt(1 - b2^(step + i)).
    """
    b1, b2 = hyper[BETA1], hyper[BETA2]
    keep = 1.0 - hyper[RATE] * hyper[DECAY]
    r = b1 / (np.sqrt(b2) * keep)
    horizon = 40
    if r > 0.0:
        horizon = int(np.ceil(np.log(1e-12) / np.log(r))) + 1
    total = 0.0
    for s in range(step + n + horizon, step + n + 1, -1):
        total = np.sqrt(1.0 - b2**s) / (1.0 - b1**s) + r * total
    for i in range(n + 1, -1, -1):
        s = step + i
        if s > 0:
            total = np.sqrt(1.0 - b2**s) / (1.0 - b1**s) + r * total
        table[0, i] = total
        table[1, i] = r**i
        table[2, i] = b1**i
        table[3, i] = b2**i
        table[4, i] = keep**i
        table[5, i] = np.sqrt(1.0 - b2**s)


@njit(inline="always")
def catch_up(values, first, second, start, width, done, missed, hyper, idle):
    """Make up for ``missed`` steps without gradient, after ``done`` steps of the block."""
    r = idle[1, 1]
    weight = idle[4, missed] * (
        r * idle[0, done + 1] - idle[1, missed] * r * idle[0, done + missed + 1]
    )
    idle_slice(
        values[start : start + width],
        first[start : start + width],
        second[start : start + width],
        np.float32(hyper[RATE] * weight),
        np.float32(hyper[EPSILON] * idle[5, done + 1]),
        np.float32(idle[4, missed]),
        np.float32(idle[2, missed]),
        np.float32(idle[3, missed]),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def touch(
    terms, n, now, kind, hyper, idle, values, first, second, gradient_start,
    offsets, gradient_offsets, last, slots, touched,
):  # fmt: skip
    """Where gradients of the located slices go; rows stepped one by one are brought up to date.

    ``now`` counts the batches of the block from 1; ``last[row]`` is the last batch the row is
    up to date with. ``gradient_start`` is where the compact buffer begins. Returns the number of
    rows in ``touched``, and the number of floats they use in the compact buffer.
    """
    count = 0
    end = gradient_start
    for t in range(terms.shape[0]):
        where = offsets[t]
        out = gradient_offsets[t]
        if terms[t, FIRST_ROW] < 0:
            shift = terms[t, GRADIENT_START] - terms[t, START]
            for i in range(n):
                out[i] = where[i] + shift
            continue
        start, stride, width = terms[t, START], terms[t, STRIDE], terms[t, WIDTH]
        first_row = terms[t, FIRST_ROW]
        for i in range(n):
            row = first_row + (where[i] - start) // stride
            if last[row] != now:
                touched[count, ROW] = row
                touched[count, VALUE] = where[i]
                touched[count, GRADIENT] = end
                touched[count, SIZE] = width
                touched[count, DONE] = last[row]
                last[row] = now
                slots[row] = end
                count += 1
                end += width
            out[i] = slots[row]
    if kind == ADAM:  # in a loop of its own, whose reads overlap
        for j in range(count):
            done = touched[j, DONE]
            missed = now - 1 - done
            if missed > 0:
                catch_up(
                    values, first, second, touched[j, VALUE], touched[j, SIZE], done, missed,
                    hyper, idle,
                )  # fmt: skip
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def apply_step(kind, hyper, step, segments, values, gradient, first, second, touched, count):
    """Step number ``step`` (from 1): segments as a whole, and the ``count`` touched rows."""
    rate = np.float32(hyper[RATE])
    epsilon = np.float32(hyper[EPSILON])
    b1, b2 = np.float32(hyper[BETA1]), np.float32(hyper[BETA2])
    keep = np.float32(1.0 - hyper[RATE] * hyper[DECAY])
    corrected = rate
    scale = np.float32(1)
    if kind == ADAM:
        corrected = np.float32(hyper[RATE] / (1.0 - hyper[BETA1] ** step))
        scale = np.float32(1.0 / np.sqrt(1.0 - hyper[BETA2] ** step))
    for s in range(segments.shape[0]):
        if segments[s, SEGMENT_LAZY] == 1:
            continue
        a, b = segments[s, SEGMENT_START], segments[s, SEGMENT_STOP]
        g = segments[s, SEGMENT_GRADIENT]
        if kind == ADAM:
            adam_slice(
                values[a:b], gradient[g : g + b - a], first[a:b], second[a:b],
                corrected, scale, b1, b2, epsilon, keep,
            )  # fmt: skip
        elif kind == ADAGRAD:
            width = segments[s, SEGMENT_WIDTH]
            for row in range((b - a) // width):
                p = a + row * width
                q = g + row * width
                adagrad_slice(
                    values[p : p + width], gradient[q : q + width],
                    first, segments[s, SEGMENT_ROW] + row, rate, epsilon,
                )  # fmt: skip
        else:
            sgd_slice(values[a:b], gradient[g : g + b - a], rate)
    for j in range(count):
        width = touched[j, SIZE]
        p, q = touched[j, VALUE], touched[j, GRADIENT]
        if kind == ADAM:
            adam_slice(
                values[p : p + width], gradient[q : q + width],
                first[p : p + width], second[p : p + width],
                corrected, scale, b1, b2, epsilon, keep,
            )  # fmt: skip
        elif kind == ADAGRAD:
            adagrad_slice(
                values[p : p + width], gradient[q : q + width],
                first, touched[j, ROW], rate, epsilon,
            )  # fmt: skip
        else:
            sgd_slice(values[p : p + width], gradient[q : q + width], rate)


@njit(cache=True, nogil=True, error_model="numpy")
def settle(kind, hyper, idle, now, segments, values, first, second, last):
    """Bring every row up to date after ``now`` batches, and start a new block."""
    for s in range(segments.shape[0]):
        if segments[s, SEGMENT_LAZY] == 0:
            continue
        width = segments[s, SEGMENT_WIDTH]
        a = segments[s, SEGMENT_START]
        for j in range((segments[s, SEGMENT_STOP] - a) // width):
            row = segments[s, SEGMENT_ROW] + j
            missed = now - last[row]
            if kind == ADAM and missed > 0:
                catch_up(
                    values, first, second, a + j * width, width, last[row], missed, hyper, idle
                )
            last[row] = 0
