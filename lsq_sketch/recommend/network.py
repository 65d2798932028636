"""Networks of dense layers, rectified but for the last: a batch there and back.

Layers are pairs of weight, (inputs, outputs), and bias, (outputs,), float32. The models and methods
that have networks own the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..kernels import network as kernels
from .team import team_for

Layer = tuple[np.ndarray, np.ndarray]


def forward(layers: Sequence[Layer], inputs: np.ndarray) -> list[np.ndarray]:
    """The inputs of all layers, and the outputs of the last.

    Parameters
    ----------
    layers : sequence of (weight, bias)
    inputs : ndarray of float32, shape (n, inputs of the first layer)

    Returns
    -------
    list of ndarray of float32
        One more than there are layers.

    Examples
    --------
    >>> identity, bias = np.eye(2, dtype=np.float32), np.float32([0, -1])
    >>> [a.tolist() for a in forward([(identity, bias)] * 2, np.float32([[0.5, 0.5]]))]
    [[[0.5, 0.5]], [[0.5, 0.0]], [[0.5, -1.0]]]
    """
    values = [inputs]
    for number, (weight, bias) in enumerate(layers):
        out = np.empty((len(inputs), weight.shape[1]), np.float32)
        step = kernels.layer if number == len(layers) - 1 else kernels.rectified_layer
        step(team_for(len(inputs), *weight.shape), values[-1], weight, bias, out)
        values.append(out)
    return values


def backward(
    layers: Sequence[Layer], values: Sequence[np.ndarray], gradients: np.ndarray
) -> list[np.ndarray]:
    """Gradients by what each layer has before it is rectified, first layer first.

    Parameters
    ----------
    layers : sequence of (weight, bias)
    values : sequence of ndarray
        From `forward`.
    gradients : ndarray of float32
        Of a loss by the last layer's outputs.

    Returns
    -------
    list of ndarray of float32
        As many as there are layers, the last of them ``gradients``.

    Examples
    --------
    >>> layers = [(np.eye(2, dtype=np.float32), np.float32([0, -1]))] * 2
    >>> values = forward(layers, np.float32([[0.5, 0.5]]))
    >>> [g.tolist() for g in backward(layers, values, np.float32([[3, 4]]))]
    [[[3.0, 0.0]], [[3.0, 4.0]]]
    """
    found = [gradients]
    for number in reversed(range(1, len(layers))):
        by_inputs = np.empty_like(values[number])
        weight = layers[number][0]
        team = team_for(len(gradients), *weight.shape)
        kernels.rectified_inputs_gradient(team, values[number], weight, found[-1], by_inputs)
        found.append(by_inputs)
    return found[::-1]


def inputs_gradient(layers: Sequence[Layer], gradients: np.ndarray) -> np.ndarray:
    """The gradient by the network's inputs, given that before the first layer is rectified.

    Examples
    --------
    >>> layers = [(np.float32([[1, 2], [3, 4]]), np.zeros(2, np.float32))]
    >>> inputs_gradient(layers, np.float32([[1, 1]])).tolist()
    [[3.0, 7.0]]
    """
    weight = layers[0][0]
    out = np.empty((len(gradients), len(weight)), np.float32)
    kernels.inputs_gradient(team_for(len(gradients), *weight.shape), weight, gradients, out)
    return out


def add_gradients(
    values: Sequence[np.ndarray], gradients: Sequence[np.ndarray], into: Sequence[Layer]
) -> None:
    """Add the gradients by weights and biases.

    Parameters
    ----------
    values, gradients : sequence of ndarray
        From `forward` and `backward`.
    into : sequence of (weight, bias)
        Gradients, of the shapes of the layers; added to.

    Examples
    --------
    >>> into = [(np.zeros((2, 1), np.float32), np.zeros(1, np.float32))]
    >>> add_gradients([np.float32([[1, 2]])], [np.float32([[3]])], into)
    >>> into[0][0].tolist(), into[0][1].tolist()
    ([[3.0], [6.0]], [3.0])
    """
    for inputs, outputs, (by_weight, by_bias) in zip(
        values[: len(into)], gradients, into, strict=True
    ):
        team = team_for(len(inputs), *by_weight.shape)
        kernels.layer_gradient(team, inputs, outputs, by_weight, by_bias)
