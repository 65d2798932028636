"""Dense designs: rotated coordinates, ``X = U S V'``."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg

from ..sketches import BucketMatrix
from ..solve import canonical_signs, triangular_factor
from ..threads import for_each, row_chunks
from .base import FactoredReduction, NoiseColumns

BLOCK_ROWS = 4
"""A row block has at least so many rows for each column."""

PARTS = 8
"""Row blocks whose Gram matrices are formed side by side."""

SAFE_GRAM = 1e-3
"""Smallest ratio of the extreme eigenvalues of ``X'X`` at which they replace the SVD: condition 32.

The smallest singular value then has a relative error of about ``eps / SAFE_GRAM``, the target of
``eps / sqrt(SAFE_GRAM)``.
"""


class SingularValueReduction(FactoredReduction):
    """``R = S V'`` and ``target = U'Y`` for a dense design ``X = U S V'``.

    By QR of ``[X Y]`` in row blocks, then an SVD of the triangle. A tall design of condition below
    32 is spared that: eigenvectors of ``X'X`` do, with an error that is harmless there (see
    `SAFE_GRAM`).

    Gaussian noise is drawn in rotated coordinates: ``V'G`` has the law of ``G``, so ``X G`` has
    the law of ``U S G'`` and no iteration needs ``V``. The table is that of minimum norm.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d1)
    Y : ndarray of float64, shape (n, d2)
    eps : float
        Singular values up to ``max(n, d1) eps sigma_1`` count as zero.
    """

    def __init__(self, X: np.ndarray, Y: np.ndarray, eps: float):
        found = _by_gram(X, Y) if len(X) >= 2 * X.shape[1] else None
        sigma, self.Vt, target = _by_qr(X, Y) if found is None else found
        self.zero = float(max(X.shape) * eps * sigma[0])
        rank = int((sigma > self.zero).sum())
        signs = canonical_signs(self.Vt[:rank])[:, None]
        self._sigma, self.Vt, self.target = (
            sigma[:rank],
            signs * self.Vt[:rank],
            signs * target[:rank],
        )

    @property
    def singular_values(self) -> np.ndarray:
        """The nonzero singular values of ``X``, descending, (rank,)."""
        return self._sigma

    @property
    def spectrum_is_cheap(self) -> bool:
        """True: they are part of the reduction."""
        return True

    @property
    def spectral_norm(self) -> float:
        """The largest singular value of ``X``."""
        return float(self._sigma[0]) if self.rank else 0.0

    @property
    def smallest_singular_value(self) -> float:
        """The smallest nonzero singular value of ``X``."""
        return float(self._sigma[-1])

    @cached_property
    def factor(self) -> np.ndarray:
        """``S V'``, (rank, d1)."""
        return self._sigma[:, None] * self.Vt

    def image(self, T: np.ndarray) -> np.ndarray:
        """``S V' T``."""
        return self._sigma[:, None] * (self.Vt @ T)

    def bucket_image(self, C: BucketMatrix) -> np.ndarray:
        """``S V' C``."""
        return C.apply(self.factor)

    def preimage(self, Z: np.ndarray) -> np.ndarray:
        """``V S^{-1} Z``."""
        return self.Vt.T @ (Z / self._sigma[:, None])

    def gaussian(self, rng: np.random.Generator, m: int) -> NoiseColumns:
        """``S G'``, which has the law of the image of Gaussian noise."""
        columns = rng.standard_normal((self.rank, m))
        columns *= self._sigma[:, None]
        return NoiseColumns(columns)


def _by_gram(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """``sigma``, ``V'`` and ``U'Y`` from ``X'X``, if its condition makes that harmless."""
    pieces = row_chunks(len(X), -(-len(X) // PARTS))
    scale = 2.0 ** np.floor(np.log2(np.abs(X).max() or 1.0))  # squares stay in range, exactly

    def products(piece: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        part = X[slice(*piece)] / scale
        return part.T @ part, part.T @ Y[slice(*piece)]

    parts = for_each(products, pieces)
    values, vectors = scipy.linalg.eigh(sum(gram for gram, _ in parts))
    if not values[0] > SAFE_GRAM * values[-1]:
        return None
    root, V = np.sqrt(values[::-1]), vectors[:, ::-1]
    target = (V / root).T @ sum(moments for _, moments in parts)
    return scale * root, np.ascontiguousarray(V.T), target


def _by_qr(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``sigma``, ``V'`` and ``U'Y`` by QR of ``[X Y]`` and an SVD of the triangle."""
    n, d1 = X.shape
    factor, moments = X, Y
    if n > d1:
        count = max(1, n // (BLOCK_ROWS * (d1 + Y.shape[1])))
        blocks = [np.hstack([X[a:b], Y[a:b]]) for a, b in row_chunks(n, -(-n // count))]
        triangle = triangular_factor(blocks)
        factor, moments = triangle[:d1, :d1], triangle[:d1, d1:]
    U, sigma, Vt = _svd(factor)
    return sigma, Vt, U.T @ moments


def _svd(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        return scipy.linalg.svd(A, full_matrices=False)
    except np.linalg.LinAlgError:  # divide and conquer failed to converge: QR iteration
        return scipy.linalg.svd(A, full_matrices=False, lapack_driver="gesvd")
