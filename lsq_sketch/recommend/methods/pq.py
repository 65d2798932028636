"""Product quantisation of a trained full table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _validate
from ...quantize import product_quantization
from ...rng import generator
from .base import GatherTable, Term, chunk_width, random_codebook


@dataclass(frozen=True)
class PqOptions:
    """Settings of product quantisation.

    Attributes
    ----------
    n_chunks : int
        Chunks of columns, each with a codebook of ``params_per_dim`` codewords.
    fine_tune_from : int or None
        After so many epochs the full table is let go and the codebooks are trained themselves,
        codes as they are; None: the full table is trained to the end.
    """

    n_chunks: int = 4
    fine_tune_from: int | None = None

    def __post_init__(self) -> None:
        _validate.integer(self.n_chunks, "n_chunks", low=1)
        if self.fine_tune_from is not None:
            _validate.integer(self.fine_tune_from, "fine_tune_from", low=1)


class ProductQuantization(GatherTable):
    """A trained full table, its columns in chunks, k-means on each: codes and codewords.

    Training holds the full table; after each epoch it is quantised, and it is the quantised
    table that is evaluated, kept and saved. What is counted is the codebooks.

    ``H`` of a chunk is the assignment matrix ``A`` of the k-means clusters of ``T*``.

    References
    ----------
    Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 2011.

    Examples
    --------
    >>> table = ProductQuantization(1000, 8, 16)
    >>> table.parameter_count, table.assignments.nbytes
    (128, 4000)
    >>> vectors = np.random.default_rng(0).standard_normal((1000, 8))
    >>> table.compress(vectors, rng=0)
    >>> bool(((table.table() - vectors) ** 2).mean() < 0.2)
    True
    """

    Options = PqOptions
    title = "product quantisation, after training"
    compresses_trained = True

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.n_chunks, self.width = chunk_width(dim, self.options.n_chunks)
        rows = params_per_dim
        terms = [
            Term.stored(c * self.width, self.width, c * rows, rows, c) for c in range(self.n_chunks)
        ]
        codebook = random_codebook(random, rows * self.n_chunks, self.width, dim)
        start = random.integers(0, rows, (cardinality, self.n_chunks))
        self._setup(codebook, terms, random, start)

    def compress(self, table: np.ndarray, rng: Any) -> None:
        """Quantise a table."""
        n_codewords = min(self.params_per_dim, self.cardinality)
        found = product_quantization(table, n_codewords, self.n_chunks, rng)
        for chunk, codewords in enumerate(found.codebooks):
            first = chunk * self.params_per_dim
            self.codebook.value[first : first + n_codewords] = codewords
            self.assign(chunk, found.codes[chunk])
