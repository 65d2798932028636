"""Hash embeddings: several hashed vectors, summed with weights that are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _validate
from ...kernels import composition as kernels
from ...rng import generator
from .base import ComposedTable, Parameter, random_codebook, random_hash


@dataclass(frozen=True)
class HashEmbeddingOptions:
    """Settings of hash embeddings.

    Attributes
    ----------
    n_hashes : int
        Vectors that are summed.
    weight_share : float
        Share of the budget that goes to weights, strictly between 0 and 1; no more is used than
        one set of weights an ID.
    """

    n_hashes: int = 2
    weight_share: float = 0.5

    def __post_init__(self) -> None:
        _validate.integer(self.n_hashes, "n_hashes", low=1)
        _validate.probability(self.weight_share, "weight_share")


class HashEmbedding(ComposedTable):
    """A weighted sum of several vectors of one table, each found by a hash function.

    The weights are parameters like any other and come out of the budget: where it has no room
    for weights of every ID, IDs share sets of weights, also by a hash (as the paper's ``D_1``).

    ``H`` has ``n_hashes`` learned entries in each row; where weights are shared, equal ones in
    the rows that share them.

    References
    ----------
    Svenstrup, Hansen and Winther, "Hash embeddings for efficient word representations",
    NeurIPS 2017.

    Examples
    --------
    >>> table = HashEmbedding(1000, 8, 100)
    >>> table.parameter_count, {n: p.value.shape for n, p in table.parameters.items()}
    (800, {'codebook': (50, 8), 'weights': (200, 2)})
    """

    Options = HashEmbeddingOptions
    title = "hash embeddings (learned weights)"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        n_hashes, budget = self.options.n_hashes, params_per_dim * dim
        sets = max(1, int(budget * self.options.weight_share) // n_hashes)
        self.n_sets = min(cardinality, sets)
        rows = max(1, (budget - self.n_sets * n_hashes) // dim)
        codebook = random_codebook(random, rows, dim, dim, n_hashes)
        self.parameters["codebook"] = Parameter(codebook)
        # a weight is a number of its own to an optimiser, not a part of a vector
        self.parameters["weights"] = Parameter(np.ones((self.n_sets, n_hashes)), row_width=1)
        functions = np.stack([random_hash(random) for _ in range(n_hashes + 1)])
        self.state["coefficients"] = functions

    def _places(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the codebook, (n, n_hashes), and of the weights, (n,)."""
        functions = self.state["coefficients"]
        buckets = np.empty((len(ids), len(functions) - 1), np.int64)
        kernels.hash_many(ids, functions[1:], len(self.parameters["codebook"].value), buckets)
        if self.n_sets == self.cardinality:
            return buckets, ids.astype(np.int64)
        sets = np.empty((len(ids), 1), np.int64)
        kernels.hash_many(ids, functions[:1], self.n_sets, sets)
        return buckets, sets[:, 0]

    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, Any]:
        """Vectors of a batch, and the rows they are made of."""
        codebook, weights = self.parameters["codebook"], self.parameters["weights"]
        out = np.zeros((len(ids), self.dim), np.float32)
        buckets, sets = self._places(ids)
        kernels.weighted_sum(codebook.value, buckets, weights.value, sets, out)
        return out, (buckets, sets)

    def backward_from(self, kept: Any, gradients: np.ndarray) -> None:
        """Add the gradients by codebook and weights."""
        codebook, weights = self.parameters["codebook"], self.parameters["weights"]
        buckets, sets = kept
        kernels.weighted_sum_gradient(
            codebook.value, buckets, weights.value, sets, gradients,
            codebook.gradient, weights.gradient,
        )  # fmt: skip
