"""Small least-squares problems: a Cholesky shortcut where it is harmless, QR elsewhere."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.linalg import lapack

from .threads import for_each

EPS = float(np.finfo(np.float64).eps)

SAFE_CONDITION = EPS**0.5
"""Smallest reciprocal condition number of a (scaled) Gram matrix that Cholesky may see.

The fitted values it gives are off by about ``k eps / rcond`` times the residual norm, that is by
``k sqrt(eps)`` at worst; the residual being minimal, the loss is off by the *square* of that,
``k^2 eps`` relative to itself before the fit: rounding error.
"""


NOISE_MARGIN = 1e5
"""Columns must be so many times longer than their rounding error for Cholesky to see them."""


RETREAT = 8.0
"""How much more is taken as zero when a fit has raised the loss."""


def column_norms(A: np.ndarray) -> np.ndarray:
    """Length of each column."""
    return np.sqrt(np.einsum("ij,ij->j", A, A))


def rounding_error(W: np.ndarray) -> np.ndarray:
    """Rounding error (norm) to be expected in columns that were not computed by cancellation."""
    return max(W.shape) * EPS * column_norms(W)


def least_squares_step(W: np.ndarray, E: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """A minimiser ``M`` of ``||E - W M||_F``.

    The columns of ``W`` are scaled to unit length and ``W'W`` is factored by Cholesky, if that is
    harmless: LAPACK's estimate of its reciprocal condition number is above `SAFE_CONDITION`, and
    every column stands far above its rounding error. Otherwise see `qr_solve`.

    Parameters
    ----------
    W : ndarray of float64, shape (r, k)
    E : ndarray of float64, shape (r, d2)
    noise : ndarray of float64, shape (k,), optional
        Norm of the rounding error of each column, where it is more than `rounding_error`: a
        column in which larger terms cancelled is noise, and must not be fitted.

    Returns
    -------
    ndarray of float64, shape (k, d2)
        The loss ``||E - W M||^2`` exceeds its minimum by at most about ``k^2 eps ||E||^2``, or, of
        ill-conditioned ``W``, ``(k eps sum_j |w_j| |M_j|)^2``.

    Examples
    --------
    >>> import numpy as np
    >>> least_squares_step(np.array([[2.0], [0.0]]), np.array([[1.0], [1.0]]))
    array([[0.5]])
    """
    gram = W.T @ W
    norms = np.sqrt(gram.diagonal())
    if noise is None or (norms > NOISE_MARGIN * noise).all():
        solution = cholesky_solve(gram, W.T @ E)
        if solution is not None:
            return solution
    own = rounding_error(W)
    return qr_solve(W, E, own if noise is None else np.maximum(noise, own))


def cholesky_solve(gram: np.ndarray, moments: np.ndarray) -> np.ndarray | None:
    """A solution of ``gram M = moments``, or None where Cholesky would not be harmless.

    Parameters
    ----------
    gram : ndarray of float64, shape (k, k)
        Symmetric, positive semidefinite.
    moments : ndarray of float64, shape (k, d2)

    Returns
    -------
    ndarray of float64, shape (k, d2), or None
        Zero where the diagonal of ``gram`` is. None if the rest, scaled, is singular or its
        reciprocal condition number (1-norm, estimated) is below `SAFE_CONDITION`.

    Examples
    --------
    >>> import numpy as np
    >>> cholesky_solve(np.eye(2), np.ones((2, 1))).ravel()
    array([1., 1.])
    >>> cholesky_solve(np.ones((2, 2)), np.ones((2, 1))) is None
    True
    """
    diagonal = gram.diagonal()
    used = diagonal > 0
    if not used.any():
        return np.zeros_like(moments)
    if not used.all():
        found = cholesky_solve(gram[np.ix_(used, used)], moments[used])
        if found is None:
            return None
        solution = np.zeros_like(moments)
        solution[used] = found
        return solution
    scale = 1 / np.sqrt(diagonal)
    scaled = gram * scale[:, None] * scale
    norm = float(np.abs(scaled).sum(axis=0).max())
    factor, info = lapack.dpotrf(scaled, lower=0, clean=0)
    if info != 0:
        return None
    rcond, info = lapack.dpocon(factor, norm)
    if info != 0 or not rcond > SAFE_CONDITION:
        return None
    solution, _ = lapack.dpotrs(factor, moments * scale[:, None], lower=0)
    return solution * scale[:, None]


def qr_solve(W: np.ndarray, E: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """A minimiser of ``||E - W M||_F`` by QR with column pivoting (LAPACK gelsy), for any rank.

    Parameters
    ----------
    W : ndarray of float64, shape (r, k)
    E : ndarray of float64, shape (r, d2)
    noise : ndarray of float64, shape (k,), optional
        As in `least_squares_step`.

    Returns
    -------
    ndarray of float64, shape (k, d2)
        Zero for columns no longer than their noise. With the others scaled to equal noise,
        directions of the size of the noise are taken as zero; among the minimisers that are
        left, that of minimum norm in this scaling. Never worse than ``M = 0``, to
        rounding.

    Examples
    --------
    >>> import numpy as np
    >>> qr_solve(np.array([[1.0, 1.0, 0.0]]), np.array([[4.0]])).ravel()
    array([2., 2., 0.])
    """
    noise = rounding_error(W) if noise is None else noise
    used = column_norms(W) > noise
    solution = np.zeros((W.shape[1], E.shape[1]))
    if not used.any():
        return solution
    scaled = W[:, used] / noise[used]
    cutoff = np.sqrt(used.sum()) / np.linalg.norm(scaled)
    most = np.vdot(E, E) * (1 + E.size * EPS)
    while cutoff < 1:
        found = scipy.linalg.lstsq(scaled, E, cond=cutoff, lapack_driver="gelsy")[0]
        residual = E - scaled @ found
        if np.vdot(residual, residual) <= most:
            solution[used] = found / noise[used, None]
            break
        cutoff *= RETREAT  # a direction just above the noise turned out to be mostly noise
    return solution


def canonical_signs(rows: np.ndarray) -> np.ndarray:
    """+1 or -1 for each row, so that its entry of largest magnitude becomes positive.

    Singular vectors are known up to their sign, which depends on the machine; noise drawn in
    their coordinates must not.

    Examples
    --------
    >>> import numpy as np
    >>> canonical_signs(np.array([[1.0, -3.0], [2.0, 0.5]]))
    array([-1.,  1.])
    """
    if rows.size == 0:
        return np.ones(len(rows))
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return np.where(largest < 0, -1.0, 1.0)


def triangular_factor(blocks: list[np.ndarray]) -> np.ndarray:
    """``R`` of a QR factorisation of the blocks stacked: ``R'R`` is the sum of their Grams.

    Parameters
    ----------
    blocks : list of ndarray of float64, shapes (n_i, d)
        Row blocks; each is factored, then their triangles together (TSQR).

    Returns
    -------
    ndarray of float64, shape (min(n, d), d)
        Backward stable: the singular values are right to ``c(n, d) eps sigma_1``.

    References
    ----------
    Demmel, Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU
    factorizations", 2012.

    Examples
    --------
    >>> import numpy as np
    >>> R = triangular_factor([np.ones((3, 1)), np.ones((1, 1))])
    >>> float(abs(R[0, 0]))
    2.0
    """
    triangles = for_each(_triangle, blocks)
    return triangles[0] if len(triangles) == 1 else _triangle(np.vstack(triangles))


def _triangle(A: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.qr(A, mode="r"))
