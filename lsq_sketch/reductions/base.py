"""What every reduction of a least-squares problem offers to the algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..sketches import BucketMatrix
from ..solve import least_squares_step


class _Previous:
    """Stands for ``T_{i-1}``, the columns of the table fitted so far."""


PREVIOUS: Final = _Previous()


@dataclass(frozen=True)
class NoiseColumns:
    """Columns ``X G`` of random noise ``G``, in the coordinates of the reduction; ``G`` unknown.

    Attributes
    ----------
    columns : ndarray of float64, shape (rank, m)
    """

    columns: np.ndarray


Block = BucketMatrix | NoiseColumns | np.ndarray | _Previous
"""Columns of ``H``: bucket matrix, noise known by its image only, dense (d1 x q), or the table."""


class State(ABC):
    """A table ``T`` on its way to the optimum, from ``T = 0``."""

    @abstractmethod
    def fit(self, blocks: Sequence[Block]) -> None:
        """Replace ``T`` by ``T + H M`` of least loss, ``H`` the blocks side by side."""

    @property
    @abstractmethod
    def excess(self) -> float:
        """``||X(T - T*)||_F^2``."""

    @property
    @abstractmethod
    def table(self) -> np.ndarray:
        """``T`` (d1 x d2); of minimum norm if noise known by its image only went into it."""


class Reduction(ABC):
    """A least-squares problem without its rows."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Numerical rank of ``X``."""

    @property
    @abstractmethod
    def singular_values(self) -> np.ndarray:
        """The nonzero singular values of ``X``, descending, (rank,)."""

    @property
    @abstractmethod
    def spectral_norm(self) -> float:
        """The largest singular value of ``X``."""

    @property
    @abstractmethod
    def smallest_singular_value(self) -> float:
        """The smallest nonzero singular value of ``X``."""

    @property
    @abstractmethod
    def optimum(self) -> np.ndarray:
        """The minimiser of the loss of least norm, (d1, d2)."""

    @abstractmethod
    def excess(self, T: np.ndarray) -> float:
        """``||X(T - T*)||_F^2`` of any table."""

    @abstractmethod
    def start(self) -> State:
        """The state ``T = 0``."""

    @abstractmethod
    def gaussian(self, rng: np.random.Generator, m: int) -> Block:
        """``m`` columns of noise with independent N(0, 1) entries."""

    @abstractmethod
    def whitened(self, rng: np.random.Generator, m: int) -> Block:
        """``m`` columns of noise ``V diag(1/sigma) G``, whose image ``X H`` is isotropic."""


class FactoredReduction(Reduction):
    """``X = Q R`` with orthonormal ``Q`` and ``R`` (rank x d1) of full row rank.

    Attributes
    ----------
    target : ndarray of float64, shape (rank, d2)
        ``Q'Y``: the loss is ``||R T - target||^2`` plus a constant, and ``R T* = target``.
    """

    target: np.ndarray

    @abstractmethod
    def image(self, T: np.ndarray) -> np.ndarray:
        """``R T`` of a dense table, (rank, columns of T)."""

    @abstractmethod
    def bucket_image(self, C: BucketMatrix) -> np.ndarray:
        """``R C`` of a bucket matrix, (rank, m)."""

    @abstractmethod
    def preimage(self, Z: np.ndarray) -> np.ndarray:
        """The table of minimum norm with ``R T = Z``."""

    @property
    def rank(self) -> int:
        """Numerical rank of ``X``."""
        return len(self.target)

    @property
    def optimum(self) -> np.ndarray:
        """The minimiser of the loss of least norm, (d1, d2)."""
        return self.preimage(self.target)

    def excess(self, T: np.ndarray) -> float:
        """``||R T - target||_F^2 = ||X(T - T*)||_F^2``."""
        return squared_norm(self.image(T) - self.target)

    def start(self) -> State:
        """The state ``T = 0``."""
        return FactoredState(self)

    def whitened(self, rng: np.random.Generator, m: int) -> NoiseColumns:
        """Noise with isotropic image: independent N(0, 1) entries in these coordinates."""
        return NoiseColumns(rng.standard_normal((self.rank, m)))

    def columns(self, block: Any, state: FactoredState) -> np.ndarray:
        """The image of a block of ``H``."""
        if isinstance(block, NoiseColumns):
            return block.columns
        if isinstance(block, BucketMatrix):
            return self.bucket_image(block)
        if isinstance(block, _Previous):
            return self.target - state.residual
        return self.image(block)


class FactoredState(State):
    """A state known by its residual ``target - R T``.

    Each fit starts from the current residual, so that rounding errors are relative to it and do
    not add up over the rounds.
    """

    def __init__(self, reduction: FactoredReduction):
        self.reduction = reduction
        self.residual = reduction.target.copy()
        self._is_zero = True
        self._table: np.ndarray | None = None
        self._table_is_known = True

    def fit(self, blocks: Sequence[Block]) -> None:
        """Replace ``T`` by ``T + H M`` of least loss, ``H`` the blocks side by side."""
        if self._is_zero:
            blocks = [block for block in blocks if not isinstance(block, _Previous)]
        images = [self.reduction.columns(block, self) for block in blocks]
        W = images[0] if len(images) == 1 else np.hstack(images)
        M = least_squares_step(W, self.residual)
        self.residual = self.residual - W @ M
        self._is_zero = False
        self._table_is_known &= not any(isinstance(block, NoiseColumns) for block in blocks)
        if self._table_is_known:
            widths = np.cumsum([image.shape[1] for image in images])[:-1]
            self._table = add_blocks(self._table, blocks, np.split(M, widths))

    @property
    def excess(self) -> float:
        """``||X(T - T*)||_F^2``."""
        return squared_norm(self.residual)

    @property
    def table(self) -> np.ndarray:
        """``T`` (d1 x d2); of minimum norm if noise known by its image only went into it."""
        if self._is_zero or not self._table_is_known or self._table is None:
            return self.reduction.preimage(self.reduction.target - self.residual)
        return self._table


def add_blocks(
    T: np.ndarray | None, blocks: Sequence[Block], parts: Sequence[np.ndarray]
) -> np.ndarray:
    """``T + H M`` for ``H`` in blocks and ``M`` split likewise; ``T = None`` is zero."""
    total = T
    for block, M in zip(blocks, parts, strict=True):
        if isinstance(block, BucketMatrix):
            term = block.expand(M)
        elif isinstance(block, np.ndarray):
            term = block @ M
        else:
            assert T is not None
            term = T @ M
        total = term if total is None else total + term
    assert total is not None
    return total


def squared_norm(A: np.ndarray) -> float:
    """``||A||_F^2``."""
    return float(np.vdot(A, A))


def choose_reduction(X: Any, Y: np.ndarray, eps: float, max_dense: int) -> Reduction:
    """The reduction for a validated design.

    Parameters
    ----------
    X : ndarray or scipy.sparse.csr_array, shape (n, d1)
    Y : ndarray, shape (n, d2)
    eps : float
        Machine epsilon of the data: singular values below ``max(n, d1) eps sigma_1`` are zero.
    max_dense : int
        A sparse design is factored if at most so many columns remain after elimination.

    Returns
    -------
    Reduction
    """
    from .elimination import EliminationReduction, eliminated_columns
    from .normal import NormalReduction
    from .svd import SingularValueReduction

    if isinstance(X, np.ndarray):
        return SingularValueReduction(X, Y, eps)
    gram = (X.T @ X).tocsr()
    gram.sort_indices()
    eliminated, remaining = eliminated_columns(gram)
    if remaining.size <= max_dense:
        return EliminationReduction(X, Y, eps, gram, eliminated, remaining)
    return NormalReduction(X, Y, gram, remaining.size)
