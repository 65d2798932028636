"""A small deep learning recommendation model: networks around pairwise interactions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ... import _validate
from ...kernels import interactions as kernels
from ...kernels.factorization import batch_loss
from ...threads import for_each, row_chunks
from .. import network
from ..methods import Parameter
from .base import LOSSES, ROWS_A_PIECE, Model


class DLRM(Model):
    """Networks around the inner products of all pairs of vectors.

    A bottom network turns the dense features into one more vector. The inner products of all
    pairs of vectors, beside that vector, are the input of a top network, whose output is the
    score. Both have rectified hidden layers.

    Parameters
    ----------
    cardinalities, dim, method, params_per_dim, rng, options, bias, n_dense, loss
        As for `Model`.
    hidden : sequence of int, default (64, 32)
        Widths of the hidden layers of either network.

    References
    ----------
    Naumov et al., "Deep learning recommendation model for personalization and recommendation
    systems", 2019.

    Examples
    --------
    >>> model = DLRM((1000, 30, 7), dim=8, method="ce", params_per_dim=16, n_dense=2, rng=0)
    >>> model.table_parameter_count, model.scores([[5, 6, 0]], [[0.1, 0.2]]).shape
    (312, (1,))
    """

    name = "dlrm"
    usual_loss = "logistic"

    def __init__(
        self, *args: Any, hidden: Sequence[int] = (64, 32), n_dense: int = 0, **settings: Any
    ):
        self.hidden = tuple(_validate.integer(width, "hidden", low=1) for width in hidden)
        super().__init__(*args, n_dense=n_dense, **settings)

    def settings(self) -> dict[str, Any]:
        """What builds the same model anew."""
        return {**super().settings(), "hidden": list(self.hidden)}

    @property
    def n_vectors(self) -> int:
        """Vectors that interact: one for each field, one for the dense features if any."""
        return len(self.cardinalities) + bool(self.n_dense)

    def _check_fields(self) -> None:
        super()._check_fields()
        if len(self.cardinalities) < 2:
            raise ValueError("dlrm needs at least 2 fields to interact, got 1.")

    def _own_parameters(self, random: np.random.Generator) -> dict[str, Parameter]:
        own: dict[str, Parameter] = {}
        n_pairs = self.n_vectors * (self.n_vectors - 1) // 2
        if self.n_dense:
            own |= _starting_values("bottom", [self.n_dense, *self.hidden, self.dim], random)
        inputs = n_pairs + (self.dim if self.n_dense else 0)
        own |= _starting_values("top", [inputs, *self.hidden, 1], random)
        return own

    def score(self, vectors: np.ndarray, dense: np.ndarray) -> np.ndarray:
        """Scores of a batch."""
        return self._forward(vectors, dense)[0]

    def gradient(
        self, vectors: np.ndarray, dense: np.ndarray, labels: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Loss of a batch, and the gradient of its mean."""
        n = len(labels)
        gradient = np.zeros_like(vectors)

        def work(piece: tuple[int, int]) -> tuple[float, dict[str, np.ndarray]]:
            part = slice(*piece)
            scores, kept = self._forward(vectors[part], dense[part])
            slopes = np.empty(len(scores), np.float32)
            total = batch_loss(LOSSES[self.loss], scores, labels[part], slopes)
            slopes *= np.float32(len(scores) / n)
            return total, self._backward(kept, slopes, gradient[part])

        total = 0.0
        for loss, own in for_each(work, row_chunks(n, ROWS_A_PIECE)):
            total += loss
            for name, part in own.items():
                self.parameters[name].gradient[...] += part
        return total, gradient

    def score_slopes(
        self, vectors: np.ndarray, dense: np.ndarray, field: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of a batch, and the gradient of each by its vector of one field."""
        scores, kept = self._forward(vectors, dense)
        layers = self._layers("top")
        by_layer = network.backward(layers, kept["top"], np.ones((len(scores), 1), np.float32))
        gradient = network.inputs_gradient(layers, by_layer[0])
        slopes = np.zeros((len(scores), self.columns), np.float32)
        kernels.one_vectors_gradients(kept["interacting"], gradient, field, slopes)
        slopes[:, self.dim :] = 1
        return scores, slopes

    def _forward(self, vectors: np.ndarray, dense: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Scores, and what the way back needs."""
        n, d, count = len(vectors), self.dim, self.n_vectors
        n_pairs = count * (count - 1) // 2
        fields = vectors.shape[1]
        interacting = np.empty((n, count, d), np.float32)
        interacting[:, :fields] = vectors[:, :, :d]
        inputs = np.empty((n, n_pairs + (d if self.n_dense else 0)), np.float32)
        bottom: list[np.ndarray] = []
        if self.n_dense:
            bottom = network.forward(self._layers("bottom"), dense)
            interacting[:, fields] = bottom[-1]
            inputs[:, n_pairs:] = bottom[-1]
        kernels.pairwise_products(interacting, inputs[:, :n_pairs])
        top = network.forward(self._layers("top"), inputs)
        scores = top[-1][:, 0].copy()
        if self.biases:
            scores += vectors[:, :, d].sum(axis=1) + self.parameters["intercept"].value[0, 0]
        return scores, {"interacting": interacting, "bottom": bottom, "top": top}

    def _backward(
        self, kept: dict[str, Any], slopes: np.ndarray, gradient: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Gradients by the networks; those by the vectors are written to ``gradient``."""
        d, count = self.dim, self.n_vectors
        n_pairs = count * (count - 1) // 2
        fields = gradient.shape[1]
        own: dict[str, np.ndarray] = {}
        layers = self._layers("top")
        by_layer = network.backward(layers, kept["top"], slopes[:, None])
        self._sum("top", kept["top"], by_layer, own)
        by_inputs = network.inputs_gradient(layers, by_layer[0])
        by_vectors = np.zeros_like(kept["interacting"])
        by_products = np.ascontiguousarray(by_inputs[:, :n_pairs])
        kernels.pairwise_gradients(kept["interacting"], by_products, by_vectors)
        gradient[:, :, :d] = by_vectors[:, :fields]
        if self.n_dense:
            by_bottom = by_vectors[:, fields] + by_inputs[:, n_pairs:]
            by_layer = network.backward(self._layers("bottom"), kept["bottom"], by_bottom)
            self._sum("bottom", kept["bottom"], by_layer, own)
        if self.biases:
            gradient[:, :, d] = slopes[:, None]
            own["intercept"] = slopes.sum(dtype=np.float64, keepdims=True)[:, None]
        return own

    def _layers(self, name: str) -> list[network.Layer]:
        """Weight and bias of all layers of one network."""
        return [
            (
                self.parameters[f"{name}{layer}/weight"].value,
                self.parameters[f"{name}{layer}/bias"].value,
            )
            for layer in range(len(self.hidden) + 1)
        ]

    def _sum(
        self,
        name: str,
        values: list[np.ndarray],
        by_layer: list[np.ndarray],
        own: dict[str, np.ndarray],
    ) -> None:
        """Put the gradients by weights and biases of one network into ``own``."""
        shapes = [(weight.shape, bias.shape) for weight, bias in self._layers(name)]
        into = [(np.zeros(w, np.float32), np.zeros(b, np.float32)) for w, b in shapes]
        network.add_gradients(values, by_layer, into)
        for layer, (by_weight, by_bias) in enumerate(into):
            own[f"{name}{layer}/weight"], own[f"{name}{layer}/bias"] = by_weight, by_bias


def _starting_values(
    name: str, widths: list[int], random: np.random.Generator
) -> dict[str, Parameter]:
    """Weights, uniform with variance 2 / inputs (He et al., ICCV 2015), and zero biases."""
    layers: dict[str, Parameter] = {}
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        reach = np.sqrt(6 / max(inputs, 1))
        weight = random.uniform(-reach, reach, (inputs, outputs))
        layers[f"{name}{layer}/weight"] = Parameter(weight, row_width=1)
        layers[f"{name}{layer}/bias"] = Parameter(np.zeros(outputs), row_width=1)
    return layers
