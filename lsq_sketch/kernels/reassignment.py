"""Moving IDs to the codewords of least loss: rows sorted by ID, one chunk of columns at a time.

The rows of an ID stand together; ``bounds`` (IDs + 1) tells where. A row has its score, its label
and the derivative of its score by the ID's vector, ``slopes`` (rows, dim). In the models where
the score is linear in that vector, all here is exact; elsewhere scores are linearised.
"""

import numpy as np
from numba import njit

from .argmin import first_least
from .embedding import FIELD, gather, locate
from .factorization import SQUARED, dot, exponential, exponential_single, log_one_plus_single
from .products import gram_and_sum, whole_blocks

GAUSS_NEWTON, MAJORIZER = 0, 1

FACTORS_A_LOGARITHM = 512
"""Factors up to 2 whose product does not overflow."""

ROWS_A_BLOCK = 512
"""Rows whose two vectors stay in the cache."""

SCRATCH = 7
"""Numbers kept of each row while IDs move."""


@njit(cache=True, nogil=True)
def sort_by_id(ids, starts, order):
    """Rows in the order of their IDs, ties in their own order; and where each ID's rows begin.

    Both halves of the rows are gone through at once: where one ID has many rows each waits for
    the one before.

    Parameters
    ----------
    ids : (n,)
        From 0 to ``m - 1``.
    starts : (m + 1,), order : (n,)
        Of integers, overwritten.
    """
    n, m = order.size, starts.size - 1
    half = n // 2
    places = np.zeros((2, m), order.dtype)
    for i in range(half):
        places[0, ids[i]] += 1
        places[1, ids[half + i]] += 1
    if 2 * half < n:
        places[1, ids[n - 1]] += 1
    begin = 0
    for j in range(m):
        starts[j] = begin
        middle = begin + places[0, j]
        end = middle + places[1, j]
        places[0, j], places[1, j] = begin, middle
        begin = end
    starts[m] = begin
    for i in range(half):
        for part, row in ((0, i), (1, half + i)):
            place = places[part, ids[row]]
            order[place] = row
            places[part, ids[row]] = place + 1
    if 2 * half < n:
        order[places[1, ids[n - 1]]] = n - 1


@njit(cache=True, nogil=True)
def pair_slopes(
    ids, field, dim, intercept, terms, coefficients, assignments, values, scores, slopes
):  # fmt: skip
    """Scores of rows of a two-field model, and their derivatives by the vectors of one field.

    ``slopes`` (rows, columns) become the vectors of the other field, and 1 in columns of biases.
    Where consecutive rows have the same ID in ``field``, its vector is read once.
    """
    columns = slopes.shape[1]
    own_terms, own_coefficients = _terms_of(field, terms, coefficients)
    other_terms, other_coefficients = _terms_of(1 - field, terms, coefficients)
    offsets = np.empty((terms.shape[0], ROWS_A_BLOCK), np.int64)
    own_ids = np.empty((ROWS_A_BLOCK, 1), ids.dtype)
    other_ids = np.empty((ROWS_A_BLOCK, 1), ids.dtype)
    own = np.empty((ROWS_A_BLOCK, 1, columns), np.float32)
    others = slopes.reshape(slopes.shape[0], 1, columns)
    place = np.empty(ROWS_A_BLOCK, np.int64)
    slopes[:] = np.float32(0)
    for start in range(0, ids.shape[0], ROWS_A_BLOCK):
        n = min(ids.shape[0] - start, ROWS_A_BLOCK)
        distinct = 0
        for i in range(n):
            own_id = ids[start + i, field]
            if i == 0 or own_id != own_ids[distinct - 1, 0]:
                own_ids[distinct, 0] = own_id
                distinct += 1
            place[i] = distinct - 1
            other_ids[i, 0] = ids[start + i, 1 - field]
        own[:distinct] = np.float32(0)
        locate(own_ids, 0, distinct, own_terms, own_coefficients, assignments, offsets)
        gather(values, offsets, own_terms, distinct, own)
        locate(other_ids, 0, n, other_terms, other_coefficients, assignments, offsets)
        gather(values, offsets, other_terms, n, others[start : start + n])
        for i in range(n):
            a, b = own[place[i], 0], slopes[start + i]
            score = dot(a, b, dim)
            for c in range(dim, columns):
                score += a[c] + b[c]
                b[c] = np.float32(1)
            scores[start + i] = score + intercept


@njit(cache=True, nogil=True)
def _terms_of(field, terms, coefficients):
    """Terms of one field, for IDs and vectors of this field alone."""
    chosen = np.flatnonzero(terms[:, FIELD] == field)
    own, own_coefficients = terms[chosen], coefficients[chosen]
    own[:, FIELD] = 0
    return own, own_coefficients


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
def parabolas(loss, curvature, scores, labels, losses, firsts, seconds):
    """Loss of each row, its derivative by the score, and the curvature of a parabola for it.

    Gauss-Newton: the second derivative. Majorizer: the least curvature of a parabola that touches
    the loss there and lies above it everywhere (Jaakkola and Jordan 2000; de Leeuw and Lange
    2009). Both are exact for squared loss. All in float32, as the scores are.
    """
    if loss == SQUARED:
        for i in range(scores.size):
            error = scores[i] - labels[i]
            losses[i] = error * error
            firsts[i] = np.float32(2) * error
            seconds[i] = np.float32(2)
        return
    one, zero = np.float32(1), np.float32(0)
    for i in range(scores.size):
        z = scores[i]
        e = exponential_single(-min(abs(z), np.float32(87)))
        inverse = one / (one + e)
        sigmoid = inverse if z >= zero else e * inverse
        losses[i] = max(z, zero) - z * labels[i] + log_one_plus_single(e)
        firsts[i] = sigmoid - labels[i]
        seconds[i] = e * inverse * inverse
    if curvature == MAJORIZER:
        for i in range(scores.size):
            z = scores[i]
            if abs(z) < np.float32(1e-3):
                seconds[i] = np.float32(0.25)
            else:
                seconds[i] = np.float32(0.5) * np.tanh(np.float32(0.5) * z) / z


@njit(cache=True, nogil=True)
def sum_by_id(losses, bounds, sums):
    """Summed loss of each ID's rows."""
    for j in range(sums.size):
        sums[j] = 0.0
        for i in range(bounds[j], bounds[j + 1]):
            sums[j] += np.float64(losses[i])


@njit(cache=True, nogil=True)
def expand_codewords(codewords, expanded):
    """What a codeword is multiplied by in a parabola: products of its entries, and its entries.

    ``expanded`` is (K, features); `expand_ids` gives the other factor.
    """
    width = codewords.shape[1]
    for k in range(codewords.shape[0]):
        codeword, out = codewords[k], expanded[k]
        f = 0
        for a in range(width):
            for b in range(a + 1):
                out[f] = codeword[a] * codeword[b]
                f += 1
        for a in range(width):
            out[f + a] = codeword[a]


@njit(cache=True, nogil=True, fastmath={"contract"})
def expand_ids(
    slopes, firsts, seconds, bounds, weights, damping, chunk, codewords, assigned, chosen, out,
    curvatures,
):  # fmt: skip
    """Coefficients of the ``chosen`` IDs' parabolas in the codeword, a constant left out.

    The summed loss of the ID's rows to second order around where it is: with gradient ``g`` and
    curvature ``H`` in the chunk's columns, ``(g - H m)'c + c'Hc / 2`` for codeword ``c``, ``m``
    the present one. ``damping`` multiplies ``H``. ``out`` is (chosen, features), ``curvatures``
    (chosen,): the sum of those of the ID's rows, of which ``H`` is made, by their scores.
    """
    width = codewords.shape[1]
    first = chunk * width
    whole = whole_blocks(width)
    H, g = np.empty((whole, whole), np.float32), np.empty(whole, np.float32)
    flat = H.reshape(-1)
    kept = np.empty(width * (width + 1) // 2, np.int64)
    f = 0
    for a in range(width):
        for b in range(a + 1):
            kept[f] = a * whole + b
            f += 1
    for s in range(chosen.size):
        j = chosen[s]
        gram_and_sum(slopes, bounds[j], bounds[j + 1], first, seconds, firsts, width, H, g)
        weight = np.float32(weights[j])
        damped = np.float32(weights[j] * damping)
        present = codewords[assigned[j]]
        linear = out[s, kept.size :]
        for a in range(width):
            linear[a] = weight * g[a]
        for b in range(width):  # H is symmetric: by rows, not one long sum for each entry
            step, along = damped * present[b], H[b]
            for a in range(width):
                linear[a] -= step * along[a]
        for a in range(width):
            H[a, a] *= np.float32(0.5)
        for f in range(kept.size):
            out[s, f] = damped * flat[kept[f]]
        curvature = np.float32(0)
        for i in range(bounds[j], bounds[j + 1]):
            curvature += seconds[i]
        curvatures[s] = damped * curvature


@njit(cache=True, nogil=True)
def move_by_parabolas(
    slopes, scores, labels, bounds, weights, loss, curvature, damping, chunks, codebook, expanded,
    penalties, margin, assigned, scratch, of_ids,
):  # fmt: skip
    """Move each ID, chunk by chunk, to the codeword of least cost by the parabola of its loss.

    A move that does not lower the loss itself, by more than ``margin``, is not made.

    Parameters
    ----------
    slopes : (rows, dim), scores : (rows,), labels : (rows,)
        Scores are brought up to date with the moves.
    bounds : (ids + 1,), weights : (ids,)
        Rows of each ID; how many rows each of them stands for.
    chunks : (n,)
        The chunks whose turn it is.
    codebook : (chunks, K, width), expanded : (chunks, K, features), penalties : (chunks, K)
        Of all chunks; `expand_codewords` makes the second.
    assigned : (ids, chunks)
        Changed in place. IDs without rows stay.
    scratch : (`SCRATCH`, rows), of_ids : (ids, features)
        Overwritten: memory is the caller's, who can count it.

    Returns
    -------
    int
        Assignments that have changed.
    """
    seen = np.flatnonzero(bounds[1:] > bounds[:-1])
    sums = np.empty(weights.size)
    begin_moves(loss, curvature, scores, labels, bounds, scratch, sums)
    of_seen, curvatures = of_ids[: seen.size], np.empty(seen.size, np.float32)
    wanted = np.empty(seen.size, np.int64)
    movers, charges = np.empty(seen.size, np.int64), np.empty(seen.size)
    moved = 0
    for chunk in chunks:
        codewords, penalty, own = codebook[chunk], penalties[chunk], assigned[:, chunk]
        expand_ids(
            slopes, scratch[1], scratch[2], bounds, weights, damping, chunk, codewords, own, seen,
            of_seen, curvatures,
        )  # fmt: skip
        first_least(
            of_seen, np.float32(1), expanded[chunk], penalty.astype(np.float32), 0, seen.size,
            wanted,
        )  # fmt: skip
        count = 0
        for s in range(seen.size):
            old, best = np.int64(own[seen[s]]), wanted[s]
            if best != old:
                movers[count], wanted[count] = seen[s], best
                charges[count] = penalty[best] - penalty[old]
                count += 1
        moved += make_moves(
            slopes, scores, labels, bounds, weights, loss, curvature, chunk, codewords,
            movers[:count], wanted, charges, margin, own, scratch, sums,
        )  # fmt: skip
    return moved


@njit(cache=True, nogil=True)
def begin_moves(loss, curvature, scores, labels, bounds, scratch, sums):
    """Losses, slopes and curvatures of rows as they are; summed losses of their IDs."""
    losses, firsts, seconds = scratch[0], scratch[1], scratch[2]
    parabolas(loss, curvature, scores, labels, losses, firsts, seconds)
    sum_by_id(losses, bounds, sums)


@njit(cache=True, nogil=True)
def make_moves(
    slopes, scores, labels, bounds, weights, loss, curvature, chunk, codewords, movers, targets,
    charges, margin, assigned, scratch, sums,
):  # fmt: skip
    """Move IDs in one chunk where that lowers their loss and charge; see `accept_moves`."""
    width = codewords.shape[1]
    first = chunk * width
    step = np.empty(width, np.float32)
    losses, firsts, seconds = scratch[0], scratch[1], scratch[2]
    trial, trial_labels = scratch[3], scratch[4]
    trial_firsts, trial_seconds = scratch[5], scratch[6]
    n = 0
    for m in range(movers.size):
        j = movers[m]
        for c in range(width):
            step[c] = codewords[targets[m], c] - codewords[assigned[j], c]
        for i in range(bounds[j], bounds[j + 1]):
            trial[n] = scores[i] + dot(slopes[i, first : first + width], step, width)
            trial_labels[n] = labels[i]
            n += 1
    parabolas(
        loss, curvature, trial[:n], trial_labels[:n], losses[:n], trial_firsts[:n],
        trial_seconds[:n],
    )  # fmt: skip
    return accept_moves(
        movers, targets, bounds, weights, charges, margin, losses, trial, trial_firsts,
        trial_seconds, assigned, sums, scores, firsts, seconds,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def accept_moves(
    movers, targets, bounds, weights, charges, margin, losses, trial, trial_firsts,
    trial_seconds, assigned, sums, scores, firsts, seconds,
):  # fmt: skip
    """Make the moves that lower the loss of their IDs and what is charged by more than ``margin``.

    Parameters
    ----------
    movers, targets : (n,)
        IDs that may move, and where to.
    bounds, weights
        As for `move_by_parabolas`.
    charges : (n,)
        Added to the change of each mover's summed loss.
    losses, trial, trial_firsts, trial_seconds
        Of the rows as they would be, those of one mover after those of another: losses, scores,
        derivatives.
    assigned, sums : (ids,), scores, firsts, seconds : (rows,)
        Codewords and summed losses; those of the rows as they are. Brought up to date.

    Returns
    -------
    int
        Moves made.
    """
    moved, begin = 0, 0
    for m in range(movers.size):
        j, best = movers[m], targets[m]
        start, stop = bounds[j], bounds[j + 1]
        end = begin + stop - start
        after = 0.0
        for i in range(begin, end):
            after += np.float64(losses[i])
        change = weights[j] * (after - sums[j])
        if change + charges[m] < -margin:
            assigned[j] = best
            sums[j] = after
            for i in range(stop - start):
                scores[start + i] = trial[begin + i]
                firsts[start + i] = trial_firsts[begin + i]
                seconds[start + i] = trial_seconds[begin + i]
            moved += 1
        begin = end
    return moved
