"""TT-Rec: the table as a tensor train of three cores."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ...kernels import composition as kernels
from ...rng import generator
from .base import Parameter, Table, sum_by_id

START_SCALE = 0.65
"""Starting values of cores, beside those that give vectors of the usual size."""


class TensorTrain(Table):
    """A product of three small matrices, chosen by the digits of the ID.

    The ID has three digits in mixed radix, ``dim`` is a product of three numbers, and the vector
    is ``G1[i1] G2[i2] G3[i3]``: (d1 x r)(r x d2 r)(r x d3). The rank ``r`` is the largest that
    the budget allows; rank 1 is the least there is, even if the budget is smaller still.

    No fixed ``H``: the vectors are of third degree in the parameters. With two of the cores
    fixed they are linear in the third.

    References
    ----------
    Yin, Acun, Liu and Wu, "TT-Rec: tensor train compression for deep learning recommendation
    models", MLSys 2021.

    Examples
    --------
    >>> table = TensorTrain(8451, 32, 256)
    >>> table.radices, table.factors, table.rank, table.parameter_count
    ((20, 21, 21), (4, 2, 4), 12, 8016)
    """

    title = "tensor train (TT-Rec)"

    def __init__(
        self, cardinality: int, dim: int, params_per_dim: int, rng: Any = 0, options: Any = None
    ):
        super().__init__(cardinality, dim, params_per_dim, rng, options)
        random = generator(rng)
        self.radices = balanced_radices(cardinality)
        self.factors = balanced_factors(dim)
        self.rank = self._largest_rank(params_per_dim * dim)
        shapes = self._shapes(self.rank)
        # products of three, rank^2 terms; of variance 1 / (3 dim) like the entries of other tables
        # they would move too fast: every entry of a core is shared by many IDs
        reach = START_SCALE * np.sqrt(3) * (3 * dim * self.rank**2) ** (-1 / 6)
        for name, shape in zip(("first", "second", "third"), shapes, strict=True):
            core = random.uniform(-reach, reach, shape)
            if dim == 1 and name == "third":  # biases begin at zero
                core[:] = 0
            self.parameters[name] = Parameter(core, row_width=1)

    def _shapes(self, rank: int) -> tuple[tuple[int, ...], ...]:
        (n1, n2, n3), (d1, d2, d3) = self.radices, self.factors
        return (n1, d1, rank), (n2, rank, d2 * rank), (n3, d3, rank)

    def _largest_rank(self, budget: int) -> int:
        rank = 1
        while sum(int(np.prod(shape)) for shape in self._shapes(rank + 1)) <= budget:
            rank += 1
        return rank

    def _cores(self) -> tuple[Parameter, Parameter, Parameter]:
        return self.parameters["first"], self.parameters["second"], self.parameters["third"]

    def lookup(self, ids: np.ndarray) -> np.ndarray:
        """Vectors of a batch."""
        different, places = np.unique(ids, return_inverse=True)
        out = np.empty((len(different), self.dim), np.float32)
        first, second, third = self._cores()
        kernels.train_vectors(different, first.value, second.value, third.value, out)
        return out[places]

    def backward(self, ids: np.ndarray, gradients: np.ndarray) -> None:
        """Add the gradients by the cores."""
        different, summed = sum_by_id(ids, gradients)
        first, second, third = self._cores()
        kernels.train_gradients(
            different, first.value, second.value, third.value, summed,
            first.gradient, second.gradient, third.gradient,
        )  # fmt: skip


def balanced_radices(cardinality: int) -> tuple[int, int, int]:
    """Three numbers, as equal as may be, whose product is at least ``cardinality``.

    Examples
    --------
    >>> balanced_radices(8451), balanced_radices(9), balanced_radices(1)
    ((20, 21, 21), (2, 2, 3), (1, 1, 1))
    """
    low = round(cardinality ** (1 / 3))
    while low**3 > cardinality:
        low -= 1
    while (low + 1) ** 3 <= cardinality:
        low += 1
    candidates = [(low + (g > 2), low + (g > 1), low + (g > 0)) for g in range(4)]
    return next(radices for radices in candidates if int(np.prod(radices)) >= cardinality)


def balanced_factors(dim: int) -> tuple[int, int, int]:
    """Three numbers, as equal as may be, whose product is ``dim``; the smallest in the middle.

    Examples
    --------
    >>> balanced_factors(32), balanced_factors(12), balanced_factors(7)
    ((4, 2, 4), (2, 2, 3), (1, 1, 7))
    """
    divisors = [d for d in range(1, dim + 1) if dim % d == 0]
    found = [
        (a, b, dim // (a * b))
        for a, b in product(divisors, divisors)
        if dim % (a * b) == 0 and b <= a <= dim // (a * b)
    ]
    return min(found, key=lambda factors: (sum(factors), factors))
