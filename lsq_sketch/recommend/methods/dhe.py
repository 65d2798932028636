"""Deep hash embeddings: many hashes of an ID, and a network that makes a vector of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ... import _validate
from ...kernels import composition as kernels
from ...kernels.interactions import rectify, rectify_gradient
from ...rng import generator
from .base import ComposedTable, Parameter, distinct, random_hash, sum_by_id

MULTIPLE = 8
"""Matrices are filled up to multiples of it."""


@dataclass(frozen=True)
class DheOptions:
    """Settings of deep hash embeddings.

    Attributes
    ----------
    n_layers : int
        Hidden layers, rectified; 0 leaves one matrix.
    n_hashes : int or None
        Hash functions; by default as many as a hidden layer is wide.
    """

    n_layers: int = 2
    n_hashes: int | None = None

    def __post_init__(self) -> None:
        _validate.integer(self.n_layers, "n_layers", low=0)
        if self.n_hashes is not None:
            _validate.integer(self.n_hashes, "n_hashes", low=1)


class DeepHashEmbedding(ComposedTable):
    """A network whose inputs are hash functions of the ID: no table at all.

    The hidden layers are as wide as the budget allows, and of width 1 if it allows nothing. Sums
    in the network are of a fixed order on one thread of BLAS.

    No fixed ``H`` but for the last layer: its inputs are the rows of ``H``.

    References
    ----------
    Kang, Cheng, Yao, Yi, Chen, Hong and Chi, "Learning to embed categorical features without
    embedding tables for recommendation", KDD 2021.

    Examples
    --------
    >>> table = DeepHashEmbedding(1000, 32, 16)
    >>> table.width, table.parameter_count
    (9, 500)
    """

    Options = DheOptions
    title = "deep hash embeddings"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.width = 1
        while _count(self._widths(self.width + 1)) <= params_per_dim * dim:
            self.width += 1
            if _count(self._widths(self.width + 1)) == _count(self._widths(self.width)):
                break  # nothing is hidden and the number of hashes is given
        widths = self._widths(self.width)
        for layer, (inputs, outputs) in enumerate(pairwise(widths)):
            hidden = layer < self.options.n_layers
            reach = np.sqrt(6 / inputs) if hidden else np.sqrt(1 / (inputs * dim))
            weight = random.uniform(-reach, reach, (inputs, outputs))
            if dim == 1 and not hidden:  # biases begin at zero
                weight[:] = 0
            self.parameters[f"weight{layer}"] = Parameter(weight, row_width=1)
            self.parameters[f"bias{layer}"] = Parameter(np.zeros(outputs), row_width=1)
        self.state["coefficients"] = np.stack([random_hash(random) for _ in range(widths[0])])

    def _widths(self, width: int) -> list[int]:
        """Of the inputs and all layers."""
        hashes = self.options.n_hashes or width
        return [hashes, *[width] * self.options.n_layers, self.dim]

    def _weights(self) -> list[np.ndarray]:
        """Of all layers; zeros fill inputs and hidden outputs up to what BLAS is fastest at."""
        filled = [-(-width // MULTIPLE) * MULTIPLE for width in self._widths(self.width)]
        filled[-1] = self.dim
        weights = []
        for layer, shape in enumerate(pairwise(filled)):
            value = self.parameters[f"weight{layer}"].value
            weights.append(np.zeros(shape, np.float32))
            weights[-1][: value.shape[0], : value.shape[1]] = value
        return weights

    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, Any]:
        """Vectors of a batch, and the values of all layers for its different IDs."""
        different, places = distinct(ids)
        functions, weights = self.state["coefficients"], self._weights()
        features = np.zeros((len(different), len(weights[0])), np.float32)
        # small beside the weights: what all IDs share is learned before what tells them apart
        kernels.hash_features(different, functions, len(functions) ** -0.5, features)
        values = [features]
        for layer, weight in enumerate(weights):
            out = values[-1] @ weight
            bias = self.parameters[f"bias{layer}"].value
            if layer < self.options.n_layers:
                rectify(out, bias)
            else:
                out += bias
            values.append(out)
        return values.pop().take(places, axis=0), (places, weights, values)

    def backward_from(self, kept: Any, gradients: np.ndarray) -> None:
        """Add the gradients by weights and biases of all layers."""
        places, weights, values = kept
        gradients = sum_by_id(places, len(values[0]), gradients)
        for layer in reversed(range(self.options.n_layers + 1)):
            by_weight = self.parameters[f"weight{layer}"].gradient
            inputs, outputs = by_weight.shape
            by_weight += (values[layer].T @ gradients)[:inputs, :outputs]
            kernels.add_column_sums(self.parameters[f"bias{layer}"].gradient, gradients)
            if layer > 0:
                gradients = gradients @ weights[layer].T
                rectify_gradient(values[layer], gradients)


def _count(widths: list[int]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))
