"""The least of many affine functions, for several registers of points at a time."""

import numpy as np
from llvmlite import ir
from numba import njit

from .registers import (
    FLOAT,
    FLOAT_BYTES,
    INDEX,
    INDEX_BYTES,
    INT,
    LANES,
    after,
    at_most,
    constant,
    floats,
    in_registers,
    load,
    multiply_add,
    repeat,
    spread,
    store,
)

REGISTERS, ROWS_AT_ONCE = {16: (4, 4), 8: (4, 2), 4: (4, 2)}[LANES]
"""Registers of points, and rows, that are worked on at once: of 32 registers, or of 16."""

POINT_BLOCK = 64
"""Points of a block: a multiple of all that are worked on at once, on any processor."""


def _least_of_block(builder, columns, rows, offsets, best):
    """LLVM code of `least_of_block`: `ROWS_AT_ONCE` at a time, a last one several times.

    The least so far and where they are stay in registers.
    """
    kind, together = floats(LANES), LANES * REGISTERS
    first = constant(ir.VectorType(INDEX, LANES), [0] * LANES)
    infinite = constant(kind, [float("inf")] * LANES)
    n_rows, dim = rows.shape
    n_steps = builder.sdiv(builder.add(n_rows, INT(ROWS_AT_ONCE - 1)), INT(ROWS_AT_ONCE))

    def places(start, width):
        return [builder.add(start, INT(width * LANES * r)) for r in range(REGISTERS)]

    def work_on(skipped):
        points = after(builder, columns.place, (skipped, INT(FLOAT_BYTES)))

        def some_rows(state):
            k, *found = state
            numbers = [
                builder.add(k, number)
                for number in at_most(builder, ROWS_AT_ONCE, builder.sub(n_rows, k))
            ]

            def add_column(inner):
                column, skipped, *sums = inner
                point = [load(builder, place, kind) for place in places(column, FLOAT_BYTES)]
                added = []
                for number, so_far in zip(numbers, _by_row(sums), strict=True):
                    place = after(builder, rows.place, (number, rows.strides[0]))
                    entry = load(builder, builder.add(place, skipped), FLOAT)
                    entries = spread(builder, entry, LANES)
                    added += [
                        multiply_add(builder, entries, x, total)
                        for x, total in zip(point, so_far, strict=True)
                    ]
                following = builder.add(column, columns.strides[0])
                return [following, builder.add(skipped, INT(FLOAT_BYTES)), *added]

            sums = []
            for number in numbers:
                place = after(builder, offsets.place, (number, INT(FLOAT_BYTES)))
                sums += [spread(builder, load(builder, place, FLOAT), LANES)] * REGISTERS
            sums = repeat(builder, dim, [points, INT(0), *sums], add_column)[2:]
            least, labels = _by_row(found)
            for number, values in zip(numbers, _by_row(sums), strict=True):
                label = spread(builder, builder.trunc(number, INDEX), LANES)
                for r, value in enumerate(values):
                    less = builder.fcmp_ordered("<", value, least[r])
                    least[r] = builder.select(less, value, least[r])
                    labels[r] = builder.select(less, label, labels[r])
            return [builder.add(k, INT(ROWS_AT_ONCE)), *least, *labels]

        start = [INT(0), *[infinite] * REGISTERS, *[first] * REGISTERS]
        labels = repeat(builder, n_steps, start, some_rows)[1 + REGISTERS :]
        out = after(builder, best.place, (skipped, INT(INDEX_BYTES)))
        for place, label in zip(places(out, INDEX_BYTES), labels, strict=True):
            store(builder, label, place)

    for skipped in range(0, POINT_BLOCK, together):
        work_on(INT(skipped))


def _by_row(values):
    """Lists of `REGISTERS` vectors each."""
    return [list(values[r : r + REGISTERS]) for r in range(0, len(values), REGISTERS)]


@in_registers(_least_of_block)
def least_of_block(columns, rows, offsets, best):
    """``best[i] = argmin_k offsets[k] + rows[k] @ columns[:, i]``, the first of several.

    For compiled code.

    Parameters
    ----------
    columns : (dim, `POINT_BLOCK`), rows : (K, dim), offsets : (K,)
        Of float32, contiguous.
    best : (`POINT_BLOCK`,)
        Of int32, overwritten; 0 where there are not-a-numbers only.
    """
    best[:] = (offsets[:, None] + rows @ columns).argmin(axis=0)


@njit(cache=True, nogil=True)
def first_least(points, factor, rows, offsets, start, stop, labels):
    """``labels[i] = argmin_k offsets[k] + factor points[i] @ rows[k]``, the first of several.

    For points ``start:stop``. A block of them is worked on for one row after the other, a lane of
    vector code for each point.

    Parameters
    ----------
    points : (n, dim), rows : (K, dim), offsets : (K,), factor : float32
        Of float32, contiguous.
    labels : (n,)
        Of any integers.
    """
    dim = points.shape[1]
    columns = np.zeros((dim, POINT_BLOCK), np.float32)
    best = np.empty(POINT_BLOCK, np.int32)
    for begin in range(start, stop, POINT_BLOCK):
        size = min(POINT_BLOCK, stop - begin)
        for i in range(size):
            for t in range(dim):
                columns[t, i] = factor * points[begin + i, t]
        least_of_block(columns, rows, offsets, best)
        for i in range(size):
            labels[begin + i] = best[i]


@njit(cache=True, nogil=True)
def in_blocks(points):
    """Points as the columns of blocks, (blocks, dim, `POINT_BLOCK`), with zeros at the end.

    Worth it where points are compared with rows more than once.
    """
    n, dim = points.shape
    blocks = np.empty(((n + POINT_BLOCK - 1) // POINT_BLOCK, dim, POINT_BLOCK), points.dtype)
    for b in range(blocks.shape[0]):
        columns, first = blocks[b], b * POINT_BLOCK
        size = min(POINT_BLOCK, n - first)
        if size < POINT_BLOCK:
            columns[:] = points.dtype.type(0)
        for i in range(size):
            for t in range(dim):
                columns[t, i] = points[first + i, t]
    return blocks


@njit(cache=True, nogil=True)
def first_least_in_blocks(blocks, rows, offsets, start, stop, labels):
    """``labels[b, i] = argmin_k offsets[k] + rows[k] @ blocks[b, :, i]``, the first of several.

    For blocks ``start:stop`` of points; see `in_blocks` and `first_least`.

    Parameters
    ----------
    labels : (blocks, `POINT_BLOCK`)
        Of int32. What stands for no point is overwritten, too.
    """
    for b in range(start, stop):
        least_of_block(blocks[b], rows, offsets, labels[b])
