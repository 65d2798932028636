"""Moving IDs where both vectors of a pair are made of codewords, chunk by chunk of columns.

A score is then a sum of inner products of codewords, one for each chunk. These stay in the cache,
and no vector is ever formed: what is read of a row is its two IDs, the codewords that the other one
has, and its label.

Where few codewords are tried on every row, their products are so few that they are worked out once:
``products[chunk, b, k]`` is the inner product of the other field's codeword ``b`` and of codeword
``k`` of the field whose IDs move. The same is done in the search for nearest neighbours by product
quantisation, where it is called symmetric distance computation (Jegou, Douze and Schmid 2011).
"""

import numpy as np
from llvmlite import ir
from numba import njit

from .products import multiply
from .reassignment import GAUSS_NEWTON, accept_moves, expand_ids, parabolas, sum_by_id
from .registers import (
    FLOAT,
    FLOAT_BYTES,
    INDEX,
    INDEX_BYTES,
    INT,
    LANES,
    after,
    constant,
    first_of,
    floats,
    in_registers,
    load,
    multiply_add,
    repeat,
    spread,
    store,
    sum_of,
)
from .slices import SHORT, add_slices

ROWS_A_BLOCK = 2048
"""Rows whose scores, losses and so on stay in the cache, unless one ID has more."""

REGISTERS = 4
"""Registers of codewords whose costs are summed at once."""

SCRATCH = 9
"""Numbers kept of each row of a block."""


@njit(cache=True, nogil=True)
def products_of_codewords(others, own, products):
    """Inner products of all pairs of codewords, chunk by chunk.

    Parameters
    ----------
    others : (chunks, L, width), own : (chunks, K, width)
    products : (chunks, L, whole)
        Overwritten; ``whole`` is K or more, and what is beyond K becomes 0.
    """
    transposed = np.zeros((own.shape[2], products.shape[2]), np.float32)
    for chunk in range(own.shape[0]):
        transposed[:, : own.shape[1]] = own[chunk].T
        multiply(others[chunk], transposed, products[chunk])


def _add_pair_scores(builder, own, others, codes, start, stop, scores):
    """LLVM code of `add_pair_scores`: row by row, sums of eight that become one at the end."""
    kind, (n_chunks, width) = floats(SHORT), own.shape
    whole = builder.sdiv(width, INT(SHORT))
    rest = builder.srem(width, INT(SHORT))
    mask = first_of(builder, rest, SHORT)
    is_rest = builder.zext(builder.icmp_signed(">", rest, INT(0)), INT)

    def row(state):
        codes_at, score_at = state

        def chunk(inner):
            code_at, own_at, others_at, total = inner
            code = builder.sext(load(builder, code_at, INDEX), INT)

            def eight(values, mask=None):
                *places, so_far = values
                entry, other = (load(builder, at, kind, mask) for at in places)
                following = [builder.add(at, INT(FLOAT_BYTES * SHORT)) for at in places]
                return [*following, multiply_add(builder, entry, other, so_far)]

            begin = [own_at, after(builder, others_at, (code, others.strides[1])), total]
            most = repeat(builder, whole, begin, eight)
            *_, total = repeat(builder, is_rest, most, lambda values: eight(values, mask))
            steps = codes.strides[0], own.strides[0], others.strides[0]
            following = (builder.add(at, step) for at, step in zip(inner, steps, strict=False))
            return [*following, total]

        begin = [codes_at, own.place, others.place, constant(kind, [0.0] * SHORT)]
        *_, total = repeat(builder, n_chunks, begin, chunk)
        score = builder.fadd(load(builder, score_at, FLOAT), sum_of(builder, [total]))
        store(builder, score, score_at)
        return [
            builder.add(codes_at, INT(INDEX_BYTES)),
            builder.add(score_at, INT(FLOAT_BYTES)),
        ]

    begin = [
        after(builder, codes.place, (start, INT(INDEX_BYTES))),
        after(builder, scores.place, (start, INT(FLOAT_BYTES))),
    ]
    repeat(builder, builder.sub(stop, start), begin, row)


@in_registers(_add_pair_scores)
def add_pair_scores(own, others, codes, start, stop, scores):
    """Add to the scores of an ID's rows the inner products of both codewords of each chunk.

    For compiled code.

    Parameters
    ----------
    own : (chunks, width)
        The ID's codewords.
    others : (chunks, L, width)
        Of the other field. Entries of a codeword stand together, here as there.
    codes : (chunks, rows)
        Of int32: each row's other codewords. Those of a chunk stand together.
    start, stop : int
        The rows.
    scores : (rows,)
        Of float32, changed in place.
    """
    for chunk in range(own.shape[0]):
        scores[start:stop] += others[chunk, codes[chunk, start:stop]] @ own[chunk]


def _least_parabola(
    builder, products, codes, start, stop, old, firsts, seconds, factors, penalties, best, least
):  # fmt: skip
    """LLVM code of `least_parabola`: `REGISTERS` of codewords at a time, or one.

    The least cost so far, and whose it is, stay in registers, a lane for each codeword of one.
    """
    kind, labels = floats(LANES), ir.VectorType(INDEX, LANES)
    zero = constant(kind, [0.0] * LANES)
    rows, (whole,) = builder.sub(stop, start), penalties.shape
    begin = [
        after(builder, codes.place, (start, INT(INDEX_BYTES))),
        *(after(builder, array.place, (start, INT(FLOAT_BYTES))) for array in (firsts, seconds)),
    ]
    steps = INT(INDEX_BYTES), INT(FLOAT_BYTES), INT(FLOAT_BYTES)
    present = after(builder, products.place, (old, INT(FLOAT_BYTES)))
    weight, half = (
        spread(builder, load(builder, builder.add(factors.place, INT(skipped)), FLOAT), LANES)
        for skipped in (0, FLOAT_BYTES)
    )

    def some(done, registers, found):
        skipped = after(builder, products.place, (done, INT(FLOAT_BYTES)))

        def add_row(state):
            at, sums = state[:3], state[3:]
            code = builder.sext(load(builder, at[0], INDEX), INT)
            place = builder.mul(code, products.strides[0])
            stay = load(builder, builder.add(present, place), FLOAT)
            values = (stay, *(load(builder, here, FLOAT) for here in at[1:]))
            stay, slope, curvature = (spread(builder, value, LANES) for value in values)
            curvature = builder.fmul(half, curvature)
            row = builder.add(skipped, place)
            added = []
            for r, so_far in enumerate(sums):
                product = load(builder, builder.add(row, INT(FLOAT_BYTES * LANES * r)), kind)
                change = builder.fsub(product, stay)
                mean_slope = multiply_add(builder, curvature, change, slope)
                added.append(multiply_add(builder, mean_slope, change, so_far))
            following = [builder.add(here, step) for here, step in zip(at, steps, strict=True)]
            return [*following, *added]

        sums = repeat(builder, rows, [*begin, *[zero] * registers], add_row)[3:]
        start_at = after(builder, penalties.place, (done, INT(FLOAT_BYTES)))
        numbers = constant(labels, range(LANES))
        value, label = found
        for r, total in enumerate(sums):
            penalty = load(builder, builder.add(start_at, INT(FLOAT_BYTES * LANES * r)), kind)
            cost = multiply_add(builder, weight, total, penalty)
            number = builder.add(done, INT(LANES * r))
            number = builder.add(spread(builder, builder.trunc(number, INDEX), LANES), numbers)
            less = builder.fcmp_ordered("<", cost, value)
            value, label = builder.select(less, cost, value), builder.select(less, number, label)
        return [value, label]

    found = [constant(kind, [float("inf")] * LANES), constant(labels, [0] * LANES)]
    done = INT(0)
    for registers in (REGISTERS, 1):
        length = INT(registers * LANES)

        def go_on(state, registers=registers, length=length):
            done, *found = state
            return [builder.add(done, length), *some(done, registers, found)]

        times = builder.sdiv(builder.sub(whole, done), length)
        done, *found = repeat(builder, times, [done, *found], go_on)
    value, label = _first_least_lane(builder, *found)
    store(builder, value, least.place)
    store(builder, label, best.place)


def _first_least_lane(builder, values, labels):
    """The least entry of a vector, and its label: of several the least."""
    apart = LANES // 2
    while apart:
        pattern = [(lane + apart) % LANES for lane in range(LANES)]
        pattern = constant(ir.VectorType(INDEX, LANES), pattern)
        others, others_labels = (
            builder.shuffle_vector(vector, vector, pattern) for vector in (values, labels)
        )
        less = builder.fcmp_ordered("<", others, values)
        same = builder.fcmp_ordered("==", others, values)
        before = builder.icmp_signed("<", others_labels, labels)
        taken = builder.or_(less, builder.and_(same, before))
        values = builder.select(taken, others, values)
        labels = builder.select(taken, others_labels, labels)
        apart //= 2
    return (builder.extract_element(vector, INDEX(0)) for vector in (values, labels))


@in_registers(_least_parabola)
def least_parabola(
    products, codes, start, stop, old, firsts, seconds, factors, penalties, best, least
):  # fmt: skip
    """The codeword that costs least an ID, its rows' losses taken to second order.

    For compiled code. Costs are relative to those of the present codeword.

    Parameters
    ----------
    products : (L, whole)
        With the other field's codewords; ``whole`` is a multiple of `LANES`.
    codes : (rows,)
        Of int32: each row's other codeword.
    start, stop : int
        The ID's rows.
    old : int
        Its present codeword.
    firsts, seconds : (rows,)
        Derivatives of each row's loss by its score.
    factors : (2,)
        How many rows each stands for, and half of the damping.
    penalties : (whole,)
        Added to the costs; infinite where there is no codeword.
    best, least : (1,)
        Of int32 and float32, overwritten: the first codeword of least cost, and its cost. With
        not-a-numbers only, or infinite costs only, 0 and infinity.
    """
    costs = penalties.astype(np.float64)
    for i in range(start, stop):
        row = products[codes[i]]
        change = row.astype(np.float64) - row[old]
        costs += factors[0] * change * (firsts[i] + factors[1] * seconds[i] * change)
    costs[np.isnan(costs)] = np.inf
    best[0], least[0] = costs.argmin(), costs.min()


@njit(cache=True, nogil=True)
def read_pairs(
    order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field,
    codebook, other_codebook, assigned, others, seen, bounds, weights, codes, scores, targets,
):  # fmt: skip
    """Read the rows of the next IDs, as many as a block takes, and score them.

    ``seen``, ``bounds`` and ``weights`` are overwritten: IDs that have rows, where these begin, how
    many each stands for. See `move_pairs` for the others.

    Returns
    -------
    stop : int
        The first ID that is not read.
    count : int
        IDs that have rows.
    """
    n_chunks, width = codebook.shape[0], codebook.shape[2]
    own = np.empty((n_chunks, width), np.float32)
    n, count = 0, 0
    j = first
    while j < stop:
        begin, own_rows = starts[j], starts[j + 1] - starts[j]
        kept = min(own_rows, most)
        if count and (n + kept > ROWS_A_BLOCK or count == ROWS_A_BLOCK):
            break
        if kept:
            seen[count], bounds[count], weights[count] = j, n, weight * own_rows / kept
            count += 1
            for i in range(kept):
                at = i if kept == own_rows else i * own_rows // kept
                row = np.uint64(order[begin + at])  # unsigned: nothing counts from the end
                other = np.uint64(ids[row, 1 - field])
                targets[n + i] = labels[row]
                scores[n + i] = own_biases[j] + other_biases[other]
                codes[0, n + i] = np.int32(other)
            # the first chunk last: till then its codes are the other IDs
            for chunk in range(n_chunks - 1, -1, -1):
                present = np.uint64(assigned[j, chunk])
                for t in range(width):
                    own[chunk, t] = codebook[chunk, present, t]
                for i in range(n, n + kept):
                    codes[chunk, i] = others[np.uint64(codes[0, i]), chunk]
            add_pair_scores(own, other_codebook, codes, n, n + kept, scores)
            n += kept
        j += 1
    bounds[count] = n
    return j, count


@njit(cache=True, nogil=True)
def gather_others(codewords, codes, n, offsets, slopes):
    """Codewords of the other field that rows have in one chunk, ``slopes`` (room, width).

    Parameters
    ----------
    codewords : (L, width), codes : (rows,)
        Of the chunk.
    n : int
        Rows.
    offsets : (1, room)
        Overwritten, of int64.
    """
    width = slopes.shape[1]
    for i in range(n):
        offsets[0, i] = np.int64(codes[i]) * width
    slopes[:n] = np.float32(0)
    rows = slopes.reshape(slopes.shape[0], 1, width)
    add_slices(codewords.reshape(-1), offsets, 0, 0, n, rows, 0, 0, width, 0, 0)


@njit(cache=True, nogil=True)
def expand_block(
    chunk, codebook, other_codebook, codes, offsets, damping, assigned, seen, bounds, weights,
    scratch, slopes, present, of_ids, curvatures,
):  # fmt: skip
    """Coefficients of the parabolas of a block's IDs in one chunk; see `expand_ids`.

    Parameters
    ----------
    seen, bounds, weights, codes
        From `read_pairs`.
    scratch : (`SCRATCH`, room)
        With the derivatives of the rows' losses.
    slopes, present, of_ids, curvatures
        Overwritten: the other codewords of the rows; the IDs' own ones; what is asked for.

    The other parameters are those of `move_pairs`.
    """
    count = seen.size
    gather_others(other_codebook[chunk], codes[chunk], bounds[count], offsets, slopes)
    for s in range(count):
        present[s] = assigned[seen[s], chunk]
    expand_ids(
        slopes, scratch[3], scratch[4], bounds, weights, damping, 0, codebook[chunk], present,
        np.arange(count), of_ids, curvatures,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def expand_pairs(
    order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field, loss,
    damping, chunk, codebook, other_codebook, assigned, others, codes, offsets, scratch, slopes,
    out, curvatures,
):  # fmt: skip
    """Coefficients of IDs' parabolas in one chunk, ``out`` (ids, features); see `expand_ids`.

    Parameters
    ----------
    first, stop : int
        The IDs, each of which has rows.
    offsets : (1, room), slopes : (room, width)
        Overwritten, of int64 and float32. The other parameters are those of `move_pairs`.
    """
    seen, bounds = np.empty(ROWS_A_BLOCK, np.int64), np.empty(ROWS_A_BLOCK + 1, np.int64)
    weights, present = np.empty(ROWS_A_BLOCK), np.empty(ROWS_A_BLOCK, np.int64)
    while first < stop:
        before = first
        first, count = read_pairs(
            order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field,
            codebook, other_codebook, assigned, others, seen, bounds, weights, codes, scratch[0],
            scratch[1],
        )  # fmt: skip
        n = bounds[count]
        parabolas(
            loss, GAUSS_NEWTON, scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n],
            scratch[4, :n],
        )  # fmt: skip
        expand_block(
            chunk, codebook, other_codebook, codes, offsets, damping, assigned, seen[:count],
            bounds, weights, scratch, slopes, present, out[before:first], curvatures[before:first],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def move_pairs(
    order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field, loss,
    curvature, damping, chunks, codebook, other_codebook, products, penalties, margin, assigned,
    others, codes, scratch,
):  # fmt: skip
    """Move IDs, chunk by chunk, to the codeword of least cost by the parabola of their rows' loss.

    A move that does not lower the loss itself, by more than ``margin``, is not made.

    Parameters
    ----------
    order : (rows,), starts : (ids + 1,)
        Rows in the order of the field's IDs, and where each ID's begin; see `sort_by_id`.
    first, stop : int
        The IDs.
    most : int, weight : float
        Rows of an ID that are looked at, spread over all; how many rows each row stands for.
    ids : (rows, 2), labels : (rows,)
    own_biases : (ids,), other_biases : (other ids,)
        Added to the scores.
    field : int
        Whose IDs move.
    chunks : (n,)
        Whose turn it is.
    codebook : (chunks, K, width), other_codebook : (chunks, L, width)
        Of both fields.
    products : (chunks, L, whole)
        From `products_of_codewords`.
    penalties : (chunks, whole)
        Of float32; infinite where there is no codeword.
    assigned : (ids, chunks), others : (other ids, chunks)
        Codewords of both fields; the former changed in place. IDs without rows stay.
    codes : (chunks, room), scratch : (`SCRATCH`, room)
        Overwritten, of int32 and float32. Room for `ROWS_A_BLOCK` rows, and for those of an ID.

    Returns
    -------
    int
        Assignments that have changed.
    """
    scores, targets, losses, firsts, seconds = (
        scratch[0], scratch[1], scratch[2], scratch[3], scratch[4],
    )  # fmt: skip
    seen, bounds = np.empty(ROWS_A_BLOCK, np.int64), np.empty(ROWS_A_BLOCK + 1, np.int64)
    movers, wanted = np.empty(ROWS_A_BLOCK, np.int64), np.empty(ROWS_A_BLOCK, np.int64)
    present = np.empty(ROWS_A_BLOCK, np.int64)
    weights, sums, charges = (
        np.empty(ROWS_A_BLOCK), np.empty(ROWS_A_BLOCK), np.empty(ROWS_A_BLOCK),
    )  # fmt: skip
    factors = np.array([1.0, 0.5 * damping]).astype(np.float32)
    best, least = np.empty(1, np.int32), np.empty(1, np.float32)
    moved = 0
    while first < stop:
        first, count = read_pairs(
            order, starts, first, stop, most, weight, ids, labels, own_biases, other_biases, field,
            codebook, other_codebook, assigned, others, seen, bounds, weights, codes, scores,
            targets,
        )  # fmt: skip
        n = bounds[count]
        parabolas(loss, curvature, scores[:n], targets[:n], losses[:n], firsts[:n], seconds[:n])
        sum_by_id(losses, bounds, sums[:count])
        for chunk in chunks:
            table, there, penalty = products[chunk], codes[chunk], penalties[chunk]
            m = 0
            for s in range(count):
                old = np.int64(assigned[seen[s], chunk])
                present[s] = old
                factors[0] = weights[s]
                least_parabola(
                    table, there, bounds[s], bounds[s + 1], old, firsts, seconds, factors, penalty,
                    best, least,
                )  # fmt: skip
                if least[0] < penalty[old]:
                    movers[m], wanted[m] = s, best[0]
                    charges[m] = np.float64(penalty[best[0]]) - np.float64(penalty[old])
                    m += 1
            moved += make_pair_moves(
                table, there, bounds, weights, loss, curvature, movers[:m], wanted, charges,
                margin, present, scratch, sums,
            )  # fmt: skip
            for r in range(m):
                assigned[seen[movers[r]], chunk] = present[movers[r]]
    return moved


@njit(cache=True, nogil=True)
def make_pair_moves(
    products, codes, bounds, weights, loss, curvature, movers, wanted, charges, margin, present,
    scratch, sums,
):  # fmt: skip
    """Move IDs of a block in one chunk where that lowers their loss and charge.

    Parameters
    ----------
    products : (L, whole), codes : (rows,)
        Of the chunk; see `least_parabola`.
    present, sums : (IDs,)
        Codewords and summed losses; brought up to date.
    scratch : (`SCRATCH`, room)
        Rows' scores, labels, losses, slopes and curvatures, brought up to date; then room.

    The other parameters, and what is returned, are those of `reassignment.accept_moves`.
    """
    scores, targets, losses, firsts, seconds = (
        scratch[0], scratch[1], scratch[2], scratch[3], scratch[4],
    )  # fmt: skip
    trial, trial_targets, trial_firsts, trial_seconds = (
        scratch[5], scratch[6], scratch[7], scratch[8],
    )  # fmt: skip
    n = 0
    for m in range(movers.size):
        old, new = np.uint64(present[movers[m]]), np.uint64(wanted[m])
        for i in range(bounds[movers[m]], bounds[movers[m] + 1]):
            other = np.uint64(codes[i])
            trial[n] = scores[i] + (products[other, new] - products[other, old])
            trial_targets[n] = targets[i]
            n += 1
    parabolas(
        loss, curvature, trial[:n], trial_targets[:n], losses[:n], trial_firsts[:n],
        trial_seconds[:n],
    )  # fmt: skip
    return accept_moves(
        movers, wanted, bounds, weights, charges, margin, losses, trial, trial_firsts,
        trial_seconds, present, sums, scores, firsts, seconds,
    )  # fmt: skip
