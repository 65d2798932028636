"""Bucketed Gram matrices: ``(XC)'(XC)`` and ``(XC)'Y`` without forming ``XC``."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_pairs(indptr):
    """Pairs of stored entries in each row of a CSR matrix, as a running sum (n + 1,)."""
    n = indptr.size - 1
    total = np.empty(n + 1, np.int64)
    total[0] = 0
    for i in range(n):
        width = np.int64(indptr[i + 1] - indptr[i])
        total[i + 1] = total[i] + width * (width - 1) // 2
    return total


@njit(cache=True, nogil=True)
def scatter_rows(
    indptr, indices, data, codes, Y, start, stop, m, shift, squares, moments, starts, cells, values
):
    """One chunk of rows ``start:stop``: diagonal, right-hand side, and the list of its pairs.

    A random access to an ``m x m`` matrix costs a cache miss. So the products of pairs are not
    added where they belong but listed, sorted by the panel of ``2**shift`` rows they fall into
    (a counting sort), for `gather_panel` to add while the panel lies in cache.

    Parameters
    ----------
    codes : (d1,) int32
        ``2 * bucket + (sign < 0)`` of each column.
    squares : (m,) output
        Sum of the squared entries of each bucket.
    moments : (m, d2) output
        This chunk's part of ``(XC)'Y``.
    starts : (panels + 1,) int64 output
        Where each panel's pairs begin in ``cells`` and ``values``.
    cells, values : (pairs,) int32 and float64 output
        Position of a pair's product in its panel (row-major), and the product.
    """
    d2 = Y.shape[1]
    first = indptr[start]
    buckets = np.empty(indptr[stop] - first, np.int32)
    entries = np.empty(indptr[stop] - first)
    for entry in range(first, indptr[stop]):
        code = codes[indices[entry]]
        buckets[entry - first] = code >> 1
        entries[entry - first] = data[entry] * (1 - 2 * (code & 1))
    ends = np.zeros(starts.size, np.int64)
    for i in range(start, stop):
        row_start, row_stop = indptr[i] - first, indptr[i + 1] - first
        for a in range(row_start, row_stop):
            for b in range(row_start, a):
                ends[(min(buckets[a], buckets[b]) >> shift) + 1] += 1
    for panel in range(starts.size - 1):
        ends[panel + 1] += ends[panel]
    starts[:] = ends
    inside = (np.int64(1) << shift) - 1
    for i in range(start, stop):
        row_start, row_stop = indptr[i] - first, indptr[i + 1] - first
        y = Y[i]
        for a in range(row_start, row_stop):
            bucket, entry_a = buckets[a], entries[a]
            moment = moments[bucket]
            for t in range(d2):
                moment[t] += entry_a * y[t]
            squares[bucket] += entry_a * entry_a
            for b in range(row_start, a):
                low = min(bucket, buckets[b])
                high = max(bucket, buckets[b])
                place = ends[low >> shift]
                ends[low >> shift] = place + 1
                cells[place] = (low & inside) * m + high
                values[place] = entry_a * entries[b]


@njit(cache=True, nogil=True)
def gather_panel(panel, starts, cells, values, out):
    """Add one chunk's listed products of one panel of rows to ``out``, the panel flattened."""
    for q in range(starts[panel], starts[panel + 1]):
        out[cells[q]] += values[q]


@njit(cache=True, nogil=True)
def bucketed_gram(indptr, indices, data, left, left_signs, right, right_signs, out):
    """Add ``C1' S C2`` to ``out``, for sparse ``S`` (CSR) and bucket matrices ``C1``, ``C2``."""
    for i in range(indptr.size - 1):
        row = out[left[i]]
        sign = left_signs[i]
        for entry in range(indptr[i], indptr[i + 1]):
            j = indices[entry]
            row[right[j]] += sign * right_signs[j] * data[entry]


@njit(cache=True, nogil=True)
def bucket_sums(rows, buckets, signs, out):
    """Add ``C' rows`` to ``out``: the signed sum of the rows of each bucket."""
    for i in range(rows.shape[0]):
        target = out[buckets[i]]
        sign = signs[i]
        for t in range(rows.shape[1]):
            target[t] += sign * rows[i, t]


@njit(cache=True, nogil=True)
def independent_columns(indptr, indices, order):
    """A maximal set of mutually orthogonal columns, greedily in the given order.

    ``indptr, indices``: pattern of the Gram matrix. Returns a boolean mask (d1,). For one-hot
    fields it finds (the greater part of) the field with the most IDs.
    """
    d1 = indptr.size - 1
    blocked = np.zeros(d1, np.bool_)
    chosen = np.zeros(d1, np.bool_)
    for j in order:
        if blocked[j]:
            continue
        chosen[j] = True
        for entry in range(indptr[j], indptr[j + 1]):
            blocked[indices[entry]] = True
    return chosen
