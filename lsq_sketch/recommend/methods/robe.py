"""ROBE: blocks of one flat circular array, each found by a hash function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ... import _validate
from ...rng import generator
from .base import GatherTable, Term, random_codebook


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


class Robe(GatherTable):
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
        size = params_per_dim * dim
        width = -(-dim // self.options.n_chunks)
        terms = [
            Term.circular(column, min(width, dim - column), size) for column in range(0, dim, width)
        ]
        # blocks overlap: an optimiser can share no sum among the floats of a row
        codebook = random_codebook(random, size, 1, dim)
        self._setup(codebook, terms, random)
