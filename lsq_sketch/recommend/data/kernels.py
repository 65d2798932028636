"""Compiled loops over the bytes of text files.

Bytes of whole lines in, arrays and a reason for each malformed line out. Numbers are kept in
64-bit signed integers throughout, so that interpreted runs compute the same.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

READ, COLUMNS, EMPTY_ID, LONG_ID, RATING, TIMESTAMP, QUOTE, NUL, LABEL, INTEGER, CATEGORY = range(
    11
)

BLANK = 100
"""Reason of an empty line: neither read nor malformed."""

LONGEST_ID = 255

LARGEST_RATING = 1e18
"""In magnitude: its square still is a float32."""

HASH_PRIME = 2147483647
SPREAD = 1640531527
CATEGORY_PRIME = 4294967311
"""The least prime above 2^32, the range of a category of eight hexadecimal digits."""

_SPACE, _QUOTE, _PLUS, _MINUS, _DOT, _ZERO, _NINE, _RETURN = 32, 34, 43, 45, 46, 48, 57, 13


@njit(cache=True)
def decimal(buffer, start, end):
    """The decimal number written in ``buffer[start:end]``, and whether there is one.

    Right to a few units in the last place of a float64, exact for up to 15 digits and 22 places.
    What is too small for a float64 becomes 0; what is too large is no number.
    """
    position, negative = start, False
    if position < end and (buffer[position] == _PLUS or buffer[position] == _MINUS):
        negative = buffer[position] == _MINUS
        position += 1
    mantissa, shift, digits, point = 0, 0, 0, False
    while position < end:
        byte = int(buffer[position])
        if byte == _DOT and not point:
            point = True
        elif _ZERO <= byte <= _NINE:
            digits += 1
            if mantissa < 100_000_000_000_000_000:
                mantissa = mantissa * 10 + byte - _ZERO
                shift -= int(point)
            else:  # beyond what a float64 holds
                shift += int(not point)
        else:
            break
        position += 1
    if digits == 0:
        return 0.0, False
    if position < end and (buffer[position] == 69 or buffer[position] == 101):  # E, e
        position += 1
        sign = 1
        if position < end and (buffer[position] == _PLUS or buffer[position] == _MINUS):
            sign = -1 if buffer[position] == _MINUS else 1
            position += 1
        exponent, digits = 0, 0
        while position < end and _ZERO <= buffer[position] <= _NINE and digits < 4:
            exponent = exponent * 10 + int(buffer[position]) - _ZERO
            digits += 1
            position += 1
        if digits == 0:
            return 0.0, False
        shift += sign * exponent
    if position < end:
        return 0.0, False
    if mantissa == 0:
        return 0.0, True
    if shift > 308:
        return 0.0, False
    value = float(mantissa)
    if shift >= 0:
        value *= 10.0 ** float(shift)
    else:  # in two steps: 10^300 is a float64, the inverse of a subnormal number is not
        first = min(-shift, 300)
        value = value / 10.0 ** float(first) / 10.0 ** float(min(-shift - first, 300))
    return (-value if negative else value), value < math.inf


@njit(cache=True)
def fields_of_line(buffer, start, end, separator, width, quoted, bounds):
    """Write where the fields of a line begin and end; return their number.

    One more than ``len(bounds)`` stands for any larger number, -1 for a quote that is not closed
    at the end of its field. Spaces around fields are left out, and their quotes.
    """
    n, position = 0, start
    while True:
        while position < end and buffer[position] == _SPACE:
            position += 1
        left, right = position, -1
        if quoted and position < end and buffer[position] == _QUOTE:
            position += 1
            left = position
            while position < end and buffer[position] != _QUOTE:
                position += 1
            if position == end:
                return -1
            right = position
            position += 1
            while position < end and buffer[position] == _SPACE:
                position += 1
        found = False
        while position < end:
            if buffer[position] == separator and (
                width == 1 or (position + 1 < end and buffer[position + 1] == separator)
            ):
                found = True
                break
            if right >= 0:  # something between the closing quote and the separator
                return -1
            position += 1
        if right < 0:
            right = position
            while right > left and buffer[right - 1] == _SPACE:
                right -= 1
        if n == len(bounds):
            return n + 1
        bounds[n, 0] = left
        bounds[n, 1] = right
        n += 1
        if not found:
            return n
        position += width


@njit(cache=True)
def line_end(buffer, start, end):
    """Where the text of a line ends: before its carriage return and its last spaces."""
    while end > start and (buffer[end - 1] == _RETURN or buffer[end - 1] == _SPACE):
        end -= 1
    return end


@njit(cache=True)
def parse_ratings(
    buffer, starts, ends, separator, width, quoted, n_columns, bounds, ratings, times, reasons
):
    """Read lines ``user item rating [timestamp]``.

    ``bounds`` (n, 4) receives where user and item begin and end, ``ratings`` and ``times`` their
    numbers, ``reasons`` why a line is malformed.
    """
    fields = np.empty((n_columns, 2), np.int64)
    for i in range(starts.size):
        start = starts[i]
        end = line_end(buffer, start, ends[i])
        if start == end:
            reasons[i] = BLANK
            continue
        reasons[i] = READ
        for position in range(start, end):
            if buffer[position] == 0:
                reasons[i] = NUL
        if reasons[i] == NUL:
            continue
        n = fields_of_line(buffer, start, end, separator, width, quoted, fields)
        if n != n_columns:
            reasons[i] = QUOTE if n < 0 else COLUMNS
            continue
        for f in range(2):
            bounds[i, 2 * f] = fields[f, 0]
            bounds[i, 2 * f + 1] = fields[f, 1]
            length = fields[f, 1] - fields[f, 0]
            if length == 0:
                reasons[i] = EMPTY_ID
            elif length > LONGEST_ID:
                reasons[i] = LONG_ID
        if reasons[i] != READ:
            continue
        ratings[i], good = decimal(buffer, fields[2, 0], fields[2, 1])
        if not good or abs(ratings[i]) > LARGEST_RATING:
            reasons[i] = RATING
        elif n_columns == 4:
            times[i], good = decimal(buffer, fields[3, 0], fields[3, 1])
            if not good:
                reasons[i] = TIMESTAMP


@njit(cache=True)
def place(slots, hashes, index):
    """Write an ID that is in no slot yet into the first free one from its hash on."""
    mask = slots.size - 1
    slot = ((hashes[index] * SPREAD) >> 20) & mask
    while slots[slot] >= 0:
        slot = (slot + 1) & mask
    slots[slot] = index


@njit(cache=True)
def rehash(slots, hashes, n):
    """Fill a larger, empty table with the first ``n`` IDs."""
    for index in range(n):
        place(slots, hashes, index)


@njit(cache=True)
def intern(buffer, bounds, slots, hashes, keys, offsets, n, codes):
    """Number the byte strings ``buffer[bounds[i, 0]:bounds[i, 1]]`` in the order of first sight.

    ``slots`` (a power of two, -1 where free) is a hash table with linear probing, ``keys`` holds
    the bytes of all strings, number ``j`` at ``offsets[j]:offsets[j + 1]``. All have room for
    whatever may come. Returns how many strings are known.
    """
    mask = slots.size - 1
    for i in range(len(bounds)):
        start, end = bounds[i, 0], bounds[i, 1]
        length = end - start
        value = 0
        for position in range(start, end):
            value = (value * 257 + int(buffer[position]) + 1) % HASH_PRIME
        slot = ((value * SPREAD) >> 20) & mask
        code = -1
        while slots[slot] >= 0 and code < 0:
            known = slots[slot]
            first = offsets[known]
            if hashes[known] == value and offsets[known + 1] - first == length:
                code = known
                for j in range(length):
                    if keys[first + j] != buffer[start + j]:
                        code = -1
                        break
            slot = (slot + 1) & mask
        if code < 0:
            code = n
            hashes[n] = value
            first = offsets[n]
            for j in range(length):
                keys[first + j] = buffer[start + j]
            offsets[n + 1] = first + length
            place(slots, hashes, n)
            n += 1
        codes[i] = code
    return n


@njit(cache=True)
def hexadecimal(buffer, start, end):
    """The number of one to eight hexadecimal digits, or -1."""
    if not 1 <= end - start <= 8:
        return -1
    value = 0
    for position in range(start, end):
        byte = int(buffer[position])
        if _ZERO <= byte <= _NINE:
            digit = byte - _ZERO
        elif 97 <= byte <= 102:
            digit = byte - 87
        elif 65 <= byte <= 70:
            digit = byte - 55
        else:
            return -1
        value = value * 16 + digit
    return value


@njit(cache=True)
def integer_text(buffer, start, end):
    """The integer of at most 18 digits written there, and whether there is one."""
    position = start + 1 if start < end and buffer[start] == _MINUS else start
    if not 1 <= end - position <= 18:
        return 0, False
    value = 0
    for p in range(position, end):
        if not _ZERO <= buffer[p] <= _NINE:
            return 0, False
        value = value * 10 + int(buffer[p]) - _ZERO
    return (-value if position > start else value), True


@njit(cache=True)
def parse_criteo(
    buffer, starts, ends, multipliers, increments, buckets, labels, dense, ids, reasons
):
    """Read lines of a label, 13 integers and 26 categories, separated by tabs.

    ``dense`` (n, 13) receives ``sign(x) log(1 + |x|)``, 0 where missing; ``ids`` (n, 26) the
    bucket ``((a_f v + b_f) mod p) mod buckets`` of each category ``v``, or ``buckets`` where it
    is missing.
    """
    n_dense, n_fields = dense.shape[1], ids.shape[1]
    n_columns = 1 + n_dense + n_fields
    for i in range(starts.size):
        position = starts[i]
        end = ends[i]
        if end > position and buffer[end - 1] == _RETURN:
            end -= 1
        if position == end:
            reasons[i] = BLANK
            continue
        tabs = 0
        for p in range(position, end):
            tabs += int(buffer[p] == 9)
        if tabs != n_columns - 1:
            reasons[i] = COLUMNS
            continue
        reasons[i] = READ
        for column in range(n_columns):
            stop = position
            while stop < end and buffer[stop] != 9:
                stop += 1
            if column == 0:
                if stop - position != 1 or not 48 <= buffer[position] <= 49:
                    reasons[i] = LABEL
                    break
                labels[i] = float(buffer[position]) - _ZERO
            elif column <= n_dense:
                value, good = 0, True
                if stop > position:
                    value, good = integer_text(buffer, position, stop)
                if not good:
                    reasons[i] = INTEGER
                    break
                size = math.log1p(abs(float(value)))
                dense[i, column - 1] = -size if value < 0 else size
            else:
                f = column - 1 - n_dense
                if stop == position:
                    ids[i, f] = buckets
                else:
                    category = hexadecimal(buffer, position, stop)
                    if category < 0:
                        reasons[i] = CATEGORY
                        break
                    mixed = (multipliers[f] * category + increments[f]) % CATEGORY_PRIME
                    ids[i, f] = mixed % buckets
            position = stop + 1


@njit(cache=True)
def count_ids(ids, counts):
    """Add to ``counts`` (n_fields, cardinality) how often each ID of each field occurs."""
    for i in range(ids.shape[0]):
        for f in range(ids.shape[1]):
            counts[f, ids[i, f]] += 1


@njit(cache=True)
def renumber(ids, lookup):
    """Replace each ID by its entry in ``lookup`` (n_fields, cardinality), in place."""
    for i in range(ids.shape[0]):
        for f in range(ids.shape[1]):
            ids[i, f] = lookup[f, ids[i, f]]
