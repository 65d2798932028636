"""What every reduction of a least-squares problem offers to the algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..kernels import gram as kernels
from ..sketches import BucketMatrix
from ..solve import EPS, SAFE_CONDITION, column_norms, least_squares_step, rounding_error

FACTOR_NOISE = 10.0
"""Rounding errors of a computed factor, over ``max(n, d1) eps sigma_1``: more in tiny sizes."""


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


ExplicitBlock = BucketMatrix | np.ndarray
"""Columns of ``H`` that are known themselves: a bucket matrix, or dense (d1 x q)."""

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
    def spectrum_is_cheap(self) -> bool:
        """Whether `singular_values` costs no more than the reduction itself."""

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
    zero : float
        Singular values of ``X`` up to this count as zero: ``max(n, d1) eps sigma_1``.
    """

    target: np.ndarray
    zero: float

    @abstractmethod
    def image(self, T: np.ndarray) -> np.ndarray:
        """``R T`` of a dense table, (rank, columns of T)."""

    @abstractmethod
    def bucket_image(self, C: BucketMatrix) -> np.ndarray:
        """``R C`` of a bucket matrix, (rank, m)."""

    @abstractmethod
    def preimage(self, Z: np.ndarray) -> np.ndarray:
        """The table of minimum norm with ``R T = Z``."""

    def image_noise(self, block: ExplicitBlock) -> np.ndarray:
        """Rounding error (norm) to be expected in each column of ``R H``, where terms cancel."""
        return FACTOR_NOISE * self.zero * column_lengths(block)

    def solve_explicit(
        self, blocks: Sequence[ExplicitBlock], residual: np.ndarray
    ) -> np.ndarray | None:
        """``M`` that minimises ``||residual - R H M||``, if there is a way without ``R H``."""
        return None

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
        self._noise = rounding_error(self.residual)  # of the fitted values, (d2,)
        self._table: np.ndarray | None = None  # None while T is zero or known by its image only

    def fit(self, blocks: Sequence[Block]) -> None:
        """Replace ``T`` by ``T + H M`` of least loss, ``H`` the blocks side by side."""
        if self._is_zero:
            blocks = [block for block in blocks if not isinstance(block, _Previous)]
        blocks = [without_empty_buckets(block) for block in blocks]
        explicit = self._explicit(blocks)
        M = self.reduction.solve_explicit(explicit, self.residual) if explicit else None
        if M is not None:
            self.residual = self.residual - self.reduction.image(add_blocks(explicit, M))
        else:
            images = [self.reduction.columns(block, self) for block in blocks]
            W = images[0] if len(images) == 1 else np.hstack(images)
            noise = np.concatenate(
                [self._noise_in(*pair) for pair in zip(blocks, images, strict=True)]
            )
            M = least_squares_step(W, self.residual, noise)
            terms = column_norms(W) @ np.abs(M)
            self._noise = np.maximum(self._noise, W.shape[1] * EPS * terms)
            self.residual = self.residual - W @ M
        self._table = self._after(explicit, M)
        self._is_zero = False

    def _noise_in(self, block: Block, image: np.ndarray) -> np.ndarray:
        """Rounding error (norm) of each column of the image of a block."""
        if isinstance(block, _Previous):
            return self._noise
        if isinstance(block, NoiseColumns):  # no more than in any column
            return np.zeros(image.shape[1])
        return self.reduction.image_noise(block)

    def _after(self, explicit: Sequence[ExplicitBlock], M: np.ndarray) -> np.ndarray | None:
        """The new table, unless it is known by its image only."""
        if not explicit:
            return None
        step = add_blocks(explicit, M)
        return step if self._table is None else self._table + step

    def _explicit(self, blocks: Sequence[Block]) -> list[ExplicitBlock]:
        """The blocks, with ``T`` itself for PREVIOUS; none if one, or ``T``, is an image only."""
        if self._table is None and not self._is_zero:
            return []
        found: list[ExplicitBlock] = []
        for block in blocks:
            known = self._table if isinstance(block, _Previous) else block
            if known is None or isinstance(known, NoiseColumns | _Previous):
                return []
            found.append(known)
        return found

    @property
    def excess(self) -> float:
        """``||X(T - T*)||_F^2``."""
        return squared_norm(self.residual)

    @property
    def table(self) -> np.ndarray:
        """``T`` (d1 x d2); of minimum norm if noise known by its image only went into it."""
        if self._table is None:
            return self.reduction.preimage(self.reduction.target - self.residual)
        return self._table


def without_empty_buckets(block: Block) -> Block:
    """The block, a bucket matrix without its zero columns: ``H M`` is the same."""
    return block.without_empty_buckets() if isinstance(block, BucketMatrix) else block


def width(block: ExplicitBlock) -> int:
    """Number of columns."""
    return block.m if isinstance(block, BucketMatrix) else block.shape[1]


def column_lengths(block: ExplicitBlock, weights: np.ndarray | None = None) -> np.ndarray:
    """Length of each column; with ``weights`` (d1,), of ``diag(weights)^{1/2} block``."""
    if isinstance(block, BucketMatrix):
        return np.sqrt(np.bincount(block.buckets, weights, minlength=block.m))
    return column_norms(block) if weights is None else np.sqrt(weights @ (block * block))


def is_harmless(normal: np.ndarray, gram: Any, blocks: Sequence[ExplicitBlock]) -> bool:
    """Whether no column of ``X H`` is what is left of larger ones that cancelled.

    ``H'X'XH`` has lost such a column's digits; those of ``X H`` may still be good.
    """
    diagonal = gram.diagonal()
    before = np.concatenate([column_lengths(block, diagonal) for block in blocks]) ** 2
    return bool((normal.diagonal() > SAFE_CONDITION * before).all())


def inner_product(block: ExplicitBlock, rows: np.ndarray) -> np.ndarray:
    """``block' rows``."""
    return block.gather(rows) if isinstance(block, BucketMatrix) else block.T @ rows


def add_blocks(blocks: Sequence[ExplicitBlock], M: np.ndarray) -> np.ndarray:
    """``H M`` for ``H`` in blocks."""
    parts = np.split(M, np.cumsum([width(block) for block in blocks])[:-1])
    terms = [
        block.expand(part) if isinstance(block, BucketMatrix) else block @ part
        for block, part in zip(blocks, parts, strict=True)
    ]
    return sum(terms[1:], start=terms[0])


def normal_matrix(gram: Any, blocks: Sequence[ExplicitBlock]) -> np.ndarray:
    """``H'SH`` for a sparse symmetric ``S`` and ``H`` in blocks: bucketed sums of its nonzeros."""
    images = [gram @ block if isinstance(block, np.ndarray) else None for block in blocks]
    out = [[np.zeros((0, 0))] * len(blocks) for _ in blocks]
    for i, left in enumerate(blocks):
        for j in range(i, len(blocks)):
            part = _inner_through(gram, left, images[i], blocks[j], images[j])
            out[i][j], out[j][i] = part, part.T
    return np.block(out)


def _inner_through(
    gram: Any,
    left: ExplicitBlock,
    left_image: np.ndarray | None,
    right: ExplicitBlock,
    right_image: np.ndarray | None,
) -> np.ndarray:
    """``left' S right``, given ``S left`` and ``S right`` where these are dense."""
    if right_image is not None:
        return inner_product(left, right_image)
    if left_image is not None:
        return inner_product(right, left_image).T
    assert isinstance(left, BucketMatrix)
    assert isinstance(right, BucketMatrix)
    out = np.zeros((left.m, right.m))
    kernels.bucketed_gram(
        gram.indptr, gram.indices, gram.data,
        left.buckets, left.signs, right.buckets, right.signs, out,
    )  # fmt: skip
    return out


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
    eliminated, remaining = eliminated_columns(gram, max(X.shape) * eps)
    if remaining.size <= max_dense:
        return EliminationReduction(X, Y, eps, gram, eliminated, remaining)
    return NormalReduction(X, Y, gram, remaining.size)
