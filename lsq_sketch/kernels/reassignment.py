"""Moving IDs to the codewords of least loss: rows sorted by ID, one chunk of columns at a time.

The rows of an ID stand together; ``bounds`` (IDs + 1) tells where. A row has its score, its label
and the derivative of its score by the ID's vector, ``slopes`` (rows, dim). In the models where
the score is linear in that vector, all here is exact; elsewhere scores are linearised.
"""

import numpy as np
from numba import njit

from .embedding import gather, locate
from .factorization import SQUARED, dot, exponential, log_one_plus

GAUSS_NEWTON, MAJORIZER = 0, 1

FACTORS_A_LOGARITHM = 512
"""Factors up to 2 whose product does not overflow."""

ROWS_A_BLOCK = 256
"""Rows whose two vectors stay in the cache."""


@njit(cache=True, nogil=True)
def sort_by_id(ids, cardinality):
    """Rows in the order of their IDs, ties in their own order; and where each ID's rows begin."""
    starts = np.zeros(cardinality + 1, np.int64)
    for i in range(ids.size):
        starts[ids[i] + 1] += 1
    for j in range(cardinality):
        starts[j + 1] += starts[j]
    order = np.empty(ids.size, np.int64)
    place = starts[:-1].copy()
    for i in range(ids.size):
        order[place[ids[i]]] = i
        place[ids[i]] += 1
    return order, starts


@njit(cache=True, nogil=True)
def pair_slopes(
    ids, field, dim, intercept, terms, coefficients, assignments, values, scores, slopes
):  # fmt: skip
    """Scores of rows of a two-field model, and their derivatives by the vectors of one field.

    ``slopes`` (rows, columns) become the vectors of the other field, and 1 in columns of biases.
    """
    columns = slopes.shape[1]
    offsets = np.empty((terms.shape[0], ROWS_A_BLOCK), np.int64)
    vectors = np.empty((ROWS_A_BLOCK, 2, columns), np.float32)
    for start in range(0, ids.shape[0], ROWS_A_BLOCK):
        stop = min(ids.shape[0], start + ROWS_A_BLOCK)
        locate(ids, start, stop, terms, coefficients, assignments, offsets)
        vectors[:] = np.float32(0)
        gather(values, offsets, terms, stop - start, vectors)
        for i in range(start, stop):
            own, other = vectors[i - start, field], vectors[i - start, 1 - field]
            score = dot(own, other, dim)
            out = slopes[i]
            for c in range(dim):
                out[c] = other[c]
            for c in range(dim, columns):
                score += own[c] + other[c]
                out[c] = np.float32(1)
            scores[i] = score + intercept


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _logistic_sums(slopes, base, labels, first, codewords, scores, products, sums):
    """Cross-entropy of an ID's rows for every codeword, summed into ``sums`` (K,).

    ``codewords`` is transposed, (width, K); ``scores`` and ``products`` are scratch (K,).
    Logarithms of ``1 + exp(-|z|)`` are taken of the product over rows.
    """
    width, n_codewords = codewords.shape
    products[:] = 1.0
    sums[:] = 0.0
    for i in range(base.size):
        scores[:] = base[i]
        for c in range(width):
            slope, row = slopes[i, first + c], codewords[c]
            for k in range(n_codewords):
                scores[k] += slope * row[k]
        label = np.float64(labels[i])
        for k in range(n_codewords):
            z = np.float64(scores[k])
            products[k] *= 1.0 + exponential(-min(abs(z), 700.0))
            sums[k] += max(z, 0.0) - z * label
        if i % FACTORS_A_LOGARITHM == FACTORS_A_LOGARITHM - 1:
            for k in range(n_codewords):
                sums[k] += np.log(products[k])
                products[k] = 1.0
    for k in range(n_codewords):
        sums[k] += np.log(products[k])


@njit(cache=True, nogil=True, fastmath={"contract"})
def _squared_sums(slopes, base, labels, first, codewords, scores, sums):
    """Squared error of an ID's rows for every codeword, summed into ``sums`` (K,)."""
    width, n_codewords = codewords.shape
    sums[:] = 0.0
    for i in range(base.size):
        scores[:] = base[i] - labels[i]
        for c in range(width):
            slope, row = slopes[i, first + c], codewords[c]
            for k in range(n_codewords):
                scores[k] += slope * row[k]
        for k in range(n_codewords):
            sums[k] += np.float64(scores[k]) * np.float64(scores[k])


@njit(cache=True, nogil=True)
def move_exactly(
    slopes, scores, labels, bounds, weights, loss, chunk, codewords, penalties, margin, assigned,
):  # fmt: skip
    """Move each ID's chunk to the codeword of least loss on the ID's rows, every one tried.

    Parameters
    ----------
    slopes : (rows, dim), scores : (rows,), labels : (rows,)
        Scores are brought up to date with the moves.
    bounds : (ids + 1,), weights : (ids,)
        Rows of each ID; how many rows each of them stands for.
    codewords : (K, width), penalties : (K,)
        Of the chunk; added to an ID's summed loss.
    margin : float
        A move must lower the sum by more than this.
    assigned : (ids,)
        Codewords of the IDs in this chunk, changed in place. IDs without rows stay.
    """
    n_codewords, width = codewords.shape
    first = chunk * width
    columns = codewords.T.copy()
    trial = np.empty(n_codewords, np.float32)
    products, sums = np.empty(n_codewords), np.empty(n_codewords)
    for j in range(assigned.size):
        start, stop = bounds[j], bounds[j + 1]
        if start == stop:
            continue
        old = np.int64(assigned[j])
        base = scores[start:stop]
        for i in range(start, stop):
            base[i - start] -= dot(slopes[i, first : first + width], codewords[old], width)
        own, y = slopes[start:stop], labels[start:stop]
        if loss == SQUARED:
            _squared_sums(own, base, y, first, columns, trial, sums)
        else:
            _logistic_sums(own, base, y, first, columns, trial, products, sums)
        for k in range(n_codewords):
            sums[k] = weights[j] * sums[k] + penalties[k]
        best, least = old, sums[old] - margin
        for k in range(n_codewords):
            if sums[k] < least:
                best, least = np.int64(k), sums[k]
        assigned[j] = best
        for i in range(start, stop):
            base[i - start] += dot(slopes[i, first : first + width], codewords[best], width)


@njit(cache=True, nogil=True, error_model="numpy")
def parabolas(loss, curvature, scores, labels, firsts, seconds):
    """Derivative of each row's loss by its score, and the curvature of a parabola for it.

    Gauss-Newton: the second derivative. Majorizer: the least curvature of a parabola that touches
    the loss there and lies above it everywhere (Jaakkola and Jordan 2000; de Leeuw and Lange
    2009). Both are exact for squared loss.
    """
    for i in range(scores.size):
        if loss == SQUARED:
            firsts[i] = np.float32(2) * (scores[i] - labels[i])
            seconds[i] = np.float32(2)
            continue
        z = np.float64(scores[i])
        e = exponential(-min(abs(z), 700.0))
        sigmoid = (1.0 if z >= 0.0 else e) / (1.0 + e)
        firsts[i] = np.float32(sigmoid - labels[i])
        if curvature == GAUSS_NEWTON:
            seconds[i] = np.float32(sigmoid * (1.0 - sigmoid))
        elif abs(z) < 1e-4:
            seconds[i] = np.float32(0.25)
        else:
            seconds[i] = np.float32((sigmoid - 0.5) / z)


@njit(cache=True, nogil=True)
def expand_codewords(codewords, penalties, expanded):
    """What a codeword is multiplied by in a parabola: products of its entries, entries, penalty.

    ``expanded`` is (features, K); `expand_ids` gives the other factor.
    """
    n_codewords, width = codewords.shape
    for k in range(n_codewords):
        f = 0
        for a in range(width):
            for b in range(a + 1):
                expanded[f, k] = codewords[k, a] * codewords[k, b]
                f += 1
        for a in range(width):
            expanded[f, k] = codewords[k, a]
            f += 1
        expanded[f, k] = penalties[k]


@njit(cache=True, nogil=True, fastmath={"contract"})
def expand_ids(slopes, firsts, seconds, bounds, weights, damping, chunk, codewords, assigned, out):
    """Coefficients of each ID's parabola in the codeword, (ids, features), a constant left out.

    The summed loss of the ID's rows to second order around where it is: with gradient ``g`` and
    curvature ``H`` in the chunk's columns, ``(g - H m)'c + c'Hc / 2`` for codeword ``c``, ``m``
    the present one. ``damping`` multiplies ``H``.
    """
    width = codewords.shape[1]
    first = chunk * width
    H = np.empty((width, width), np.float32)
    flat = H.reshape(-1)
    kept = np.empty(width * (width + 1) // 2, np.int64)
    f = 0
    for a in range(width):
        for b in range(a + 1):
            kept[f] = a * width + b
            f += 1
    g = np.empty(width, np.float32)
    for j in range(assigned.size):
        H[:] = np.float32(0)
        g[:] = np.float32(0)
        for i in range(bounds[j], bounds[j + 1]):
            row = slopes[i, first : first + width]
            slope, second = firsts[i], seconds[i]
            for a in range(width):
                g[a] += slope * row[a]
                scaled, into = second * row[a], H[a]
                for b in range(width):
                    into[b] += scaled * row[b]
        weight = np.float32(weights[j])
        damped = np.float32(weights[j] * damping)
        present = codewords[assigned[j]]
        linear = out[j, kept.size :]
        for a in range(width):
            linear[a] = weight * g[a]
        for b in range(width):  # H is symmetric: by rows, not one long sum for each entry
            step, along = damped * present[b], H[b]
            for a in range(width):
                linear[a] -= step * along[a]
        for a in range(width):
            H[a, a] *= np.float32(0.5)
        for f in range(kept.size):
            out[j, f] = damped * flat[kept[f]]
        out[j, kept.size + width] = np.float32(1)


@njit(cache=True, nogil=True, error_model="numpy")
def _row_losses(loss, scores, labels, losses):
    """Loss of each row: one after the other without a sum, which is vector code."""
    if loss == SQUARED:
        for i in range(scores.size):
            error = np.float64(scores[i]) - np.float64(labels[i])
            losses[i] = error * error
        return
    for i in range(scores.size):
        z = np.float64(scores[i])
        e = exponential(-min(abs(z), 700.0))
        losses[i] = max(z, 0.0) - z * np.float64(labels[i]) + log_one_plus(e)


@njit(cache=True, nogil=True)
def summed_losses(loss, scores, labels, bounds, sums):
    """Summed loss of each ID's rows."""
    losses = np.empty(scores.size)
    _row_losses(loss, scores, labels, losses)
    for j in range(sums.size):
        sums[j] = 0.0
        for i in range(bounds[j], bounds[j + 1]):
            sums[j] += losses[i]


@njit(cache=True, nogil=True)
def move_to_least(
    costs, slopes, labels, bounds, weights, loss, curvature, chunk, codewords, penalties, margin,
    assigned, scores, firsts, seconds, sums,
):  # fmt: skip
    """Move each ID with rows to its column of least cost; scores and derivatives follow.

    Costs are of parabolas: a move that does not lower the loss itself, by more than ``margin``,
    is not made. ``sums`` are the summed losses of IDs (`summed_losses`), which follow too.
    """
    n_codewords, width = codewords.shape
    first = chunk * width
    most = np.max(np.diff(bounds))
    moved, losses = np.empty(most, np.float32), np.empty(most)
    step = np.empty(width, np.float32)
    for j in range(assigned.size):
        start, stop = bounds[j], bounds[j + 1]
        if start == stop:
            continue
        old = np.int64(assigned[j])
        cost = costs[j]
        least = cost[0]
        for k in range(n_codewords):
            least = min(least, cost[k])
        if not least < cost[old] - np.float32(margin):
            continue
        best = 0
        while cost[best] > least:
            best += 1
        for c in range(width):
            step[c] = codewords[best, c] - codewords[old, c]
        for i in range(start, stop):
            moved[i - start] = scores[i] + dot(slopes[i, first : first + width], step, width)
        count = stop - start
        _row_losses(loss, moved[:count], labels[start:stop], losses)
        after = 0.0
        for i in range(count):
            after += losses[i]
        if weights[j] * (after - sums[j]) + penalties[best] - penalties[old] >= -margin:
            continue
        assigned[j] = best
        sums[j] = after
        own = scores[start:stop]
        own[:] = moved[:count]
        parabolas(loss, curvature, own, labels[start:stop], firsts[start:stop], seconds[start:stop])
