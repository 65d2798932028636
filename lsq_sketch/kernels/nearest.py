"""The nearest of many centroids, for a register of points at a time."""

from llvmlite import ir

from .registers import (
    FLOAT,
    FLOAT_BYTES,
    INDEX,
    INDEX_BYTES,
    INT,
    LANES,
    after,
    constant,
    floats,
    in_registers,
    load,
    multiply_add,
    repeat,
    spread,
    store,
)

REGISTERS = 4
"""Registers of points that are compared with a centroid at once."""

POINT_BLOCK = 64
"""Points of a block: a multiple of all that are compared at once, on any processor."""


def _least_of_block(builder, columns, norms, centroids, best):
    """LLVM code of `nearest_of_block`; the least so far stay in registers."""
    kind, together = floats(LANES), LANES * REGISTERS
    first = constant(ir.VectorType(INDEX, LANES), [0] * LANES)
    infinite = constant(kind, [float("inf")] * LANES)
    n_centroids, dim = centroids.shape[0], centroids.shape[1]

    def places(start, width):
        return [builder.add(start, INT(width * LANES * r)) for r in range(REGISTERS)]

    def compare_block(skipped):
        points = after(builder, columns.place, (skipped, INT(FLOAT_BYTES)))

        def compare(state):
            k, number, norm_at, centroid_at, *found = state
            norm = spread(builder, load(builder, norm_at, FLOAT), LANES)

            def add_column(inner):
                column, entry_at, *distances = inner
                entry = spread(builder, load(builder, entry_at, FLOAT), LANES)
                added = [
                    multiply_add(builder, entry, load(builder, place, kind), distance)
                    for place, distance in zip(places(column, FLOAT_BYTES), distances, strict=True)
                ]
                return [
                    builder.add(column, columns.strides[0]),
                    builder.add(entry_at, INT(FLOAT_BYTES)),
                    *added,
                ]

            start = [points, centroid_at, *[norm] * REGISTERS]
            distances = repeat(builder, dim, start, add_column)[2:]
            following = []
            for distance, least in zip(distances, found[:REGISTERS], strict=True):
                closer = builder.fcmp_ordered("<", distance, least)
                following.append((closer, builder.select(closer, distance, least)))
            label = spread(builder, number, LANES)
            labels = [
                builder.select(closer, label, before)
                for (closer, _), before in zip(following, found[REGISTERS:], strict=True)
            ]
            return [
                builder.add(k, INT(1)),
                builder.add(number, INDEX(1)),
                builder.add(norm_at, INT(FLOAT_BYTES)),
                builder.add(centroid_at, centroids.strides[0]),
                *(least for _, least in following),
                *labels,
            ]

        start = [
            INT(0), INDEX(0), norms.place, centroids.place,
            *[infinite] * REGISTERS, *[first] * REGISTERS,
        ]  # fmt: skip
        labels = repeat(builder, n_centroids, start, compare)[4 + REGISTERS :]
        out = after(builder, best.place, (skipped, INT(INDEX_BYTES)))
        for place, label in zip(places(out, INDEX_BYTES), labels, strict=True):
            store(builder, label, place)

    for skipped in range(0, POINT_BLOCK, together):
        compare_block(INT(skipped))


@in_registers(_least_of_block)
def nearest_of_block(columns, norms, centroids, best):
    """Nearest centroid of each point of a block, the first of several equal ones.

    For compiled code.

    Parameters
    ----------
    columns : (dim, `POINT_BLOCK`)
        The points, transposed, times -2.
    norms : (K,), centroids : (K, dim)
        The centroids' squared lengths; contiguous.
    best : (`POINT_BLOCK`,)
        Of int32, overwritten.
    """
    best[:] = (norms[:, None] + centroids @ columns).argmin(axis=0)
