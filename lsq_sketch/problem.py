"""The least-squares problem: design matrix, targets, loss, optimum, spectrum."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from . import _validate
from .reductions import Reduction, choose_reduction
from .threads import row_chunks, single_threaded_blas

LOSS_ENTRIES = 1 << 22
"""Entries of the residual that `loss` holds at once."""


class LeastSquares:
    """The problem of minimising ``L(T) = ||X T - Y||_F^2`` over embedding tables ``T``.

    Building it checks and stores the data; everything else is computed when first asked for,
    and kept.

    Parameters
    ----------
    X : array_like or scipy sparse array or matrix, shape (n, d1)
        Design matrix. Real numbers of any dtype; computed with in float64.
    Y : array_like, shape (n,) or (n, d2)
        Targets.
    max_dense : int, keyword only, default 4096
        A sparse ``X`` is factored if at most so many columns remain after a large set of
        mutually orthogonal ones (the biggest one-hot field) has been eliminated; otherwise it is
        solved through its sparse Gram matrix, without `rank`, `rho` and `singular_values`.

    Attributes
    ----------
    X : ndarray or scipy.sparse.csr_array of float64, shape (n, d1)
    Y : ndarray of float64, shape (n, d2)
    n, d1, d2 : int

    Raises
    ------
    TypeError
        If ``X`` or ``Y`` is complex or not numeric, or ``Y`` is sparse.
    ValueError
        If they are empty, not finite, of the wrong shape, or so large or small (beyond 1e120 or
        1e-120) that squares would leave the range of float64.

    Notes
    -----
    The rank counts singular values above ``max(n, d1) eps sigma_1``, as `numpy.linalg.lstsq`
    does, ``eps`` that of the dtype of ``X`` as it came. Results do not depend on the number of
    threads.

    Examples
    --------
    >>> import numpy as np
    >>> p = LeastSquares(np.diag([2.0, 1.0]), np.array([2.0, 3.0]))
    >>> p.rank, p.rho
    (2, 0.2)
    >>> np.round(p.optimum.ravel(), 12).tolist(), p.excess(np.zeros((2, 1)))
    ([1.0, 3.0], 13.0)
    """

    def __init__(self, X: Any, Y: Any, *, max_dense: int = 4096):
        self.X, self._eps = _validate.design(X)
        self.n, self.d1 = (int(size) for size in self.X.shape)
        self.Y = _validate.target(Y, self.n)
        self.d2 = int(self.Y.shape[1])
        self._max_dense = _validate.integer(max_dense, "max_dense", low=0)

    def __repr__(self) -> str:
        kind = "sparse" if sp.issparse(self.X) else "dense"
        return f"LeastSquares(n={self.n}, d1={self.d1}, d2={self.d2}, {kind})"

    @cached_property
    def reduction(self) -> Reduction:
        """The factorisation all algorithms work on: made once, without the ``n`` rows.

        See `lsq_sketch.reductions`.
        """
        with single_threaded_blas():
            return choose_reduction(self.X, self.Y, self._eps, self._max_dense)

    @property
    def rank(self) -> int:
        """Numerical rank ``r`` of ``X``.

        Raises
        ------
        TooLargeError
            If the design is sparse and too large to factor (see ``max_dense``).
        """
        return self.reduction.rank

    @cached_property
    def singular_values(self) -> np.ndarray:
        """Nonzero singular values of ``X``, descending, (rank,).

        Right to about ``max(n, d1) eps sigma_1``; for a sparse design of several fields through
        the Gram matrix to a relative ``eps (sigma_1 / sigma_r)^2``.

        Raises
        ------
        TooLargeError
            If the design is sparse and too large.
        """
        with single_threaded_blas():
            return self.reduction.singular_values

    @cached_property
    def spectral_norm(self) -> float:
        """Largest singular value of ``X``."""
        with single_threaded_blas():
            return self.reduction.spectral_norm

    @cached_property
    def squared_frobenius_norm(self) -> float:
        """``||X||_F^2``, the sum of the squared singular values."""
        values = np.asarray(self.X.data if sp.issparse(self.X) else self.X)
        with single_threaded_blas():
            return float(np.vdot(values, values))

    @cached_property
    def rho(self) -> float:
        """``sigma_r^2 / ||X||_F^2``, in ``(0, 1/r]``: the rate of Theorem 3.1 of the paper.

        Raises
        ------
        ValueError
            If ``X`` is zero.
        TooLargeError
            If the design is sparse and too large to factor (see ``max_dense``).
        """
        if self.rank == 0:
            raise ValueError("rho is not defined: X is zero. Give X at least one nonzero entry.")
        with single_threaded_blas():
            return self.reduction.smallest_singular_value**2 / self.squared_frobenius_norm

    @cached_property
    def optimum(self) -> np.ndarray:
        """``T*`` (d1 x d2): the minimiser of the loss, of minimum norm."""
        with single_threaded_blas():
            return self.reduction.optimum

    @cached_property
    def optimal_loss(self) -> float:
        """``L* = L(T*)``, evaluated on the rows."""
        return self.loss(self.optimum)

    def loss(self, T: Any) -> float:
        """``L(T) = ||X T - Y||_F^2``, evaluated on the rows.

        Parameters
        ----------
        T : array_like, shape (d1, d2), or (d1,) if d2 = 1

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If ``T`` has another shape or is not real and finite.

        Examples
        --------
        >>> LeastSquares([[1.0], [1.0]], [0.0, 2.0]).loss([[1.0]])
        2.0
        """
        table = _validate.table(T, self.d1, self.d2)
        total = 0.0
        with single_threaded_blas():
            for a, b in row_chunks(self.n, max(1, LOSS_ENTRIES // self.d2)):
                residual = self.X[a:b] @ table - self.Y[a:b]
                total += float(np.vdot(residual, residual))
        return total

    def excess(self, T: Any) -> float:
        """``e(T) = L(T) - L* = ||X(T - T*)||_F^2``, computed as the latter.

        Parameters
        ----------
        T : array_like, shape (d1, d2), or (d1,) if d2 = 1

        Returns
        -------
        float
            Never negative; right to rounding relative to ``||XT||^2 + ||XT*||^2`` squared eps,
            not to the loss.

        Raises
        ------
        TypeError, ValueError
            If ``T`` has another shape or is not real and finite.

        Examples
        --------
        >>> round(LeastSquares([[1.0], [1.0]], [0.0, 2.0]).excess([[3.0]]), 12)
        8.0
        """
        table = _validate.table(T, self.d1, self.d2)
        with single_threaded_blas():
            return self.reduction.excess(table)
