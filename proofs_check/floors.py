"""How low the excess can be: a floor under every codebook, and where it is the optimum itself.

Let ``w`` be the diagonal of ``X'X`` and ``lambda`` the least of ``z'X'Xz / sum_j w_j z_j^2``. For
every column ``t`` of a table with at most K different values, with ``t*`` that of ``T*``,

    e(t) = |X(t - t*)|^2 >= lambda sum_j w_j (t_j - t*_j)^2 >= lambda kappa*_K(t*; w),

``kappa*`` the optimal cost of k-means on the numbers ``t*_j`` with weights ``w_j``, which dynamic
programming finds (`lsq_sketch.kmeans_1d`). So the best codebook, which is hard to find, costs at
least that. If the columns of ``X`` are orthogonal, ``lambda = 1`` and the floor is attained. This
sharpens the claim ``codebook-sandwich``, whose weights are all ``sigma_r^2``.

With one-hot fields ``lambda = 0``: a constant added to one field and taken from another changes
nothing. But then let ``m_f`` be the mean of ``z`` over the IDs of field f with weights ``w``, and
``z'`` be ``z`` with the means taken off. The inner product of ``X 1_f`` (all ones) and ``X z'`` is
0, so ``|Xz|^2 = |Xz'|^2 + n (sum_f m_f)^2 >= |Xz'|^2``. With ``lambda`` the least of the ratio over
the ``z`` whose means are 0, and ``t`` of at most K different values in each field,

    e(t) >= lambda sum_f sum_{j in f} w_j (t_j - m_f - t*_j)^2 >= lambda sum_f kappa*_K(t*_f; w_f),

as ``t_j - m_f``, too, has at most K values in field f. ``lambda`` is 0 only if there are other
directions that change nothing, as where one field determines another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from lsq_sketch import LeastSquares, kmeans_1d
from lsq_sketch.reductions.elimination import largest_eigenvalue
from lsq_sketch.threads import single_threaded_blas

from .experiments import require

EPS = float(np.finfo(float).eps)


def column_weights(X: np.ndarray | sp.csr_array) -> np.ndarray:
    """The diagonal of ``X'X``: for one-hot fields the counts of the IDs."""
    return np.asarray((X * X).sum(axis=0)).ravel()


def diagonal_share(problem: LeastSquares, fields: Any = None) -> float:
    """``lambda``: the least of ``z'X'Xz / sum_j w_j z_j^2``, ``w`` the diagonal of ``X'X``.

    Parameters
    ----------
    problem : LeastSquares
    fields : array_like, shape (d1,), optional
        The field of each ID, where every row of ``X`` is one-hot in each: then the least over the
        ``z`` whose weighted mean over each field is 0.

    Returns
    -------
    float
        From 0 to 1, to rounding; 1 if the columns of ``X`` are orthogonal.

    Raises
    ------
    HypothesisError
        If a row of ``X`` is not one-hot in each field.

    Examples
    --------
    >>> from proofs_check.instances import one_hot
    >>> X = one_hot([0, 0, 1, 1, 1], [0, 1, 0, 1, 1])
    >>> problem = LeastSquares(X, np.arange(5))
    >>> round(diagonal_share(problem), 12), round(diagonal_share(problem, [0, 0, 1, 1]), 12)
    (0.0, 0.833333333333)
    """
    weights = column_weights(problem.X)
    seen = weights > 0
    scale = np.where(seen, 1 / np.sqrt(np.where(seen, weights, 1.0)), 0.0)
    means = np.zeros((problem.d1, 0))
    if fields is not None:
        means = _indicators(problem, fields) * np.sqrt(weights / problem.n)[:, None]

    def multiply(v: np.ndarray) -> np.ndarray:
        image = scale * (problem.X.T @ (problem.X @ (scale * v)))
        return image + means @ (means.T @ v) + np.where(seen, 0.0, v)

    with single_threaded_blas():
        shape = (problem.d1, problem.d1)
        minus = LinearOperator(shape, matvec=lambda v: -multiply(v.ravel()), dtype=np.float64)
        least = -largest_eigenvalue(minus)
    return min(least, 1.0) if least > problem.d1 * EPS else 0.0


def codebook_floor(problem: LeastSquares, n_clusters: int, fields: Any = None) -> float:
    """A lower bound on the excess of every table whose columns have few different values.

    Parameters
    ----------
    problem : LeastSquares
    n_clusters : int
        Each column has a codebook of so many values, at least 1.
    fields : array_like, shape (d1,), optional
        The field of each ID, where every row of ``X`` is one-hot in each. Codewords may be shared
        by the fields, or not.

    Returns
    -------
    float
        ``lambda sum_f kappa*_K(T*_f; w_f)``, over all columns: to rounding the least excess itself
        if the columns of ``X`` are orthogonal.

    Raises
    ------
    HypothesisError
        If a row of ``X`` is not one-hot in each field.

    Examples
    --------
    >>> problem = LeastSquares(np.diag([1.0, 1.0, 2.0]), np.array([0.0, 1.0, 6.0]))
    >>> codebook_floor(problem, 2), round(codebook_floor(problem, 1), 12)
    (0.5, 8.833333333333)
    """
    share, weights = diagonal_share(problem, fields), column_weights(problem.X)
    labels = np.zeros(problem.d1, int) if fields is None else np.asarray(fields)
    cost = 0.0
    for field in np.unique(labels):
        inside = (labels == field) & (weights > 0)
        size = int(inside.sum())
        if size > n_clusters:
            for column in problem.optimum[inside].T:
                cost += kmeans_1d(column, n_clusters, weights[inside]).cost
    return share * cost


def _indicators(problem: LeastSquares, fields: Any) -> np.ndarray:
    """A column of 0 and 1 for each field, (d1, number of fields), once the hypothesis is met."""
    labels = np.asarray(fields)
    require(labels.shape == (problem.d1,), "fields must name the field of each column of X")
    found = (labels[:, None] == np.unique(labels)).astype(float)
    values = problem.X.data if sp.issparse(problem.X) else problem.X
    one_hot = bool(np.isin(values, (0.0, 1.0)).all()) and bool((problem.X @ found == 1).all())
    require(one_hot, "every row of X must be one-hot in each field")
    return found
