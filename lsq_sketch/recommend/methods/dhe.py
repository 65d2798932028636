"""Deep hash embeddings: many hashes of an ID, and a network that makes a vector of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ... import _validate
from ...kernels.composition import hash_features
from ...rng import generator
from .. import network
from .base import ComposedTable, Parameter, distinct, random_hash, sum_by_id


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

    def _layers(self) -> list[tuple[Parameter, Parameter]]:
        """Weight and bias of all layers."""
        numbers = range(self.options.n_layers + 1)
        return [(self.parameters[f"weight{n}"], self.parameters[f"bias{n}"]) for n in numbers]

    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, Any]:
        """Vectors of a batch, and the values of all layers for its different IDs."""
        different, places = distinct(ids)
        functions = self.state["coefficients"]
        features = np.empty((len(different), len(functions)), np.float32)
        # small beside the weights: what all IDs share is learned before what tells them apart
        hash_features(different, functions, len(functions) ** -0.5, features)
        layers = [(weight.value, bias.value) for weight, bias in self._layers()]
        *values, vectors = network.forward(layers, features)
        return vectors.take(places, axis=0), (places, layers, values)

    def backward_from(self, kept: Any, gradients: np.ndarray) -> None:
        """Add the gradients by weights and biases of all layers."""
        places, layers, values = kept
        summed = sum_by_id(places, len(values[0]), gradients)
        by_layer = network.backward(layers, values, summed)
        into = [(weight.gradient, bias.gradient) for weight, bias in self._layers()]
        network.add_gradients(values, by_layer, into)


def _count(widths: list[int]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))
