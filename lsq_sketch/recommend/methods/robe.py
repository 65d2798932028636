"""ROBE: blocks of one flat circular array, each found by a hash function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _validate
from ...kernels import composition as kernels
from ...rng import generator
from .base import Parameter, Table, random_codebook, random_hash


@dataclass(frozen=True)
class RobeOptions:
    """Settings of ROBE.

    Attributes
    ----------
    n_chunks : int
        Blocks that make up a vector, at least 1; the last is shorter if need be.
    """

    n_chunks: int = 4

    def __post_init__(self) -> None:
        _validate.integer(self.n_chunks, "n_chunks", low=1)


class Robe(Table):
    """A block for each chunk of columns may begin anywhere in one array of all parameters.

    The array is a circle: a block that reaches its end goes on at its beginning. An ``H`` for
    each column, with one 1 in each row; those of a chunk are rotations of each other.

    References
    ----------
    Desai, Chou and Shrivastava, "Random offset block embedding (ROBE) for compressed embedding
    tables in deep learning recommendation systems", MLSys 2022.

    Examples
    --------
    >>> table = Robe(1000, 8, 10)
    >>> table.parameter_count, table.state_bytes
    (80, 64)
    """

    Options = RobeOptions
    title = "random offset block embeddings"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.width = -(-dim // self.options.n_chunks)
        n_blocks = -(-dim // self.width)
        array = random_codebook(random, 1, params_per_dim * dim, dim)[0]
        # blocks overlap: there is no row that could share one sum of an optimiser
        self.parameters["array"] = Parameter(array, row_width=1)
        self.state["coefficients"] = np.stack([random_hash(random) for _ in range(n_blocks)])

    def _starts(self, ids: np.ndarray) -> np.ndarray:
        functions = self.state["coefficients"]
        starts = np.empty((len(ids), len(functions)), np.int64)
        kernels.hash_many(ids, functions, self.parameters["array"].value.size, starts)
        return starts

    def lookup(self, ids: np.ndarray) -> np.ndarray:
        """Vectors of a batch."""
        out = np.empty((len(ids), self.dim), np.float32)
        kernels.circular_gather(self.parameters["array"].value, self._starts(ids), self.width, out)
        return out

    def backward(self, ids: np.ndarray, gradients: np.ndarray) -> None:
        """Add the gradient by the array."""
        gradient = self.parameters["array"].gradient
        kernels.circular_scatter(gradient, self._starts(ids), self.width, gradients)
