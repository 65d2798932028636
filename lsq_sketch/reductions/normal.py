"""Sparse designs too large to factor: normal equations, with a fallback to QR of ``X H``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import lsmr

from ..errors import TooLargeError
from ..sketches import BucketMatrix
from ..solve import EPS, cholesky_solve, qr_solve, rounding_error, triangular_factor
from ..threads import row_chunks
from .base import (
    Block,
    ExplicitBlock,
    NoiseColumns,
    Reduction,
    State,
    _Previous,
    add_blocks,
    column_lengths,
    inner_product,
    is_harmless,
    normal_matrix,
    squared_norm,
    width,
    without_empty_buckets,
)
from .elimination import spectral_norm

MIN_BLOCK_ROWS = 4096

GRADIENT_TOLERANCE = 1e-10
"""`optimum` warns if the gradient, relative to its terms, stays above this."""


class NormalReduction(Reduction):
    """The sparse Gram matrix ``X'X`` and ``X'Y``.

    Each round solves ``H'X'XH M = H'X'(Y - X T)``, a bucketed sum over the nonzeros of ``X'X``.
    The optimum, needed for `excess` only, is found by LSMR; the rank and the smallest singular
    value are refused, since no method is known to find them in reasonable memory.

    Parameters
    ----------
    X : scipy.sparse.csr_array of float64, shape (n, d1)
    Y : ndarray of float64, shape (n, d2)
    gram : scipy.sparse.csr_array, shape (d1, d1)
    remaining : int
        Columns that would remain after elimination; for the message of `TooLargeError`.
    """

    def __init__(self, X: sp.csr_array, Y: np.ndarray, gram: sp.csr_array, remaining: int):
        self.X, self.Y, self.gram = X, Y, gram
        self.moments = X.T @ Y
        self._remaining = remaining

    def _refuse(self, what: str) -> TooLargeError:
        return TooLargeError(
            f"{what} of this design needs a dense matrix of {self._remaining} columns (those left "
            f"after eliminating orthogonal ones). If memory allows "
            f"({8 * self._remaining**2 / 2**30:.1f} GiB, a few times), pass "
            f"LeastSquares(X, Y, max_dense={self._remaining})."
        )

    @property
    def rank(self) -> int:
        """Refused: see the class."""
        raise self._refuse("rank")

    @property
    def singular_values(self) -> np.ndarray:
        """Refused: see the class."""
        raise self._refuse("singular_values")

    @property
    def spectrum_is_cheap(self) -> bool:
        """False: it is refused."""
        return False

    @property
    def smallest_singular_value(self) -> float:
        """Refused: see the class."""
        raise self._refuse("the smallest singular value")

    @cached_property
    def spectral_norm(self) -> float:
        """The largest singular value of ``X`` (Lanczos)."""
        return spectral_norm(self.gram)

    @cached_property
    def optimum(self) -> np.ndarray:
        """The minimiser of the loss of least norm, by LSMR to working precision."""
        T = np.empty(self.moments.shape)
        for t in range(T.shape[1]):
            solved = lsmr(
                self.X, self.Y[:, t], atol=EPS, btol=EPS, conlim=0, maxiter=10 * min(self.X.shape)
            )
            T[:, t] = solved[0]
        residual = self.Y - self.X @ T
        frobenius = np.sqrt(self.gram.diagonal().sum())
        size = frobenius * np.sqrt(squared_norm(residual)) + np.sqrt(squared_norm(self.moments))
        reached = np.sqrt(squared_norm(self.X.T @ residual)) / (size or 1.0)
        if reached > GRADIENT_TOLERANCE:
            warnings.warn(
                f"LSMR stopped with a relative gradient of {reached:.1e}; excess losses below "
                f"about its square, relative to the loss, are not reliable.",
                RuntimeWarning,
                stacklevel=2,
            )
        return T

    def excess(self, T: np.ndarray) -> float:
        """``||X(T - T*)||_F^2``."""
        return squared_norm(self.X @ (T - self.optimum))

    def start(self) -> State:
        """The state ``T = 0``."""
        return NormalState(self)

    def gaussian(self, rng: np.random.Generator, m: int) -> np.ndarray:
        """Independent N(0, 1) entries, d1 x m."""
        return rng.standard_normal((self.X.shape[1], m))

    def whitened(self, rng: np.random.Generator, m: int) -> np.ndarray:
        """Least-squares solutions for Gaussian targets: their image is a random projection's."""
        noise = rng.standard_normal((self.X.shape[0], m))
        return NormalReduction(self.X, noise, self.gram, self._remaining).optimum


class NormalState(State):
    """A state known by its table and half the negative gradient ``X'(Y - X T)``."""

    def __init__(self, reduction: NormalReduction):
        self.reduction = reduction
        self._table: np.ndarray | None = None
        self._gradient = reduction.moments

    @property
    def table(self) -> np.ndarray:
        """``T`` (d1 x d2)."""
        return np.zeros_like(self._gradient) if self._table is None else self._table

    @property
    def excess(self) -> float:
        """``||X(T - T*)||_F^2``."""
        return self.reduction.excess(self.table)

    def fit(self, blocks: Sequence[Block]) -> None:
        """Replace ``T`` by ``T + H M`` of least loss, ``H`` the blocks side by side."""
        explicit: list[ExplicitBlock] = []
        for block in map(without_empty_buckets, blocks):
            if isinstance(block, _Previous):
                if self._table is not None:
                    explicit.append(self._table)
            elif isinstance(block, NoiseColumns):
                raise TypeError("noise known by its image only does not fit this reduction")
            else:
                explicit.append(block)
        moments = np.vstack([inner_product(block, self._gradient) for block in explicit])
        normal = normal_matrix(self.reduction.gram, explicit)
        M = None
        if is_harmless(normal, self.reduction.gram, explicit):
            M = cholesky_solve(normal, moments)
        if M is None:
            M = self._solve_by_qr(explicit)
        step = add_blocks(explicit, M)
        self._table = self.table + step
        self._gradient = self._gradient - self.reduction.gram @ step

    def _solve_by_qr(self, blocks: Sequence[ExplicitBlock]) -> np.ndarray:
        X, Y = self.reduction.X, self.reduction.Y
        k = sum(width(block) for block in blocks)
        rows = max(MIN_BLOCK_ROWS, 2 * (k + Y.shape[1]))
        factors = []
        for a, b in row_chunks(len(Y), rows):
            part = X[a:b]
            images = [
                block.apply(part).toarray() if isinstance(block, BucketMatrix) else part @ block
                for block in blocks
            ]
            factors.append(np.hstack([*images, Y[a:b] - part @ self.table]))
        triangle = triangular_factor(factors)
        W = triangle[:k, :k]
        frobenius = np.sqrt(self.reduction.gram.diagonal().sum())
        cancelled = np.concatenate([column_lengths(block) for block in blocks])
        noise = np.maximum(rounding_error(W), max(X.shape) * EPS * frobenius * cancelled)
        return qr_solve(W, triangle[:k, k:], noise)
