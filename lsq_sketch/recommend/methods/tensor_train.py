"""TT-Rec: the table as a tensor train of three cores."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ...kernels import composition as kernels
from ...kernels.composition import add_rows
from ...rng import generator
from .base import ComposedTable, Parameter, sum_by_id

START_SCALE = 0.65
"""Starting values of cores, beside those that give vectors of the usual size."""


class TensorTrain(ComposedTable):
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

    def forward(self, ids: np.ndarray) -> tuple[np.ndarray, Any]:
        """Vectors of a batch, and the products of the first two cores that it needs."""
        batch = self._products(ids)
        out = np.empty((len(batch.pairs), self.dim), np.float32)
        third = self.parameters["third"].value
        kernels.train_vectors(batch.pairs, batch.thirds, batch.lefts, third, out)
        return out.take(batch.places, axis=0), batch

    def backward_from(self, kept: Any, gradients: np.ndarray) -> None:
        """Add the gradients by the cores."""
        first, second, third = self._cores()
        summed = sum_by_id(kept.places, len(kept.pairs), gradients)
        by_lefts = np.zeros(kept.lefts.shape, np.float32)
        kernels.train_gradients(
            kept.pairs, kept.thirds, kept.lefts, third.value, summed, by_lefts, third.gradient
        )
        by_slices = np.empty_like(kept.slices)
        kernels.train_products_gradient(
            kept.slices, second.value, kept.seconds, kept.starts,
            by_lefts.reshape(len(by_slices), -1), by_slices, second.gradient,
        )  # fmt: skip
        flat = first.gradient.reshape(len(first.gradient), -1)
        add_rows(flat, kept.firsts, by_slices.reshape(len(kept.firsts), -1))

    def _products(self, ids: np.ndarray) -> _Batch:
        (d1, d2, _), r = self.factors, self.rank
        keys = np.empty(len(ids), np.int64)
        kernels.train_keys(ids, *self.radices[1:], keys)
        keys.sort()
        found = np.empty((6, len(ids) + 1), np.int64)
        n_ids, n_pairs, n_seconds = kernels.train_pairs(keys, *found)
        places, pairs, thirds, firsts, seconds, starts = found
        firsts, seconds = firsts[:n_pairs], seconds[:n_seconds]
        slices = self.parameters["first"].value.take(firsts, axis=0).reshape(-1, r)
        products = np.empty((len(slices), d2 * r), np.float32)
        kernels.train_products(slices, self.parameters["second"].value, seconds, starts, products)
        lefts = products.reshape(n_pairs, d1 * d2, r)
        return _Batch(
            places[: len(ids)], pairs[:n_ids], thirds[:n_ids], firsts, seconds, starts,
            slices, lefts,
        )  # fmt: skip


@dataclass(frozen=True)
class _Batch:
    """The different IDs of a batch, and products that several of them share.

    Attributes
    ----------
    places : ndarray of int64, shape (n,)
        Where among the different IDs, in the order of `kernels.train_keys`, each of the batch is.
    pairs, thirds, firsts, seconds, starts : ndarray of int64
        As `kernels.train_pairs` gives them.
    slices : ndarray of float32, shape (pairs d1, r)
        Of the first core.
    lefts : ndarray of float32, shape (pairs, d1 d2, r)
        Their products with the slices of the second core.
    """

    places: np.ndarray
    pairs: np.ndarray
    thirds: np.ndarray
    firsts: np.ndarray
    seconds: np.ndarray
    starts: np.ndarray
    slices: np.ndarray
    lefts: np.ndarray


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
