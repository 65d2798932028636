"""Tables whose vectors are sums of slices of one flat array: where they lie, read, add to.

A *term* says, for one field, where an ID's slice lies and which columns of the vector it adds
to. It is one row of an int64 matrix; the constants below name its columns. Offsets are found
once a batch (`locate`) and used for reading, for adding gradients and for the optimiser's step.
"""

import numpy as np
from numba import njit

from .slices import add_slices, add_to_slices

(
    FIELD,  # which column of the IDs
    KIND,  # DIRECT, HASHED or STORED
    COLUMN,  # first column of the vector
    WIDTH,  # floats in a slice
    START,  # where bucket 0 begins in the flat array
    STRIDE,  # floats from one bucket to the next
    ROWS,  # number of buckets
    DIVISOR,  # DIRECT: bucket = (id // divisor) % rows
    STATE,  # STORED: where the assignments of ID 0 begin
    STATE_STRIDE,  # STORED: assignments an ID
    GRADIENT_START,  # like START, in the gradient (dense step)
    FIRST_ROW,  # number of bucket 0 among the rows stepped one by one; -1: dense step
    CIRCLE,  # floats from START on after which slices go on at START again; 0: never
) = range(13)
TERM_COLUMNS = 13

DIRECT, HASHED, STORED = 0, 1, 2

HALF = np.uint64(32)
LOW_BITS = np.uint64(2**32 - 1)

ROW_BLOCK = 64
"""Rows whose vectors stay in the cache while all terms are added."""


@njit(cache=True, nogil=True)
def hash_bits(a, b, key):
    """Upper half of ``a key + b`` modulo 2^64, for a key below 2^32.

    In halves none of which overflows: wrapping around is silent in compiled code alone.
    """
    low = (a & LOW_BITS) * key
    carry = ((low & LOW_BITS) + (b & LOW_BITS)) >> HALF
    return ((a >> HALF) * key + (low >> HALF) + (b >> HALF) + carry) & LOW_BITS


@njit(cache=True, nogil=True)
def locate(ids, start, stop, terms, coefficients, assignments, offsets):
    """``offsets[t, i]``: where the slice of row ``start + i`` under term ``t`` lies.

    Hash functions are multiply-shift, 2-independent over 32-bit IDs: the upper half of
    ``a id + b`` modulo 2^64, scaled down to the number of buckets.
    """
    n = stop - start
    keys = np.empty(n, np.uint64)  # unsigned, or each look-up asks whether it counts from the end
    before = -1
    for t in range(terms.shape[0]):  # without views, which count references
        field, kind = terms[t, FIELD], terms[t, KIND]
        first, stride, rows = terms[t, START], terms[t, STRIDE], terms[t, ROWS]
        if field != before:
            before = field
            for i in range(n):
                keys[i] = np.uint64(ids[start + i, field])
        if kind == HASHED:
            a, b = coefficients[t, 0], coefficients[t, 1]
            for i in range(n):
                bucket = (hash_bits(a, b, keys[i]) * np.uint64(rows)) >> HALF
                offsets[t, i] = first + np.int64(bucket) * stride
        elif kind == STORED:
            state, state_stride = np.uint64(terms[t, STATE]), np.uint64(terms[t, STATE_STRIDE])
            for i in range(n):
                code = assignments[state + keys[i] * state_stride]
                offsets[t, i] = first + np.int64(code) * stride
        else:
            divisor = terms[t, DIVISOR]
            for i in range(n):
                j = np.int64(keys[i])
                if divisor != 1:
                    j = j // divisor
                if j >= rows:
                    j = j % rows
                offsets[t, i] = first + j * stride


@njit(cache=True, nogil=True)
def gather_rows(values, offsets, terms, start, stop, vectors):
    """Vectors of the located rows ``start`` to ``stop``, added to ``vectors`` from its row 0 on."""
    for t in range(terms.shape[0]):
        width, column, field = terms[t, WIDTH], terms[t, COLUMN], terms[t, FIELD]
        first, circle = terms[t, START], terms[t, CIRCLE]
        add_slices(
            values, offsets, t, start, stop, vectors, field, column, width, first, circle
        )  # fmt: skip


@njit(cache=True, nogil=True)
def gather(values, offsets, terms, n, vectors):
    """Vectors of the ``n`` located rows, added to ``vectors`` (n, fields, columns)."""
    for start in range(0, n, ROW_BLOCK):
        stop = min(n, start + ROW_BLOCK)
        gather_rows(values, offsets, terms, start, stop, vectors[start:stop])


@njit(cache=True, nogil=True)
def scatter(gradient, offsets, terms, n, vector_gradients):
    """Add the gradients of the vectors (n, fields, columns) to the slices they came from."""
    ones = np.ones(n, np.float32)
    for start in range(0, n, ROW_BLOCK):
        stop = min(n, start + ROW_BLOCK)
        for t in range(terms.shape[0]):
            width, column, field = terms[t, WIDTH], terms[t, COLUMN], terms[t, FIELD]
            first, circle = terms[t, GRADIENT_START], terms[t, CIRCLE]
            rows = vector_gradients[start:stop]
            add_to_slices(
                gradient, offsets, t, ones, start, stop, rows, field, column, width, first, circle
            )
