"""A narrow table times a learned projection."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels import composition as kernels
from ...rng import generator
from .base import ComposedTable, Parameter, distinct, random_hash, sum_by_id

SHARED_FROM = 3
"""Columns of the narrow table from which a row that a batch has often is projected once."""


class LowDimensional(ComposedTable):
    """Vectors of ``rank`` columns, brought to ``dim`` columns by one matrix.

    The rank is the largest that the budget allows. Where it does not even allow one column for
    each ID, IDs share the rows of a table of one column by a hash.

    ``T`` of rank at most ``rank``: with the narrow table as ``H``, learned, and the projection
    as codebook.

    Examples
    --------
    >>> table = LowDimensional(100, 32, 16)
    >>> table.rank, table.parameter_count
    (3, 396)
    """

    title = "low-dimensional table, projected"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        budget = params_per_dim * dim
        self.rank = min(dim, max(1, budget // (cardinality + dim)))
        self.rows = max(1, min(cardinality, budget // self.rank - dim))
        # products of rank terms with variance 1 / (3 dim), as the entries of other tables
        reach = np.sqrt(3 / np.sqrt(3 * dim * self.rank))
        narrow = random.uniform(-reach, reach, (self.rows, self.rank))
        projection = random.uniform(-reach, reach, (self.rank, dim))
        if dim == 1:  # biases begin at zero, but not where their gradients vanish
            narrow, projection = np.zeros_like(narrow), np.ones_like(projection)
        self.parameters["narrow"] = Parameter(narrow)
        self.parameters["projection"] = Parameter(projection, row_width=1)
        if self.rows < cardinality:
            self.state["coefficients"] = random_hash(random)[None]

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        if self.rows == self.cardinality:
            return ids
        buckets = np.empty((len(ids), 1), np.int64)
        kernels.hash_many(ids, self.state["coefficients"], self.rows, buckets)
        return buckets[:, 0]

    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, Any]:
        """Vectors of a batch, and the rows of the narrow table."""
        rows, places = self._rows(ids), None
        if self.rank >= SHARED_FROM:
            rows, places = distinct(rows)
        narrow, projection = self.parameters["narrow"], self.parameters["projection"]
        out = np.empty((len(rows), self.dim), np.float32)
        kernels.project_rows(narrow.value, rows, projection.value, out)
        return out if places is None else out.take(places, axis=0), (rows, places)

    def backward_from(self, kept: Any, gradients: np.ndarray) -> None:
        """Add the gradients by the narrow table and the projection."""
        rows, places = kept
        if places is not None:
            gradients = sum_by_id(places, len(rows), gradients)
        narrow, projection = self.parameters["narrow"], self.parameters["projection"]
        kernels.project_rows_gradient(
            narrow.value, rows, projection.value, gradients, narrow.gradient, projection.gradient
        )
