"""Sparse designs: a large set of mutually orthogonal columns is eliminated in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, eigsh

from ..errors import TooLargeError
from ..kernels import gram as kernels
from ..sketches import BucketMatrix
from ..solve import EPS, SAFE_CONDITION, canonical_signs, cholesky_solve, triangular_factor
from ..threads import row_chunks
from .base import (
    ExplicitBlock,
    FactoredReduction,
    NoiseColumns,
    inner_product,
    is_harmless,
    normal_matrix,
    squared_norm,
)

MIN_BLOCK_ROWS = 4096

SVD_SIZE = 2500
"""Up to this rank singular values come from an SVD; beyond it from the Gram matrix."""

LANCZOS_VECTORS = 40

LARGEST_MULTIPLIER = 10.0
"""Threshold pivoting: elimination may not blow up rounding errors by more. One-hot: at most 1."""

SPECTRUM_SIZE = 20_000
"""Beyond this rank the whole spectrum of a design that is not one field is refused."""


def eliminated_columns(gram: sp.csr_array, zero: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Nonzero columns of ``X`` in two sets, the first mutually orthogonal and as large as easy.

    Columns whose elimination would take multipliers above `LARGEST_MULTIPLIER` are not eliminated.

    Parameters
    ----------
    gram : scipy.sparse.csr_array, shape (d1, d1)
        ``X'X``.
    zero : float
        Columns up to this length, relative to the longest, count as zero.

    Returns
    -------
    eliminated, remaining : ndarray of int
        Sorted indices.
    """
    degrees = np.diff(gram.indptr)
    order = np.argsort(degrees, kind="stable")
    diagonal = gram.diagonal()
    active = diagonal > zero**2 * diagonal.max()
    largest = abs(gram).max(axis=1).toarray().ravel()
    pivots = active & (largest <= LARGEST_MULTIPLIER * diagonal)
    chosen = kernels.independent_columns(gram.indptr, gram.indices, order[pivots[order]])
    return np.flatnonzero(chosen), np.flatnonzero(active & ~chosen)


class EliminationReduction(FactoredReduction):
    """A QR factorisation with ``R = [[D^{1/2}, D^{-1/2} A'], [0, R_s]]``.

    ``D`` is the diagonal Gram matrix of the eliminated columns (for a one-hot field: the counts
    of its IDs), ``A`` their inner products with the remaining ones, and ``R_s`` a factor of the
    Schur complement ``S = R_s'R_s``. For a design of one field nothing remains and all is closed
    form; for user + movie designs the remaining columns are about the smaller field.

    ``S`` comes from the Gram matrix (the Cholesky shortcut) if its nonzero eigenvalues exceed
    ``sqrt(eps) sigma_1^2`` and the directions taken as zero are seen to have no image under ``X``
    itself; otherwise ``R_s`` comes from QR of the remaining columns, projected.

    Parameters
    ----------
    X : scipy.sparse.csr_array of float64, shape (n, d1)
    Y : ndarray of float64, shape (n, d2)
    eps : float
        Singular values up to ``max(n, d1) eps sigma_1`` count as zero.
    gram : scipy.sparse.csr_array, shape (d1, d1)
        ``X'X``.
    eliminated, remaining : ndarray of int
        From `eliminated_columns`.
    """

    def __init__(
        self,
        X: sp.csr_array,
        Y: np.ndarray,
        eps: float,
        gram: sp.csr_array,
        eliminated: np.ndarray,
        remaining: np.ndarray,
    ):
        self._gram = gram
        self._gram_is_safe = True
        self._eliminated, self._remaining = eliminated, remaining
        self._d1 = X.shape[1]
        # an upper bound on sigma_1 (exact for one field): Lanczos may take long, and is not needed
        self._norm = float(np.sqrt(abs(gram).sum(axis=1).max()))
        self.zero = max(X.shape) * eps * self._norm
        diagonal = gram.diagonal()[eliminated]
        self._root = np.sqrt(diagonal)
        A = gram[remaining][:, eliminated].tocsr()
        self._regression = (A @ sp.diags_array(1 / diagonal)).tocsr()  # A D^{-1}, q x p
        self._border = (sp.diags_array(1 / self._root) @ A.T).tocsr()  # D^{-1/2} A', p x q
        moments = X.T @ Y
        top = moments[eliminated] / self._root[:, None]
        if remaining.size == 0:
            self._factor = np.zeros((0, 0))
            self._right_inverse = self._null = np.zeros((0, 0))
            bottom = np.zeros((0, Y.shape[1]))
        else:
            self._gram_is_safe = self._factor_schur_complement(X, A)
            if self._gram_is_safe:
                bottom = self._right_inverse.T @ (
                    moments[remaining] - self._regression @ moments[eliminated]
                )
            else:
                bottom = self._factor_projected_columns(
                    X, Y, moments[eliminated] / diagonal[:, None]
                )
        self.target = np.vstack([top, bottom])

    def _factor_schur_complement(self, X: sp.csr_array, A: sp.csr_array) -> bool:
        schur = self._gram[self._remaining][:, self._remaining].toarray()
        schur -= (self._regression @ A.T).toarray()
        scale = 4.0 ** np.floor(np.log2(self._norm))  # exact, and so are the eigenvectors
        values, vectors = scipy.linalg.eigh(schur / scale)
        values *= scale
        nonzero = values > SAFE_CONDITION * self._norm**2
        null = vectors[:, ~nonzero]
        if null.size:
            directions = np.zeros((self._d1, null.shape[1]))
            directions[self._remaining] = null
            directions[self._eliminated] = -(self._regression.T @ null)
            image = np.sqrt(((X @ directions) ** 2).sum(axis=0))
            length = np.sqrt((directions**2).sum(axis=0))
            if (image > self.zero * length).any():
                return False
        root, kept = np.sqrt(values[nonzero]), vectors[:, nonzero]
        kept = kept * canonical_signs(kept.T)
        self._factor = root[:, None] * kept.T
        self._right_inverse = kept / root
        self._null = null
        return True

    def _factor_projected_columns(
        self, X: sp.csr_array, Y: np.ndarray, fitted: np.ndarray
    ) -> np.ndarray:
        q, d2 = self._remaining.size, Y.shape[1]
        rows = max(MIN_BLOCK_ROWS, 2 * (q + d2))
        X_eliminated, X_remaining = X[:, self._eliminated], X[:, self._remaining]
        blocks = []
        for a, b in row_chunks(len(Y), rows):
            columns = X_remaining[a:b].toarray()
            columns -= (X_eliminated[a:b] @ self._regression.T).toarray()
            blocks.append(np.hstack([columns, Y[a:b] - X_eliminated[a:b] @ fitted]))
        triangle = triangular_factor(blocks)
        U, sigma, Vt = scipy.linalg.svd(triangle[:q, :q], full_matrices=True)
        nonzero = np.zeros(q, dtype=bool)
        nonzero[: sigma.size] = sigma > self.zero
        sigma, kept = sigma[nonzero[: sigma.size]], Vt[nonzero]
        signs = canonical_signs(kept)[:, None]
        self._factor = sigma[:, None] * signs * kept
        self._right_inverse = (signs * kept).T / sigma
        self._null = Vt[~nonzero].T
        return signs * (U[:, : sigma.size].T @ triangle[:q, q:])

    @property
    def spectrum_is_cheap(self) -> bool:
        """True for a design of one field, and for small ones."""
        return self._remaining.size == 0 or self.rank <= SVD_SIZE

    @cached_property
    def spectral_norm(self) -> float:
        """The largest singular value of ``X``."""
        if self._remaining.size == 0:
            return float(np.sqrt(self._gram.diagonal().max()))
        return spectral_norm(self._gram)

    @cached_property
    def smallest_singular_value(self) -> float:
        """The smallest nonzero singular value of ``X``: inverse iteration (Lanczos)."""
        if self._remaining.size == 0 or self.rank <= SVD_SIZE or "singular_values" in self.__dict__:
            return float(self.singular_values[-1])
        # in the coordinates of R: (R R')^{-1} is symmetric, with eigenvalues 1/sigma_j^2
        scale = float(self._gram.diagonal().max())
        inverse = LinearOperator(
            (self.rank, self.rank),
            matvec=lambda z: scale * self._coordinates(self.preimage(z.reshape(-1, 1)))[:, 0],
            dtype=np.float64,
        )
        return float(np.sqrt(scale / largest_eigenvalue(inverse)))

    @cached_property
    def singular_values(self) -> np.ndarray:
        """The nonzero singular values of ``X``, descending, (rank,)."""
        if self._remaining.size == 0:
            return np.sort(self._root)[::-1]
        if self.rank > SPECTRUM_SIZE:
            raise TooLargeError(
                f"singular_values of this design need a dense matrix of rank {self.rank}; more "
                f"than {SPECTRUM_SIZE} is refused. rank, rho and spectral_norm are available."
            )
        if self.rank > SVD_SIZE:
            active = np.sort(np.concatenate([self._eliminated, self._remaining]))
            dense = self._gram[active][:, active].toarray(order="F")  # LAPACK's: no copy
            values = scipy.linalg.eigh(
                dense, eigvals_only=True, overwrite_a=True, check_finite=False
            )[::-1][: self.rank]
            if values[-1] > SAFE_CONDITION * values[0]:
                return np.sqrt(values)
        return scipy.linalg.svdvals(self.image(np.eye(self._d1)))[: self.rank]

    def image(self, T: np.ndarray) -> np.ndarray:
        """``R T``."""
        top, bottom = T[self._eliminated], T[self._remaining]
        return np.vstack([self._root[:, None] * top + self._border @ bottom, self._factor @ bottom])

    def bucket_image(self, C: BucketMatrix) -> np.ndarray:
        """``R C``."""
        p = self._eliminated.size
        out = np.zeros((self.rank, C.m))
        if self._remaining.size:
            rest = BucketMatrix(C.buckets[self._remaining], C.m, C.signs[self._remaining])
            out[:p] = rest.apply(self._border).toarray()
            out[p:] = rest.apply(self._factor)
        entries = C.signs[self._eliminated] * self._root
        out[np.arange(p), C.buckets[self._eliminated]] += entries
        return out

    def adjoint(self, Z: np.ndarray) -> np.ndarray:
        """``R' Z``."""
        top, bottom = Z[: self._eliminated.size], Z[self._eliminated.size :]
        out = np.zeros((self._d1, Z.shape[1]))
        out[self._eliminated] = self._root[:, None] * top
        out[self._remaining] = self._border.T @ top + self._factor.T @ bottom
        return out

    def solve_explicit(
        self, blocks: Sequence[ExplicitBlock], residual: np.ndarray
    ) -> np.ndarray | None:
        """Normal equations from the sparse Gram matrix; for one field and one hash, a mean each."""
        if not self._gram_is_safe:
            return None
        gradient = self.adjoint(residual)
        moments = np.vstack([inner_product(block, gradient) for block in blocks])
        if self._remaining.size == 0 and len(blocks) == 1 and isinstance(blocks[0], BucketMatrix):
            buckets = blocks[0].buckets[self._eliminated]
            weights = np.bincount(buckets, self._root**2, minlength=blocks[0].m)
            return moments / np.where(weights > 0, weights, 1.0)[:, None]
        normal = normal_matrix(self._gram, blocks)
        if not is_harmless(normal, self._gram, blocks):
            return None
        return cholesky_solve(normal, moments)

    def preimage(self, Z: np.ndarray) -> np.ndarray:
        """The table of minimum norm with ``R T = Z``: back substitution, then projection."""
        p = self._eliminated.size
        rest = self._right_inverse @ Z[p:]
        top = Z[:p] / self._root[:, None] - self._regression.T @ rest
        if self._null.size:
            lift = self._regression.T @ self._null
            gram = self._null.T @ self._null + lift.T @ lift
            excess = self._null.T @ rest - lift.T @ top
            along = scipy.linalg.lstsq(gram, excess)[0]
            rest = rest - self._null @ along
            top = top + lift @ along
        T = np.zeros((self._d1, Z.shape[1]))
        T[self._eliminated], T[self._remaining] = top, rest
        return T

    def _coordinates(self, moments: np.ndarray) -> np.ndarray:
        """``Q'Y`` from ``X'Y``."""
        top, bottom = moments[self._eliminated], moments[self._remaining]
        return np.vstack([
            top / self._root[:, None],
            self._right_inverse.T @ (bottom - self._regression @ top),
        ])  # fmt: skip

    def gaussian(self, rng: np.random.Generator, m: int) -> NoiseColumns:
        """The image of Gaussian noise."""
        return NoiseColumns(self.image(rng.standard_normal((self._d1, m))))

    def excess(self, T: np.ndarray) -> float:
        """``||R T - target||_F^2 = ||X(T - T*)||_F^2``."""
        return squared_norm(self.image(T) - self.target)


def spectral_norm(gram: sp.csr_array) -> float:
    """The largest singular value of ``X`` from ``X'X``, whatever its scale."""
    scale = float(gram.diagonal().max())
    return float(np.sqrt(scale * largest_eigenvalue(gram / scale))) if scale > 0 else 0.0


def largest_eigenvalue(operator: Any) -> float:
    """The largest eigenvalue of a symmetric matrix or operator of size about 1 (Lanczos)."""
    n = operator.shape[0]
    if n <= LANCZOS_VECTORS:
        dense = operator @ np.eye(n)
        return float(np.linalg.eigvalsh((dense + dense.T) / 2)[-1])
    start = np.random.default_rng(0).standard_normal(n)
    values = eigsh(
        operator, k=1, which="LA", v0=start, ncv=LANCZOS_VECTORS, tol=EPS,
        return_eigenvectors=False,
    )  # fmt: skip
    return float(values[0])
