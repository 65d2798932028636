"""Slices of a flat array of float32, read and added to in the order of the rows of a batch.

For compiled code; see `registers`.
"""

from .registers import (
    FLOAT,
    FLOAT_BYTES,
    INT,
    INT_BYTES,
    after,
    first_of,
    floats,
    in_registers,
    load,
    repeat,
    spread,
    store,
)

LONG, SHORT = 32, 8
"""Floats of a slice that are moved at once, as long as there are so many."""


def _through_rows(add):
    """LLVM code that goes through rows and their slices, as many floats at once as there are.

    ``add`` is given two functions that read and write vectors, the places of row and slice, and
    that of the row's factor.
    """

    def generate(
        builder, values, offsets, t, factors, start, stop, vectors, field, column, width
    ):  # fmt: skip
        rows = builder.sub(stop, start)
        first_row = after(
            builder, vectors.place, (field, vectors.strides[1]), (column, INT(FLOAT_BYTES))
        )
        where = after(builder, offsets.place, (t, offsets.strides[0]), (start, INT(INT_BYTES)))
        factor = after(builder, factors.place, (start, INT(FLOAT_BYTES)))
        steps = vectors.strides[0], INT(INT_BYTES), INT(FLOAT_BYTES)

        def move(done, length, mask=None):
            kind, moved = floats(length), builder.mul(done, INT(FLOAT_BYTES))
            array = builder.add(values.place, moved)

            def read(place):
                return load(builder, place, kind, mask)

            def write(value, place):
                store(builder, value, place, mask)

            def row_by_row(state):
                row_at, where_at, factor_at = state
                offset = load(builder, where_at, INT)
                slice_at = after(builder, array, (offset, INT(FLOAT_BYTES)))
                add(builder, read, write, row_at, slice_at, factor_at)
                return [builder.add(at, step) for at, step in zip(state, steps, strict=True)]

            repeat(builder, rows, [builder.add(first_row, moved), where, factor], row_by_row)

        done = INT(0)
        for length in (LONG, SHORT):
            times = builder.sdiv(builder.sub(width, done), INT(length))

            def go_on(state, length=length):
                move(state[0], length)
                return [builder.add(state[0], INT(length))]

            (done,) = repeat(builder, times, [done], go_on)
        rest = builder.sub(width, done)
        with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
            move(done, SHORT, first_of(builder, rest, SHORT))

    return generate


def _add_slice_to_row(builder, read, write, row, piece, factor):
    write(builder.fadd(read(row), read(piece)), row)


def _add_row_to_slice(builder, read, write, row, piece, factor):
    own = read(row)
    times = spread(builder, load(builder, factor, FLOAT), own.type.count)
    write(builder.fadd(read(piece), builder.fmul(times, own)), piece)


def _without_factors(generate):
    def without(builder, values, offsets, t, *rest):
        generate(builder, values, offsets, t, values, *rest)

    return without


@in_registers(_without_factors(_through_rows(_add_slice_to_row)))
def add_slices(values, offsets, t, start, stop, vectors, field, column, width):
    """Add to each row its slice.

    Parameters
    ----------
    values : (size,)
        Contiguous.
    offsets : (terms, n), t : int
        The slice of row ``i`` begins at ``offsets[t, i]``; int64, contiguous. Two slices are the
        same or have nothing in common.
    start, stop : int
        The rows.
    vectors : (stop - start, fields, columns)
        Row ``i`` is ``vectors[i - start, field, column:column + width]``. The entries of a row
        stand together.
    """
    for i in range(start, stop):
        piece = values[offsets[t, i] : offsets[t, i] + width]
        vectors[i - start, field, column : column + width] += piece


@in_registers(_through_rows(_add_row_to_slice))
def add_to_slices(values, offsets, t, factors, start, stop, vectors, field, column, width):
    """Add ``factors[i]`` times row ``i`` to its slice, in the order of rows; see `add_slices`."""
    for i in range(start, stop):
        row = vectors[i - start, field, column : column + width]
        values[offsets[t, i] : offsets[t, i] + width] += factors[i] * row
