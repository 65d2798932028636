"""Quotient and remainder: half of a vector from each, so that no two IDs share both."""

from __future__ import annotations

from typing import Any

from ...rng import generator
from .base import GatherTable, Term, random_codebook


class QuotientRemainder(GatherTable):
    """The first half of the columns by the quotient of the ID, the second by the remainder.

    With ``m = params_per_dim``, the remainder of the ID by ``m`` chooses one of ``m`` rows, and
    so does the quotient, taken modulo ``m``. IDs differ in one of them if ``cardinality <= m^2``.
    A table of one column has only the sum of both, with half the rows each.

    References
    ----------
    Shi, Mudigere, Naumov and Yang, "Compositional embeddings using complementary partitions for
    memory-efficient recommendation systems", KDD 2020.

    Examples
    --------
    >>> table = QuotientRemainder(100, 4, 10)
    >>> import numpy as np
    >>> table.parameter_count, len(np.unique(table.table(), axis=0))
    (40, 100)
    """

    title = "quotient and remainder, concatenated"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        if dim == 1:
            remainders = max(1, params_per_dim // 2)
            quotients = params_per_dim - remainders
            terms = [Term.direct(0, 1, 0, remainders)]
            if quotients:
                terms.append(Term.direct(0, 1, remainders, quotients, remainders))
            self._setup(random_codebook(random, params_per_dim, 1, dim), terms, random)
            return
        if dim % 2:
            raise ValueError(
                f"dim = {dim} is odd; expected an even number of columns, half by the quotient "
                f"and half by the remainder. Choose {dim - 1} or {dim + 1}."
            )
        width = dim // 2
        codebook = random_codebook(random, 2 * params_per_dim, width, dim)
        terms = [
            Term.direct(0, width, 0, params_per_dim, params_per_dim),
            Term.direct(width, width, params_per_dim, params_per_dim),
        ]
        self._setup(codebook, terms, random)
