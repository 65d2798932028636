"""Tables whose vectors are not sums of slices: learned weights, products, networks.

Each pair of functions reads the vectors of a batch and adds the gradient by the parameters. Rows
of a batch are taken in order, so that sums have one order.

Functions of a few small matrices are inlined by LLVM, which leaves each its own ``fastmath``: a
call with slices costs about as much as what is done with them.
"""

import numpy as np
from numba import njit

from .embedding import HALF, hash_bits
from .factorization import dot

SHORT = 8
"""Floats below which a row is short."""

DIGIT_BITS, ROW_BITS = 11, 31
"""In the keys of tensor trains: of one of three digits of an ID below 2^31, and of a row."""


@njit(cache=True, nogil=True)
def hash_many(ids, functions, rows, buckets):
    """``buckets[i, h]``: ID ``i`` under function ``h``, as `embedding.locate` hashes."""
    for i in range(ids.size):
        key = np.uint64(ids[i])
        for h in range(functions.shape[0]):
            bits = hash_bits(functions[h, 0], functions[h, 1], key)
            buckets[i, h] = np.int64((bits * np.uint64(rows)) >> HALF)


@njit(cache=True, nogil=True)
def hash_features(ids, functions, scale, features):
    """``features[i, h]``: hash of ID ``i``, spread over ``[-scale, scale)``."""
    step = scale * 2.0**-31
    count = functions.shape[0]
    a, b = functions[:, 0].copy(), functions[:, 1].copy()
    for i in range(ids.size):
        key, out = np.uint64(ids[i]), features[i]
        for h in range(count):
            centred = np.int32(np.int64(hash_bits(a[h], b[h], key)) - 2**31)
            out[h] = np.float32(step * np.float64(centred))


@njit(cache=True, nogil=True)
def add_column_sums(target, rows):
    """``target[c] += sum of rows[:, c]``, for the first entries of a row as many as target has."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for c in range(target.size):
            target[c] += row[c]


@njit(cache=True, nogil=True)
def split_sorted(keys, different, places):
    """Take sorted ``id 2^31 + row`` apart: the different IDs, and which of them each row has.

    Returns the number of different IDs.
    """
    count = 0
    for key in keys:
        j, row = key >> 31, key & 0x7FFFFFFF
        if count == 0 or different[count - 1] != j:
            different[count] = j
            count += 1
        places[row] = count - 1
    return count


@njit(cache=True, nogil=True)
def add_rows(target, rows, source):
    """``target[rows[i]] += source[i]``, in order."""
    for i in range(rows.size):
        into = target[rows[i]]
        for c in range(source.shape[1]):
            into[c] += source[i, c]


@njit(cache=True, nogil=True)
def weighted_sum(codebook, buckets, weights, weight_rows, out):
    """``out[i] = sum_h weights[weight_rows[i], h] codebook[buckets[i, h]]``."""
    dim = codebook.shape[1]
    for i in range(out.shape[0]):
        target = out[i]
        for h in range(buckets.shape[1]):
            weight = weights[weight_rows[i], h]
            row = codebook[buckets[i, h]]
            for c in range(dim):
                target[c] += weight * row[c]


@njit(cache=True, nogil=True)
def weighted_sum_gradient(
    codebook, buckets, weights, weight_rows, gradients, by_codebook, by_weights
):
    """Add the gradients of `weighted_sum` by codebook and weights."""
    dim = codebook.shape[1]
    for i in range(gradients.shape[0]):
        own = gradients[i]
        for h in range(buckets.shape[1]):
            weight = weights[weight_rows[i], h]
            into = by_codebook[buckets[i, h]]
            for c in range(dim):
                into[c] += weight * own[c]
            by_weights[weight_rows[i], h] += dot(own, codebook[buckets[i, h]], dim)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, forceinline=True)
def inner_products(left, right, target):
    """``target = left @ right.T``, for small matrices: two rows by four, as far as it goes."""
    rows, (count, size) = target.shape[0], right.shape
    for i in range(0, rows - 1, 2):
        x, z = left[i], left[i + 1]
        for s in range(0, count - 3, 4):
            y0, y1, y2, y3 = right[s], right[s + 1], right[s + 2], right[s + 3]
            t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = np.float32(0)
            for q in range(size):
                t0 += x[q] * y0[q]
                t1 += x[q] * y1[q]
                t2 += x[q] * y2[q]
                t3 += x[q] * y3[q]
                u0 += z[q] * y0[q]
                u1 += z[q] * y1[q]
                u2 += z[q] * y2[q]
                u3 += z[q] * y3[q]
            into = target[i]
            into[s], into[s + 1], into[s + 2], into[s + 3] = t0, t1, t2, t3
            into = target[i + 1]
            into[s], into[s + 1], into[s + 2], into[s + 3] = u0, u1, u2, u3
        for s in range(count - count % 4, count):
            target[i, s] = dot(x, right[s], size)
            target[i + 1, s] = dot(z, right[s], size)
    if rows % 2:
        for s in range(count):
            target[rows - 1, s] = dot(left[rows - 1], right[s], size)


@njit(cache=True, nogil=True, fastmath={"contract"}, forceinline=True)
def add_by_column(slopes, left, right, by_left, by_right, s, q):
    """Column ``q`` of `add_by_columns`, for rows ``s`` to ``s + 3`` of ``right``."""
    y0, y1, y2, y3 = right[s, q], right[s + 1, q], right[s + 2, q], right[s + 3, q]
    t0 = t1 = t2 = t3 = np.float32(0)
    for i in range(left.shape[0]):
        x = left[i, q]
        f0, f1, f2, f3 = slopes[i, s], slopes[i, s + 1], slopes[i, s + 2], slopes[i, s + 3]
        by_left[i, q] += f0 * y0 + f1 * y1 + f2 * y2 + f3 * y3
        t0 += f0 * x
        t1 += f1 * x
        t2 += f2 * x
        t3 += f3 * x
    by_right[s, q] += t0
    by_right[s + 1, q] += t1
    by_right[s + 2, q] += t2
    by_right[s + 3, q] += t3


@njit(cache=True, nogil=True, fastmath={"contract"}, forceinline=True)
def add_by_two_columns(slopes, left, right, by_left, by_right, s, q):
    """Columns ``q`` and ``q + 1``, as `add_by_column`: slopes are read once for both."""
    p = q + 1
    y0, y1, y2, y3 = right[s, q], right[s + 1, q], right[s + 2, q], right[s + 3, q]
    z0, z1, z2, z3 = right[s, p], right[s + 1, p], right[s + 2, p], right[s + 3, p]
    t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = np.float32(0)
    for i in range(left.shape[0]):
        x, w = left[i, q], left[i, p]
        f0, f1, f2, f3 = slopes[i, s], slopes[i, s + 1], slopes[i, s + 2], slopes[i, s + 3]
        by_left[i, q] += f0 * y0 + f1 * y1 + f2 * y2 + f3 * y3
        by_left[i, p] += f0 * z0 + f1 * z1 + f2 * z2 + f3 * z3
        t0 += f0 * x
        t1 += f1 * x
        t2 += f2 * x
        t3 += f3 * x
        u0 += f0 * w
        u1 += f1 * w
        u2 += f2 * w
        u3 += f3 * w
    by_right[s, q] += t0
    by_right[s + 1, q] += t1
    by_right[s + 2, q] += t2
    by_right[s + 3, q] += t3
    by_right[s, p] += u0
    by_right[s + 1, p] += u1
    by_right[s + 2, p] += u2
    by_right[s + 3, p] += u3


@njit(cache=True, nogil=True, fastmath={"contract"}, forceinline=True)
def add_by_columns(slopes, left, right, by_left, by_right):
    """As `add_by_left` and `add_by_right`, where rows are too short for vector code to pay."""
    count, size = right.shape
    for s in range(0, count - 3, 4):
        for q in range(0, size - 1, 2):
            add_by_two_columns(slopes, left, right, by_left, by_right, s, q)
        if size % 2:
            add_by_column(slopes, left, right, by_left, by_right, s, size - 1)
    for q in range(size):
        for s in range(count - count % 4, count):
            for i in range(left.shape[0]):
                by_left[i, q] += slopes[i, s] * right[s, q]
                by_right[s, q] += slopes[i, s] * left[i, q]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, forceinline=True)
def add_by_left(slopes, right, by_left):
    """``by_left += slopes @ right``: four rows of ``right`` at a time, as far as it goes."""
    count, size = right.shape
    for i in range(slopes.shape[0]):
        gx = by_left[i]
        for s in range(0, count - 3, 4):
            f0, f1, f2, f3 = slopes[i, s], slopes[i, s + 1], slopes[i, s + 2], slopes[i, s + 3]
            y0, y1, y2, y3 = right[s], right[s + 1], right[s + 2], right[s + 3]
            for q in range(size):
                gx[q] += f0 * y0[q] + f1 * y1[q] + f2 * y2[q] + f3 * y3[q]
        for s in range(count - count % 4, count):
            f0, y0 = slopes[i, s], right[s]
            for q in range(size):
                gx[q] += f0 * y0[q]


@njit(cache=True, nogil=True, fastmath={"contract"}, forceinline=True)
def add_by_right(slopes, left, by_right):
    """``by_right += slopes.T @ left``, in order: four rows of ``left`` at a time."""
    rows, size = left.shape
    for i in range(0, rows - 3, 4):
        x0, x1, x2, x3 = left[i], left[i + 1], left[i + 2], left[i + 3]
        for s in range(slopes.shape[1]):
            f0, f1, f2, f3 = slopes[i, s], slopes[i + 1, s], slopes[i + 2, s], slopes[i + 3, s]
            gy = by_right[s]
            for q in range(size):
                gy[q] = gy[q] + f0 * x0[q] + f1 * x1[q] + f2 * x2[q] + f3 * x3[q]
    for i in range(rows - rows % 4, rows):
        x0 = left[i]
        for s in range(slopes.shape[1]):
            f0, gy = slopes[i, s], by_right[s]
            for q in range(size):
                gy[q] += f0 * x0[q]


@njit(cache=True, nogil=True)
def project_rows(narrow, rows, projection, out):
    """``out[i] = narrow[rows[i]] @ projection``, added up in order."""
    rank, dim = projection.shape
    for i in range(rows.size):
        own, target = narrow[rows[i]], out[i]
        for c in range(dim):
            target[c] = own[0] * projection[0, c]
        for k in range(1, rank):
            factor, row = own[k], projection[k]
            for c in range(dim):
                target[c] += factor * row[c]


@njit(cache=True, nogil=True)
def project_rows_gradient(narrow, rows, projection, gradients, by_narrow, by_projection):
    """Add the gradients of `project_rows` by the narrow table and the projection."""
    rank, dim = projection.shape
    for i in range(rows.size):
        own, into, gradient = narrow[rows[i]], by_narrow[rows[i]], gradients[i]
        for k in range(rank):
            into[k] += dot(gradient, projection[k], dim)
            factor, target = own[k], by_projection[k]
            for c in range(dim):
                target[c] += factor * gradient[c]


@njit(cache=True, nogil=True, error_model="numpy")
def train_keys(ids, n2, n3, keys):
    """Digits of IDs in mixed radix, the third changing fastest, and rows, each in bits of its own.

    The second digit has the highest bits, then come the first, the third and the row. In sorted
    keys, IDs with the same slice of the second core follow each other, among them those with the
    same slice of the first.
    """
    by2, by3 = np.float64(n2), np.float64(n3)  # quotients round down rightly; integers take longer
    for i in range(ids.size):
        j = ids[i]
        upper = np.int32(j / by3)
        i1 = np.int32(upper / by2)
        i2, i3 = np.int64(upper - i1 * n2), np.int64(j - upper * n3)
        code = (i2 << 2 * DIGIT_BITS) | (np.int64(i1) << DIGIT_BITS) | i3
        keys[i] = (code << ROW_BITS) | i


@njit(cache=True, nogil=True)
def train_pairs(keys, places, pairs, thirds, firsts, seconds, starts):
    """What sorted `train_keys` have in common.

    Row ``i`` has the ``places[i]``-th of the different IDs. Of these, the ``i``-th has the
    ``pairs[i]``-th of the different pairs of first and second digit, and the third digit
    ``thirds[i]``; ``firsts[p]`` is the first digit of pair ``p``; pairs from ``starts[g]`` to
    ``starts[g + 1]`` have ``seconds[g]`` as their second. Returns the numbers of different IDs,
    pairs and second digits; arrays have room for one entry more than there are keys.
    """
    digit, row = (1 << DIGIT_BITS) - 1, (1 << ROW_BITS) - 1
    n_ids, n_pairs, n_seconds = 0, 0, 0
    before = np.int64(-1)  # no code
    for key in keys:
        code = key >> ROW_BITS
        changed = code ^ before
        before = code
        # written behind the last and counted if it is another, which leaves nothing to predict
        seconds[n_seconds], starts[n_seconds] = (code >> 2 * DIGIT_BITS) & digit, n_pairs
        n_seconds += (changed >> 2 * DIGIT_BITS) != 0
        firsts[n_pairs] = (code >> DIGIT_BITS) & digit
        n_pairs += (changed >> DIGIT_BITS) != 0
        pairs[n_ids], thirds[n_ids] = n_pairs - 1, code & digit
        n_ids += changed != 0
        places[key & row] = n_ids - 1
    starts[n_seconds] = n_pairs
    return n_ids, n_pairs, n_seconds


@njit(cache=True, nogil=True)
def train_products(slices, second, seconds, starts, lefts):
    """Products of the first two cores: ``slices`` (pairs d1, r) times slices of the second."""
    rows = slices.shape[0] // starts[seconds.size]
    for g in range(seconds.size):
        a, b = rows * starts[g], rows * starts[g + 1]
        np.dot(slices[a:b], second[seconds[g]], lefts[a:b])


@njit(cache=True, nogil=True)
def train_products_gradient(slices, second, seconds, starts, by_lefts, by_slices, by_second):
    """Gradients of `train_products`: written to ``by_slices``, added to ``by_second``."""
    rows = slices.shape[0] // starts[seconds.size]
    found = np.empty(second.shape[1:], np.float32)
    for g in range(seconds.size):
        a, b = rows * starts[g], rows * starts[g + 1]
        np.dot(by_lefts[a:b], second[seconds[g]].T, by_slices[a:b])
        np.dot(slices[a:b].T, by_lefts[a:b], found)
        target = by_second[seconds[g]]  # in loops: array expressions take seconds to compile
        for s in range(found.shape[0]):
            for q in range(found.shape[1]):
                target[s, q] += found[s, q]


@njit(cache=True, nogil=True)
def train_vectors(pairs, thirds, lefts, third, out):
    """Tensor-train vectors from ``lefts`` (pairs, d1 d2, r), products of the first two cores."""
    vectors = out.reshape((pairs.size, lefts.shape[1], third.shape[1]))
    for i in range(pairs.size):
        inner_products(lefts[pairs[i]], third[thirds[i]], vectors[i])


@njit(cache=True, nogil=True)
def train_gradients(pairs, thirds, lefts, third, gradients, by_lefts, by_third):
    """Add the gradients of `train_vectors` by both sides."""
    slopes = gradients.reshape((pairs.size, lefts.shape[1], third.shape[1]))
    for i in range(pairs.size):
        p, k = pairs[i], thirds[i]
        if third.shape[2] < SHORT:  # chosen here: slices that pass through two calls are not free
            add_by_columns(slopes[i], lefts[p], third[k], by_lefts[p], by_third[k])
        else:
            add_by_left(slopes[i], third[k], by_lefts[p])
            add_by_right(slopes[i], lefts[p], by_third[k])
