"""The full table: a vector for each ID, the thing to be compressed."""

from __future__ import annotations

from typing import Any

from ...rng import generator
from .base import GatherTable, Term, random_codebook


class Full(GatherTable):
    """A vector of its own for each ID. The budget ``params_per_dim`` is not looked at.

    ``H`` is the identity.

    Examples
    --------
    >>> Full(10, 4, 1).parameter_count
    40
    """

    title = "full table"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int = 1, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        codebook = random_codebook(random, cardinality, dim, dim)
        self._setup(codebook, [Term.direct(0, dim, 0, cardinality)], random)
