"""Dense layers and the way back through them; products as in `products`."""

import numpy as np
from numba import njit

from .composition import add_column_sums
from .interactions import rectify_gradient
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
def rectified_inputs_gradient(inputs, weight, gradients, by_inputs):
    """The gradient by the inputs, which another layer has rectified, before it did."""
    multiply(gradients, weight.T.copy(), by_inputs)
    rectify_gradient(inputs, by_inputs)
