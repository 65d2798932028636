"""Bloom embeddings: several hash functions into one table, the vectors summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ... import _validate
from ...rng import generator
from .base import GatherTable, Term, random_codebook


@dataclass(frozen=True)
class BloomOptions:
    """Settings of Bloom embeddings.

    Attributes
    ----------
    n_hashes : int
        Vectors that are summed.
    """

    n_hashes: int = 2


class BloomEmbedding(GatherTable):
    """The sum of several vectors of one table, each found by a hash function.

    ``H`` has ``n_hashes`` ones in each row (counted with multiplicity).

    References
    ----------
    Serra and Karatzoglou, "Getting deep recommenders fit: Bloom embeddings for sparse binary
    input/output networks", RecSys 2017.

    Examples
    --------
    >>> BloomEmbedding(1000, 4, 10).parameter_count
    40
    """

    Options = BloomOptions
    title = "Bloom embeddings (sum of hashes)"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        n_hashes = _validate.integer(self.options.n_hashes, "n_hashes", low=1)
        codebook = random_codebook(random, params_per_dim, dim, dim, n_hashes)
        self._setup(codebook, [Term.hashed(0, dim, 0, params_per_dim)] * n_hashes, random)
