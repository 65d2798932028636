"""Dense layers and the way back through them; products as in `team`."""

import numpy as np
from numba import njit

from .composition import add_column_sums
from .team import KEEP_WHERE_POSITIVE, NOTHING, RECTIFY, product

ROWS_IN_CACHE = 128
"""Of a batch, some columns of which stay in the first cache while they are multiplied."""


@njit(cache=True, nogil=True)
def layer(team, inputs, weight, bias, out):
    """``out = inputs @ weight + bias``."""
    product(team, inputs, weight, np.broadcast_to(bias, out.shape), out, NOTHING, out)


@njit(cache=True, nogil=True)
def rectified_layer(team, inputs, weight, bias, out):
    """The positive part of ``inputs @ weight + bias``."""
    product(team, inputs, weight, np.broadcast_to(bias, out.shape), out, RECTIFY, out)


@njit(cache=True, nogil=True)
def layer_gradient(team, inputs, gradients, by_weight, by_bias):
    """Add the gradients by weight and bias, given that by what the layer gave."""
    for first in range(0, len(inputs), ROWS_IN_CACHE):
        rows = slice(first, first + ROWS_IN_CACHE)
        product(
            team, inputs[rows].T, gradients[rows], by_weight, by_weight, NOTHING, by_weight
        )  # fmt: skip
    add_column_sums(by_bias, gradients)


@njit(cache=True, nogil=True)
def inputs_gradient(team, weight, gradients, by_inputs):
    """The gradient by a layer's inputs, given that by what it gave."""
    start = np.broadcast_to(np.zeros(by_inputs.shape[1], np.float32), by_inputs.shape)
    product(team, gradients, weight.T.copy(), start, by_inputs, NOTHING, by_inputs)


@njit(cache=True, nogil=True)
def rectified_inputs_gradient(team, inputs, weight, gradients, by_inputs):
    """The gradient by what the layer before has rectified to a layer's inputs."""
    start = np.broadcast_to(np.zeros(by_inputs.shape[1], np.float32), by_inputs.shape)
    product(team, gradients, weight.T.copy(), start, by_inputs, KEEP_WHERE_POSITIVE, inputs)
