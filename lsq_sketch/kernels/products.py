"""Products of matrices of float32, in tiles that stay in the registers.

BLAS libraries are made for large matrices, and choose their code from a list of processors they
know. The matrices here have ten to some hundred columns, and are multiplied by code for whatever
processor there is. Each entry is summed in the order of the inner index, whatever the tiles.
"""

import numpy as np
from numba import njit

from .registers import (
    FLOAT,
    FLOAT_BYTES,
    INT,
    LANES,
    after,
    at_most,
    constant,
    first_of,
    floats,
    in_registers,
    load,
    multiply_add,
    repeat,
    spread,
    store,
)

TILE_ROWS = {16: 8, 8: 5, 4: 8}[LANES]
REGISTERS = 2
"""Registers of a row of a tile; the sums of a tile leave some registers free."""
TILE_COLUMNS = REGISTERS * LANES

GRAM_COLUMNS = 8
"""Rows and columns of a block of a Gram matrix."""


def tiled_product(builder, a, b, start, out, finish=lambda sums, *place: sums):
    """LLVM code of a product: tiles of `TILE_ROWS` by `TILE_COLUMNS`, or fewer columns at the end.

    Rows of a tile beyond the last are the last one again. ``finish`` makes what is stored of a
    vector of sums; it is given its row, first column and mask as well.
    """
    kind, (m, depth), n = floats(LANES), a.shape, b.shape[1]

    def tile(i, j, masks):
        registers = range(len(masks))
        numbers = at_most(builder, TILE_ROWS, builder.sub(m, i))
        rows = [builder.add(i, number) for number in numbers]
        a_at = after(builder, a.place, (i, a.strides[0]))
        b_at = after(builder, b.place, (j, INT(FLOAT_BYTES)))
        start_at, out_at = (
            after(builder, array.place, (i, array.strides[0]), (j, INT(FLOAT_BYTES)))
            for array in (start, out)
        )
        a_rows, start_rows, out_rows = (
            [after(builder, place, (number, array.strides[0])) for number in numbers]
            for place, array in ((a_at, a), (start_at, start), (out_at, out))
        )

        def places(row):
            return [builder.add(row, INT(FLOAT_BYTES * LANES * v)) for v in registers]

        def read(row):
            return [load(builder, place, kind, masks[v]) for v, place in enumerate(places(row))]

        def add_products(values):
            skipped, b_place, *sums = values
            right = read(b_place)
            added = []
            for r in range(TILE_ROWS):
                entry = load(builder, builder.add(a_rows[r], skipped), FLOAT)
                left = spread(builder, entry, LANES)
                added += [
                    multiply_add(builder, left, right[v], sums[r * len(masks) + v])
                    for v in registers
                ]
            following = builder.add(skipped, a.strides[1]), builder.add(b_place, b.strides[0])
            return [*following, *added]

        starts = [value for row in start_rows for value in read(row)]
        sums = repeat(builder, depth, [INT(0), b_at, *starts], add_products)[2:]
        for r in range(TILE_ROWS):
            for v, place in enumerate(places(out_rows[r])):
                column = builder.add(j, INT(LANES * v))
                found = finish(sums[r * len(masks) + v], rows[r], column, masks[v])
                store(builder, found, place, masks[v])

    def down(j, masks):
        def next_tile(state):
            tile(state[0], j, masks)
            return [builder.add(state[0], INT(TILE_ROWS))]

        tiles = builder.sdiv(builder.add(m, INT(TILE_ROWS - 1)), INT(TILE_ROWS))
        repeat(builder, tiles, [INT(0)], next_tile)

    def next_columns(state):
        down(state[0], [None] * REGISTERS)
        return [builder.add(state[0], INT(TILE_COLUMNS))]

    (j,) = repeat(builder, builder.sdiv(n, INT(TILE_COLUMNS)), [INT(0)], next_columns)
    rest = builder.sub(n, j)
    masks = [first_of(builder, rest, LANES, LANES * v) for v in range(REGISTERS)]
    with builder.if_then(builder.icmp_signed(">", rest, INT(LANES))):
        down(j, masks)
    few = builder.and_(
        builder.icmp_signed(">", rest, INT(0)), builder.icmp_signed("<=", rest, INT(LANES))
    )
    with builder.if_then(few):
        down(j, masks[:1])


@in_registers(tiled_product)
def _product(a, b, start, out):
    """``out = start + a @ b``, matrices."""
    out[:] = start + a @ b


@njit(cache=True, nogil=True)
def multiply(a, b, out):
    """``out = a @ b``, float32.

    Parameters
    ----------
    a : (m, k)
        In any layout.
    b : (k, n), out : (m, n)
        The entries of a row stand together. ``out`` is overwritten and must not overlap the others.
    """
    _product(a, b, np.broadcast_to(np.zeros(out.shape[1], np.float32), out.shape), out)


@njit(cache=True, nogil=True)
def add_product(a, b, out):
    """``out += a @ b``; see `multiply`."""
    _product(a, b, out, out)


def _weighted_gram(builder, rows, start, stop, first, in_gram, in_sum, width, gram, total):
    """LLVM code of `gram_and_sum`: blocks of `GRAM_COLUMNS` rows and columns."""
    kind = floats(GRAM_COLUMNS)
    zeros = [constant(kind, [0.0] * GRAM_COLUMNS)] * (GRAM_COLUMNS + 1)
    n, (stride, _), (gram_row, _) = builder.sub(stop, start), rows.strides, gram.strides
    own = after(builder, rows.place, (start, stride), (first, INT(FLOAT_BYTES)))
    weights = [after(builder, w.place, (start, INT(FLOAT_BYTES))) for w in (in_gram, in_sum)]
    blocks = builder.sdiv(builder.add(width, INT(GRAM_COLUMNS - 1)), INT(GRAM_COLUMNS))

    def block(a, b):
        left, right = (after(builder, own, (skipped, INT(FLOAT_BYTES))) for skipped in (a, b))
        mask = first_of(builder, builder.sub(width, b), GRAM_COLUMNS)
        columns = [
            builder.mul(number, INT(FLOAT_BYTES))
            for number in at_most(builder, GRAM_COLUMNS, builder.sub(width, a))
        ]

        def add_row(values):
            left_row, right_row, gram_weight, sum_weight, *sums = values
            row = load(builder, right_row, kind, mask)
            of_gram, of_sum = (
                spread(builder, load(builder, place, FLOAT), GRAM_COLUMNS)
                for place in (gram_weight, sum_weight)
            )
            weighted = builder.fmul(of_gram, row)
            added = []
            for column, so_far in zip(columns, sums[:-1], strict=True):
                entry = load(builder, builder.add(left_row, column), FLOAT)
                entries = spread(builder, entry, GRAM_COLUMNS)
                added.append(multiply_add(builder, entries, weighted, so_far))
            return [
                *(builder.add(place, stride) for place in (left_row, right_row)),
                *(builder.add(place, INT(FLOAT_BYTES)) for place in (gram_weight, sum_weight)),
                *added,
                multiply_add(builder, of_sum, row, sums[-1]),
            ]

        *sums, summed = repeat(builder, n, [left, right, *weights, *zeros], add_row)[4:]
        place = after(builder, gram.place, (a, gram_row), (b, INT(FLOAT_BYTES)))
        for number, row in enumerate(sums):
            store(builder, row, after(builder, place, (INT(number), gram_row)))
        store(builder, summed, after(builder, total.place, (b, INT(FLOAT_BYTES))))

    def across(state):
        def down(inner):
            block(state[0], inner[0])
            return [builder.add(inner[0], INT(GRAM_COLUMNS))]

        repeat(builder, blocks, [INT(0)], down)
        return [builder.add(state[0], INT(GRAM_COLUMNS))]

    repeat(builder, blocks, [INT(0)], across)


@njit(cache=True, nogil=True)
def whole_blocks(width):
    """Rows and columns that `gram_and_sum` needs for its results on so many columns."""
    return -(-width // GRAM_COLUMNS) * GRAM_COLUMNS


@in_registers(_weighted_gram)
def gram_and_sum(rows, start, stop, first, in_gram, in_sum, width, gram, total):
    """``x.T @ diag(w) @ x`` and ``v @ x``, float32, where ``x`` is a part of ``rows``.

    For compiled code.

    Parameters
    ----------
    rows : (n, dim)
        ``x`` is ``rows[start:stop, first:first + width]``. The entries of a row stand together.
    in_gram, in_sum : (n,)
        ``w`` and ``v`` are their entries from ``start`` to ``stop``. Contiguous.
    gram : (whole, whole), total : (whole,)
        With ``whole = whole_blocks(width)``. Overwritten; what lies beyond ``width`` is scratch.
    """
    own = rows[start:stop, first : first + width]
    gram[:width, :width] = own.T @ (in_gram[start:stop, None] * own)
    total[:width] = in_sum[start:stop] @ own
