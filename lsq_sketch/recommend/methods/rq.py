"""Residual quantisation of a trained full table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _validate
from ...quantize import residual_quantization
from ...rng import generator
from .base import GatherTable, Term, random_codebook


@dataclass(frozen=True)
class RqOptions:
    """Settings of residual quantisation.

    Attributes
    ----------
    n_stages : int
        Codewords that are summed, from codebooks of ``params_per_dim // n_stages`` codewords each.
        No more stages than ``params_per_dim``.
    fine_tune_from : int or None
        After so many epochs the full table is let go and the codebooks are trained themselves,
        codes as they are; None: the full table is trained to the end.
    """

    n_stages: int = 4
    fine_tune_from: int | None = None

    def __post_init__(self) -> None:
        _validate.integer(self.n_stages, "n_stages", low=1)
        if self.fine_tune_from is not None:
            _validate.integer(self.fine_tune_from, "fine_tune_from", low=1)


class ResidualQuantization(GatherTable):
    """A trained full table, k-means on it and on the residuals in turn: a sum of codewords.

    Training holds the full table; after each epoch it is quantised, and it is the quantised
    table that is evaluated, kept and saved. What is counted is the codebooks.

    ``H`` has the assignment matrices ``A`` of all stages side by side.

    References
    ----------
    Chen, Guan and Wang, "Approximate nearest neighbor search by residual vector quantization",
    Sensors 2010.

    Examples
    --------
    >>> table = ResidualQuantization(1000, 8, 16)
    >>> table.parameter_count, table.assignments.nbytes
    (128, 4000)
    >>> vectors = np.random.default_rng(0).standard_normal((1000, 8))
    >>> table.compress(vectors, rng=0)
    >>> bool(((table.table() - vectors) ** 2).mean() < 0.7)
    True
    """

    Options = RqOptions
    title = "residual quantisation, after training"
    compresses_trained = True

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.n_stages = min(self.options.n_stages, params_per_dim)
        self.rows = params_per_dim // self.n_stages
        terms = [Term.stored(0, dim, s * self.rows, self.rows, s) for s in range(self.n_stages)]
        codebook = random_codebook(random, self.rows * self.n_stages, dim, dim, self.n_stages)
        start = random.integers(0, self.rows, (cardinality, self.n_stages))
        self._setup(codebook, terms, random, start)

    def compress(self, table: np.ndarray, rng: Any) -> None:
        """Quantise a table."""
        n_codewords = min(self.rows, self.cardinality)
        found = residual_quantization(table, n_codewords, self.n_stages, rng)
        for stage, codewords in enumerate(found.codebooks):
            first = stage * self.rows
            self.codebook.value[first : first + n_codewords] = codewords
            self.assign(stage, found.codes[stage])
