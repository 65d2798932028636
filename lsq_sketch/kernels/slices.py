"""Slices of a flat array of float32, read and added to in the order of the rows of a batch.

For compiled code; see `registers`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

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


class Place(NamedTuple):
    """Some floats of a row or a slice: what reads them and what overwrites them."""

    read: Callable
    write: Callable


def _through_rows(add):
    """LLVM code that goes through rows and their slices, as many floats at once as there are.

    ``add`` is given the `Place` of row and slice, and where the row's factor is.
    """

    def generate(
        builder, values, offsets, t, factors, start, stop, vectors, field, column, width, first,
        circle,
    ):  # fmt: skip
        rows = builder.sub(stop, start)
        first_row = after(
            builder, vectors.place, (field, vectors.strides[1]), (column, INT(FLOAT_BYTES))
        )
        where = after(builder, offsets.place, (t, offsets.strides[0]), (start, INT(INT_BYTES)))
        factor = after(builder, factors.place, (start, INT(FLOAT_BYTES)))
        steps = vectors.strides[0], INT(INT_BYTES), INT(FLOAT_BYTES)

        def straight(offset, length, mask):
            return _floats(
                builder, after(builder, values.place, (offset, INT(FLOAT_BYTES))), length, mask
            )

        def circular(offset, length, mask):
            end = builder.add(first, circle)
            before = first_of(builder, builder.sub(end, offset), length)
            beyond = builder.not_(before)
            if mask is not None:
                before, beyond = builder.and_(before, mask), builder.and_(beyond, mask)
            on, over = (
                straight(offset, length, before),
                straight(builder.sub(offset, circle), length, beyond),
            )

            def write(value):
                on.write(value)
                over.write(value)

            return Place(lambda: builder.select(before, on.read(), over.read()), write)

        def move(piece_at, done, length, mask=None):
            def row_by_row(state):
                row_at, where_at, factor_at = state
                row = _floats(builder, row_at, length, mask)
                offset = builder.add(load(builder, where_at, INT), done)
                add(builder, row, piece_at(offset, length, mask), factor_at)
                return [builder.add(at, step) for at, step in zip(state, steps, strict=True)]

            begin = after(builder, first_row, (done, INT(FLOAT_BYTES)))
            repeat(builder, rows, [begin, where, factor], row_by_row)

        def move_all(piece_at):
            done = INT(0)
            for length in (LONG, SHORT):
                times = builder.sdiv(builder.sub(width, done), INT(length))

                def go_on(state, length=length):
                    move(piece_at, state[0], length)
                    return [builder.add(state[0], INT(length))]

                (done,) = repeat(builder, times, [done], go_on)
            rest = builder.sub(width, done)
            with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
                move(piece_at, done, SHORT, first_of(builder, rest, SHORT))

        with builder.if_else(builder.icmp_signed(">", circle, INT(0))) as (round_it, otherwise):
            with round_it:
                move_all(circular)
            with otherwise:
                move_all(straight)

    return generate


def _floats(builder, place, length, mask):
    return Place(
        lambda: load(builder, place, floats(length), mask),
        lambda value: store(builder, value, place, mask),
    )


def _add_slice_to_row(builder, row, piece, factor):
    row.write(builder.fadd(row.read(), piece.read()))


def _add_row_to_slice(builder, row, piece, factor):
    own = row.read()
    times = spread(builder, load(builder, factor, FLOAT), own.type.count)
    piece.write(builder.fadd(piece.read(), builder.fmul(times, own)))


def _without_factors(generate):
    def without(builder, values, offsets, t, *rest):
        generate(builder, values, offsets, t, values, *rest)

    return without


@in_registers(_without_factors(_through_rows(_add_slice_to_row)))
def add_slices(
    values, offsets, t, start, stop, vectors, field, column, width, first, circle
):  # fmt: skip
    """Add to each row its slice.

    Parameters
    ----------
    values : (size,)
        Contiguous.
    offsets : (terms, n), t : int
        The slice of row ``i`` begins at ``offsets[t, i]``; int64, contiguous.
    start, stop : int
        The rows.
    vectors : (stop - start, fields, columns)
        Row ``i`` is ``vectors[i - start, field, column:column + width]``. The entries of a row
        stand together.
    first, circle : int
        Slices that reach so many floats beyond ``first``, which are no fewer than ``width``, go
        on at ``first`` again. With a circle of 0 none does.
    """
    for i in range(start, stop):
        piece = values[_places(offsets[t, i], width, first, circle)]
        vectors[i - start, field, column : column + width] += piece


@in_registers(_through_rows(_add_row_to_slice))
def add_to_slices(
    values, offsets, t, factors, start, stop, vectors, field, column, width, first, circle
):  # fmt: skip
    """Add ``factors[i]`` times row ``i`` to its slice; see `add_slices`.

    Where slices are the same, or are of at most `SHORT` floats, this is in the order of rows.
    """
    for i in range(start, stop):
        row = vectors[i - start, field, column : column + width]
        values[_places(offsets[t, i], width, first, circle)] += factors[i] * row


def _places(offset, width, first, circle):
    places = np.arange(offset, offset + width)
    return first + (places - first) % circle if circle else places
