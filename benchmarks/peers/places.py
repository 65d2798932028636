"""Where the numbers of each ID lie: look-up tables of our hash functions, digits, assignments."""

from __future__ import annotations

import numpy as np

from lsq_sketch.kernels import composition as kernels
from lsq_sketch.recommend.methods.base import GatherTable, Table


def all_ids(table: Table) -> np.ndarray:
    """The IDs of a table, int32."""
    return np.arange(table.cardinality, dtype=np.int32)


def hashed(table: Table, functions: np.ndarray, rows: int) -> np.ndarray:
    """Buckets of all IDs, (cardinality, functions) int64."""
    buckets = np.empty((table.cardinality, len(functions)), np.int64)
    kernels.hash_many(all_ids(table), functions, rows, buckets)
    return buckets


def slice_places(table: Table) -> np.ndarray:
    """Rows of the codebook that make up each vector: those of a chunk are added.

    Returns
    -------
    ndarray of int64, shape (cardinality, summed, chunks)
    """
    assert isinstance(table, GatherTable)
    chunks: dict[int, list[np.ndarray]] = {}
    for t, term in enumerate(table.terms):
        rows = term.start // term.width + table.buckets(t, all_ids(table))
        chunks.setdefault(term.column, []).append(rows)
    return np.stack([np.stack(chunks[column]) for column in sorted(chunks)]).transpose(2, 1, 0)


def weighted_places(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Hash embeddings: rows of the codebook, (cardinality, hashes), and sets of weights."""
    shapes = {name: parameter.value.shape for name, parameter in table.parameters.items()}
    functions = table.state["coefficients"]
    buckets = hashed(table, functions[1:], shapes["codebook"][0])
    n_sets = shapes["weights"][0]
    if n_sets == table.cardinality:
        return buckets, all_ids(table).astype(np.int64)
    return buckets, hashed(table, functions[:1], n_sets)[:, 0]


def circular_places(table: Table) -> np.ndarray:
    """ROBE: the entry of the array that is each entry of a vector, (cardinality, dim)."""
    size, functions = table.parameters["codebook"].value.size, table.state["coefficients"]
    starts = hashed(table, functions, size)
    width = -(-table.dim // len(functions))
    places = (starts[:, :, None] + np.arange(width)) % size
    return np.ascontiguousarray(places.reshape(table.cardinality, -1)[:, : table.dim])


def digits(table: Table) -> np.ndarray:
    """Tensor trains: the slice of each core, (cardinality, 3)."""
    radices = [len(parameter.value) for parameter in table.parameters.values()]
    rest = all_ids(table).astype(np.int64)
    found = []
    for radix in reversed(radices):
        rest, digit = rest // radix, rest % radix
        found.append(digit)
    return np.stack(found[::-1], axis=1)


def narrow_places(table: Table) -> np.ndarray:
    """Low-dimensional tables: the row of the narrow table, (cardinality,)."""
    rows = len(table.parameters["narrow"].value)
    if rows == table.cardinality:
        return all_ids(table).astype(np.int64)
    return hashed(table, table.state["coefficients"], rows)[:, 0]


def features(table: Table) -> np.ndarray:
    """Deep hash embeddings: the inputs of the network, (cardinality, hashes) float32."""
    functions = table.state["coefficients"]
    found = np.empty((table.cardinality, len(functions)), np.float32)
    kernels.hash_features(all_ids(table), functions, len(functions) ** -0.5, found)
    return found
