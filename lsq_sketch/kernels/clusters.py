"""The clustering step of a chunk of columns: many short float32 vectors, many centroids."""

import numpy as np
from llvmlite import ir
from numba import njit, types

from .argmin import POINT_BLOCK, first_least, first_least_in_blocks, in_blocks
from .embedding import HALF
from .registers import (
    DOUBLE,
    DOUBLE_BYTES,
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

UNIFORM, SPREAD, WARM = 0, 1, 2

REGISTERS = 4
"""Registers of points whose distances to a seed are found at once."""

COLUMNS_AT_ONCE = 8
"""Entries of a row that are added to a sum at once."""


@njit(cache=True, nogil=True)
def nearest_centroid(points, centroids, start, stop, labels):
    """Nearest centroid of points ``start:stop``, the first of several equal ones.

    Distances are compared without the point's own squared length.
    """
    norms = squared_lengths(centroids)
    first_least(points, np.float32(-2), centroids, norms, start, stop, labels)


@njit(cache=True, nogil=True)
def nearest_in_blocks(blocks, centroids, labels):
    """Nearest centroid of points in blocks; see `nearest_centroid` and `first_least_in_blocks`."""
    rows, norms = np.empty_like(centroids), squared_lengths(centroids)
    for k in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            rows[k, t] = np.float32(-2) * centroids[k, t]
    first_least_in_blocks(blocks, rows, norms, 0, blocks.shape[0], labels)


@njit(cache=True, nogil=True)
def squared_lengths(centroids):
    """Squared length of each centroid."""
    norms = np.zeros(centroids.shape[0], np.float32)
    for k in range(centroids.shape[0]):
        for t in range(centroids.shape[1]):
            norms[k] += centroids[k, t] * centroids[k, t]
    return norms


def _come_closer(builder, blocks, seed, closest, sums):
    """LLVM code of `come_closer`: `REGISTERS` of points at a time, their distances in registers."""
    kind, together = floats(LANES), LANES * REGISTERS
    n_blocks, dim, _ = blocks.shape

    def places(start):
        return [builder.add(start, INT(FLOAT_BYTES * LANES * r)) for r in range(REGISTERS)]

    def distances(points):
        def add_coordinate(state):
            column, entry, *totals = state
            from_seed = spread(builder, load(builder, entry, FLOAT), LANES)
            added = []
            for place, total in zip(places(column), totals, strict=True):
                difference = builder.fsub(load(builder, place, kind), from_seed)
                added.append(multiply_add(builder, difference, difference, total))
            following = builder.add(column, blocks.strides[1])
            return [following, builder.add(entry, INT(FLOAT_BYTES)), *added]

        zeros = [constant(kind, [0.0] * LANES)] * REGISTERS
        return repeat(builder, dim, [points, seed.place, *zeros], add_coordinate)[2:]

    def next_block(state):
        block, near, out = state
        nearest = []
        for skipped in range(0, FLOAT_BYTES * POINT_BLOCK, FLOAT_BYTES * together):
            to = distances(builder.add(block, INT(skipped)))
            for place, distance in zip(places(builder.add(near, INT(skipped))), to, strict=True):
                before = load(builder, place, kind)
                less = builder.fcmp_ordered("<", distance, before)
                nearest.append(builder.select(less, distance, before))
                store(builder, nearest[-1], place)
        store(builder, sum_of(builder, nearest), out)
        steps = blocks.strides[0], closest.strides[0], INT(FLOAT_BYTES)
        return [builder.add(place, step) for place, step in zip(state, steps, strict=True)]

    repeat(builder, n_blocks, [blocks.place, closest.place, sums.place], next_block)


@in_registers(_come_closer)
def come_closer(blocks, seed, closest, sums):
    """Lower the squared distances of points to the nearest seed, and sum them by blocks.

    For compiled code.

    Parameters
    ----------
    blocks : (n, d, `POINT_BLOCK`), seed : (d,)
        Of float32, contiguous.
    closest : (n, `POINT_BLOCK`)
        Lowered where the seed is nearer than the distance so far.
    sums : (n,)
        Overwritten with the sums of ``closest``.
    """
    closest[:] = np.minimum(closest, ((blocks - seed[:, None]) ** 2).sum(axis=1))
    sums[:] = closest.sum(axis=1)


@njit(cache=True, nogil=True)
def spread_seeds(points, uniforms, centroids):
    """D^2 seeding: each seed drawn by squared distance to those before, by a given uniform.

    ``centroids`` (K, d) become the seeds. Where every point is a seed already, the last one is
    repeated. Sums are kept by blocks of points, so that few are looked at for a draw.
    """
    n = points.shape[0]
    blocks = in_blocks(points)
    closest = np.zeros((blocks.shape[0], POINT_BLOCK), np.float32)
    for i in range(n):
        closest[i // POINT_BLOCK, i % POINT_BLOCK] = np.float32(np.inf)
    sums = np.zeros(blocks.shape[0], np.float32)
    drawn = int(uniforms[0] * n)
    for k in range(centroids.shape[0]):
        if k > 0:
            total = 0.0
            for b in range(sums.size):
                total += sums[b]
            left = uniforms[k] * total
            block = -1
            for b in range(sums.size):
                if sums[b] > 0:
                    block = b
                    if left < sums[b]:
                        break
                    left -= sums[b]
            for i in range(POINT_BLOCK if block >= 0 else 0):
                if closest[block, i] > 0:
                    drawn = block * POINT_BLOCK + i
                    left -= closest[block, i]
                    if left < 0:
                        break
        for t in range(points.shape[1]):
            centroids[k, t] = points[drawn, t]
        come_closer(blocks, centroids[k], closest, sums)


@njit(cache=True, nogil=True)
def uniform_seeds(points, uniforms, centroids):
    """Different points as seeds, all alike likely, by given uniforms; over again if too few."""
    n = points.shape[0]
    order = np.arange(n)
    for k in range(min(n, centroids.shape[0])):
        drawn = k + int(uniforms[k] * (n - k))
        order[k], order[drawn] = order[drawn], order[k]
    for k in range(centroids.shape[0]):
        centroids[k] = points[order[k % n]]


def _add_to_clusters(builder, rows, labels, sums):
    """LLVM code of `add_to_clusters`: `COLUMNS_AT_ONCE` entries of a row at a time."""
    n, width = rows.shape
    together, single = INT(COLUMNS_AT_ONCE), floats(COLUMNS_AT_ONCE)
    double = ir.VectorType(DOUBLE, COLUMNS_AT_ONCE)
    whole = builder.sdiv(width, together)
    rest = builder.sub(width, builder.mul(whole, together))
    mask = first_of(builder, rest, COLUMNS_AT_ONCE)

    def add(entry, total, mask=None):
        entries = builder.fpext(load(builder, entry, single, mask), double)
        store(builder, builder.fadd(load(builder, total, double), entries), total)

    def add_row(state):
        row, at = state
        label = builder.sext(load(builder, at, INDEX), INT)

        def add_entries(places):
            add(*places)
            steps = COLUMNS_AT_ONCE * FLOAT_BYTES, COLUMNS_AT_ONCE * DOUBLE_BYTES
            return [
                builder.add(place, INT(step)) for place, step in zip(places, steps, strict=True)
            ]

        start = [row, after(builder, sums.place, (label, sums.strides[0]))]
        entry, total = repeat(builder, whole, start, add_entries)
        with builder.if_then(builder.icmp_signed(">", rest, INT(0))):
            add(entry, total, mask)
        return [builder.add(row, rows.strides[0]), builder.add(at, INT(INDEX_BYTES))]

    repeat(builder, n, [rows.place, labels.place], add_row)


@in_registers(_add_to_clusters, (types.float32, types.int32, types.float64))
def add_to_clusters(rows, labels, sums):
    """Add each row to the sums of its cluster, in the order of rows. For compiled code.

    Parameters
    ----------
    rows : (n, width), labels : (n,)
        Of float32 and int32, contiguous.
    sums : (K, room)
        Of float64, contiguous, with room for a multiple of `COLUMNS_AT_ONCE`.
    """
    np.add.at(sums[:, : rows.shape[1]], labels, rows)


@njit(cache=True, nogil=True)
def sums_of_clusters(rows, labels, n_clusters):
    """Sum of the rows of each cluster, in float64, and how many they are; see `add_to_clusters`.

    Columns beyond those of the rows are zeros.
    """
    columns = -(-rows.shape[1] // COLUMNS_AT_ONCE) * COLUMNS_AT_ONCE
    sums, counts = np.zeros((n_clusters, columns)), np.zeros(n_clusters, np.int64)
    add_to_clusters(rows, labels, sums)
    for label in labels:
        counts[label] += 1
    return sums, counts


@njit(cache=True, nogil=True)
def lloyd_rounds(points, centroids, rounds):
    """Rounds of Lloyd's algorithm, in place, or fewer if no point moves any more.

    The centroid of an empty cluster stays.
    """
    n, d = points.shape
    n_clusters = centroids.shape[0]
    blocks = in_blocks(points)
    labels = np.empty((2, blocks.shape[0], POINT_BLOCK), np.int32)
    for r in range(rounds):
        new, old = labels[r % 2].reshape(-1), labels[1 - r % 2].reshape(-1)
        nearest_in_blocks(blocks, centroids, labels[r % 2])
        moved = 0
        for i in range(n):
            moved += new[i] != old[i]
        if r > 0 and moved == 0:
            return
        sums, counts = sums_of_clusters(points, new[:n], n_clusters)
        for k in range(n_clusters):
            if counts[k] > 0:
                for t in range(d):
                    centroids[k, t] = np.float32(sums[k, t] / counts[k])


@njit(cache=True, nogil=True)
def hash_buckets(keys, function, rows):
    """Buckets of IDs (uint64) by a multiply-shift hash function, as in `embedding.locate`."""
    return (((function[0] * keys + function[1]) >> HALF) * np.uint64(rows)) >> HALF


@njit(cache=True, nogil=True)
def chunk_vectors(ids, first, second, assignments, chunk, function, out):
    """Vectors of IDs in one chunk: their row of the first table, plus that of the second."""
    buckets = np.zeros(ids.size, np.uint64)
    if second.shape[0] > 0:
        buckets = hash_buckets(ids.astype(np.uint64), function, second.shape[0])
    for i in range(ids.size):
        row = first[np.int64(assignments[ids[i], chunk])]
        for t in range(row.size):
            out[i, t] = row[t]
        if second.shape[0] > 0:
            other = second[np.int64(buckets[i])]
            for t in range(row.size):
                out[i, t] += other[t]


@njit(cache=True, nogil=True)
def cluster_chunk(
    first, second, assignments, chunk, old_hash, new_hash, sample, uniforms, seeding, rounds, block
):
    """Cluster one chunk's vectors; hash the second table afresh, from the mean residuals.

    ``first`` (K, d) becomes the centroids, column ``chunk`` of ``assignments`` the clusters,
    ``second`` (m, d) the mean residual of each bucket of the new hash function, zero where empty.
    Vectors of ``block`` IDs are held at once.
    """
    n = assignments.shape[0]
    d = first.shape[1]
    points = np.empty((sample.size, d), np.float32)
    chunk_vectors(sample, first, second, assignments, chunk, old_hash, points)
    centroids = first.copy()
    if seeding == SPREAD:
        spread_seeds(points, uniforms, centroids)
    elif seeding == UNIFORM:
        uniform_seeds(points, uniforms, centroids)
    lloyd_rounds(points, centroids, rounds)
    labels = np.empty(block, np.int32)
    vectors = np.empty((block, d), np.float32)
    sums = np.zeros(second.shape)
    counts = np.zeros(second.shape[0], np.int64)
    for start in range(0, n, block):
        size = min(block, n - start)
        ids = np.arange(start, start + size).astype(np.int32)
        chunk_vectors(ids, first, second, assignments, chunk, old_hash, vectors)
        nearest_centroid(vectors, centroids, 0, size, labels)
        for i in range(size):
            assignments[start + i, chunk] = labels[i]
        if second.shape[0] > 0:
            buckets = hash_buckets(ids.astype(np.uint64), new_hash, second.shape[0])
            for i in range(size):
                b = int(buckets[i])
                counts[b] += 1
                for t in range(d):
                    sums[b, t] += vectors[i, t] - centroids[labels[i], t]
    first[:] = centroids
    for b in range(second.shape[0]):
        for t in range(d):
            second[b, t] = np.float32(sums[b, t] / max(counts[b], 1))
