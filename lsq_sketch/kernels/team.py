"""Products of matrices shared by threads that stay awake.

A thread that sleeps takes longer to wake than a product of some hundred rows takes. The members
of a team therefore look for work all the time. One thread leads: it writes a product down as a
job, and all, it too, take pieces of its rows until none are left. Entries are summed as in
`products`, so that it changes no bit who takes a piece.

A team is an array of words, in which those that several threads write stand on different lines of
the cache. One without words has nobody but the thread that leads.
"""

import ctypes

import numpy as np
from numba import njit

from .products import TILE_ROWS, tiled_product
from .registers import (
    FLOAT_BYTES,
    INT,
    INT_BYTES,
    LANES,
    Array,
    after,
    constant,
    floats,
    in_registers,
    load,
    spread,
)
from .words import add, read, replace, wait, write

ENTRY = INT(FLOAT_BYTES)

TICKET, DONE, OPEN, LONG_WAITS, JOB = 0, 8, 16, 24, 32
"""Places: who is next, pieces done, whether there is work to come, waits too long, a job."""

M, DEPTH, N, STEP, THEN, A, A_ROW, A_COLUMN, B, B_ROW, START, START_ROW = range(12)
OUT, OUT_ROW, BESIDE, BESIDE_ROW = range(12, 16)
"""Of a job: sizes, rows of a piece, what is done with sums, addresses and strides in bytes."""
JOB_WORDS = 16
TEAM_WORDS = JOB + JOB_WORDS

NOTHING, RECTIFY, KEEP_WHERE_POSITIVE = range(3)
"""What is done with sums: the positive part is taken; they are 0 where ``beside`` is at most 0."""

PIECES = 8
"""Of a product, about."""
PIECE_BITS = 16
"""Of a ticket: the next piece of a job; the next higher bits say how many there are, then whose."""
LONG_WAIT, MULTIPLICATIONS_A_MOMENT = 20_000, 100
"""Moments of waiting, beside those that a piece takes, that show others kept from working."""
PATIENCE = 3
"""Such waits after which the team is closed."""


def _rows_of_job(builder, job, first, stop):
    """LLVM code of `_rows`."""

    def word(number):
        return load(builder, after(builder, job.place, (INT(number), INT(INT_BYTES))), INT)

    def matrix(place, row, *shape, column=ENTRY):
        return Array(word(place), [word(row), column], list(shape))

    def from_first(array):
        place = after(builder, array.place, (first, array.strides[0]))
        return array._replace(place=place)

    m, depth, n = builder.sub(stop, first), word(DEPTH), word(N)
    a = matrix(A, A_ROW, m, depth, column=word(A_COLUMN))
    b = matrix(B, B_ROW, depth, n)
    start, out, beside = (
        from_first(matrix(place, row, m, n))
        for place, row in ((START, START_ROW), (OUT, OUT_ROW), (BESIDE, BESIDE_ROW))
    )
    then, kind = word(THEN), floats(LANES)
    zero = constant(kind, [0.0] * LANES)
    lowest = constant(kind, [float("-inf")] * LANES)
    rectifies = builder.icmp_signed("==", then, INT(RECTIFY))
    lowest = builder.select(rectifies, zero, lowest)
    keeps_all = spread(builder, builder.icmp_signed("!=", then, INT(KEEP_WHERE_POSITIVE)), LANES)

    def finish(sums, row, column, mask):
        sums = builder.select(builder.fcmp_ordered("<", sums, lowest), lowest, sums)
        place = after(builder, beside.place, (row, beside.strides[0]), (column, ENTRY))
        kept = builder.fcmp_ordered(">", load(builder, place, kind, mask), zero)
        return builder.select(builder.or_(kept, keeps_all), sums, zero)

    tiled_product(builder, from_first(a), b, start, out, finish)


@in_registers(_rows_of_job)
def _rows(job, first, stop):
    """Rows ``first:stop`` of a job."""

    def matrix(place, row, *shape, column=FLOAT_BYTES):
        strides = int(job[row]), int(column)
        if 0 in shape:
            return np.zeros(shape, np.float32)
        size = FLOAT_BYTES + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        data = (ctypes.c_char * size).from_address(int(job[place]))
        return np.ndarray(shape, np.float32, data, 0, strides)

    m, depth, n = (int(job[number]) for number in (M, DEPTH, N))
    part = slice(first, stop)
    a = matrix(A, A_ROW, m, depth, column=job[A_COLUMN])[part]
    sums = matrix(START, START_ROW, m, n)[part] + a @ matrix(B, B_ROW, depth, n)
    if job[THEN] == RECTIFY:
        np.maximum(sums, 0, out=sums)
    elif job[THEN] == KEEP_WHERE_POSITIVE:
        sums[matrix(BESIDE, BESIDE_ROW, m, n)[part] <= 0] = 0
    matrix(OUT, OUT_ROW, m, n)[part] = sums


@njit(cache=True, nogil=True)
def _describe(job, a, b, start, out, then, beside):
    job[M], job[DEPTH], job[N], job[THEN] = a.shape[0], a.shape[1], b.shape[1], then
    job[A], job[A_ROW], job[A_COLUMN] = a.ctypes.data, a.strides[0], a.strides[1]
    job[B], job[B_ROW] = b.ctypes.data, b.strides[0]
    job[START], job[START_ROW] = start.ctypes.data, start.strides[0]
    job[OUT], job[OUT_ROW] = out.ctypes.data, out.strides[0]
    job[BESIDE], job[BESIDE_ROW] = beside.ctypes.data, beside.strides[0]


@njit(cache=True, nogil=True)
def _take_pieces(team):
    """Do pieces of the job at hand until none are left to be begun."""
    job, mask = team[JOB:], (1 << PIECE_BITS) - 1
    while True:
        ticket = read(team, TICKET)
        piece = ticket & mask
        if piece >= (ticket >> PIECE_BITS) & mask:
            return
        if replace(team, TICKET, ticket, ticket + 1):  # the job stays until this piece is done
            first = piece * job[STEP]
            _rows(job, first, min(first + job[STEP], job[M]))
            add(team, DONE, 1)


@njit(cache=True, nogil=True)
def serve(team):
    """Take pieces of all jobs, until the team is closed."""
    while read(team, OPEN):
        _take_pieces(team)
        wait()


@njit(cache=True, nogil=True)
def product(team, a, b, start, out, then, beside):
    """``out = start + a @ b``, and what is done then, by all members.

    Parameters
    ----------
    team : (TEAM_WORDS,) int64, or (0,)
    a : (m, k) float32
        In any layout.
    b : (k, n), start, out, beside : (m, n)
        The entries of a row stand together. ``out`` is overwritten and must not overlap the
        others, but for ``start``, which it may be. ``beside`` is read if it is needed only.
    then : int
        `NOTHING`, `RECTIFY` or `KEEP_WHERE_POSITIVE`.
    """
    m = a.shape[0]
    if team.size == 0 or not read(team, OPEN):
        alone = np.empty(JOB_WORDS, np.int64)
        _describe(alone, a, b, start, out, then, beside)
        _rows(alone, 0, m)
        return
    tiles = max(1, -(-m // TILE_ROWS))
    step = -(-tiles // PIECES) * TILE_ROWS
    pieces = -(-m // step)
    job = team[JOB:]
    _describe(job, a, b, start, out, then, beside)
    job[STEP] = step
    write(team, DONE, 0)
    number = ((read(team, TICKET) >> 2 * PIECE_BITS) + 1) & ((1 << 31) - 1)
    write(team, TICKET, number << 2 * PIECE_BITS | pieces << PIECE_BITS)
    _take_pieces(team)
    waited = 0
    while read(team, DONE) < pieces:
        wait()
        waited += 1
    if waited >= LONG_WAIT + step * a.shape[1] * b.shape[1] // MULTIPLICATIONS_A_MOMENT:
        team[LONG_WAITS] += 1
        if team[LONG_WAITS] >= PATIENCE:
            write(team, OPEN, 0)
