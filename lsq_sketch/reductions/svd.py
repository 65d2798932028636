"""Dense designs: rotated coordinates, ``X = U S V'``."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg

from ..sketches import BucketMatrix
from ..solve import triangular_factor
from ..threads import row_chunks
from .base import FactoredReduction, NoiseColumns

MIN_BLOCK_ROWS = 4096


class SingularValueReduction(FactoredReduction):
    """``R = S V'`` and ``target = U'Y`` by QR of ``[X Y]`` (in row blocks), then an SVD of ``R``.

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
        n, d1 = X.shape
        if n > d1:
            rows = max(MIN_BLOCK_ROWS, 2 * (d1 + Y.shape[1]))
            blocks = [np.hstack([X[a:b], Y[a:b]]) for a, b in row_chunks(n, rows)]
            triangle = triangular_factor(blocks)
            factor, moments = triangle[:d1, :d1], triangle[:d1, d1:]
        else:
            factor, moments = X, Y
        U, sigma, self.Vt = _svd(factor)
        self.zero = float(max(n, d1) * eps * sigma[0])
        rank = int((sigma > self.zero).sum())
        self._sigma = sigma[:rank]
        self.Vt = self.Vt[:rank]
        self.target = U[:, :rank].T @ moments

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


def _svd(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        return scipy.linalg.svd(A, full_matrices=False)
    except np.linalg.LinAlgError:  # divide and conquer failed to converge: QR iteration
        return scipy.linalg.svd(A, full_matrices=False, lapack_driver="gesvd")
