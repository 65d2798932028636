"""Compositional embeddings: a hash function for each chunk of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...rng import generator
from .base import GatherTable, Term, chunk_width, random_codebook


@dataclass(frozen=True)
class ChunkOptions:
    """Settings of methods that cut the columns into chunks.

    Attributes
    ----------
    n_chunks : int
        Chunks of columns, of equal width.
    """

    n_chunks: int = 4


class CompositionalEmbedding(GatherTable):
    """Hashed pieces side by side: each chunk of columns has a hash function and a table.

    A separate ``H`` for each chunk of columns, each with one 1 in a row.

    References
    ----------
    Shi, Mudigere, Naumov and Yang, "Compositional embeddings using complementary partitions for
    memory-efficient recommendation systems", KDD 2020.

    Examples
    --------
    >>> CompositionalEmbedding(1000, 8, 10).parameter_count
    80
    """

    Options = ChunkOptions
    title = "compositional embeddings, concatenated"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        n_chunks, width = chunk_width(dim, self.options.n_chunks)
        rows = params_per_dim
        codebook = random_codebook(random, n_chunks * rows, width, dim)
        terms = [Term.hashed(c * width, width, c * rows, rows) for c in range(n_chunks)]
        self._setup(codebook, terms, random)
