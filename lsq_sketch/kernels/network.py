"""Dense layers and the way back through them; products as in `products`."""

import numpy as np
from numba import njit

from .composition import add_column_sums
from .products import add_product, affine, multiply


@njit(cache=True, nogil=True)
def layer(inputs, weight, bias, out):
    """``out = inputs @ weight + bias``."""
    affine(inputs, weight, bias, out)


@njit(cache=True, nogil=True)
def rectified_layer(inputs, weight, bias, out):
    """The positive part of ``inputs @ weight + bias``."""
    affine(inputs, weight, bias, out)
    zero = np.float32(0)
    for i in range(out.shape[0]):
        row = out[i]
        for c in range(row.size):
            row[c] = max(row[c], zero)


@njit(cache=True, nogil=True)
def layer_gradient(inputs, gradients, by_weight, by_bias):
    """Add the gradients by weight and bias, given that by what the layer gave."""
    add_product(inputs.T, gradients, by_weight)
    add_column_sums(by_bias, gradients)


@njit(cache=True, nogil=True)
def inputs_gradient(weight, gradients, by_inputs):
    """The gradient by a layer's inputs, given that by what it gave."""
    multiply(gradients, weight.T.copy(), by_inputs)


@njit(cache=True, nogil=True)
def rectified_inputs_gradient(inputs, weight, gradients, by_inputs):
    """The gradient by what the layer before has rectified to a layer's inputs."""
    inputs_gradient(weight, gradients, by_inputs)
    zero = np.float32(0)
    for i in range(inputs.shape[0]):
        row, gradient = inputs[i], by_inputs[i]
        for c in range(row.size):
            value = gradient[c]  # read in any case: LLVM makes no vectors of reads on a condition
            gradient[c] = value if row[c] > zero else zero
