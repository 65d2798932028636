"""The hashing trick: IDs share the vectors of a small table."""

from __future__ import annotations

from typing import Any

from ...rng import generator
from .base import GatherTable, Term, random_codebook


class HashingTrick(GatherTable):
    """One hash function into a table of ``params_per_dim`` vectors.

    ``H`` has one 1 in each row, at a random column.

    References
    ----------
    Weinberger, Dasgupta, Langford, Smola and Attenberg, "Feature hashing for large scale
    multitask learning", ICML 2009.

    Examples
    --------
    >>> table = HashingTrick(1000, 4, 10)
    >>> table.parameter_count, table.state_bytes
    (40, 16)
    """

    title = "hashing trick"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        codebook = random_codebook(random, params_per_dim, dim, dim)
        self._setup(codebook, [Term.hashed(0, dim, 0, params_per_dim)], random)
