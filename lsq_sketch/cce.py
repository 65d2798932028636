"""Clustered compositional embeddings on least squares: Dense CCE, Sparse CCE, one shot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _validate
from .cluster import Clustering, kmeans
from .problem import LeastSquares
from .reductions.base import PREVIOUS, Block
from .rng import generator
from .sketches import BucketMatrix, CountSketch
from .threads import single_threaded_blas

NOISES = ("gaussian", "whitened", "count-sketch")


@dataclass(frozen=True)
class Trajectory:
    """What an iterative algorithm found.

    Attributes
    ----------
    excess : ndarray of float64, shape (n_iter + 1,)
        ``e(T_0), ..., e(T_n_iter)``, the first for ``T_0 = 0``.
    table : ndarray of float64, shape (d1, d2)
        ``T_n_iter``.
    """

    problem: LeastSquares = field(repr=False)
    excess: np.ndarray
    table: np.ndarray = field(repr=False)

    @property
    def loss(self) -> np.ndarray:
        """``L(T_0), ..., L(T_n_iter)``: the optimal loss plus the excess, (n_iter + 1,)."""
        return self.problem.optimal_loss + self.excess


@dataclass(frozen=True)
class SparseTrajectory(Trajectory):
    """What Sparse CCE found. Entry ``i`` of the lists belongs to the table ``T_{i+1}``.

    Attributes
    ----------
    assignments : ndarray of int32, shape (n_iter, d1)
        Clusters of the rows of ``T_1, ..., T_n_iter``. Round ``i + 1`` uses those of ``T_i``;
        the last are those to deploy.
    quantization_cost : ndarray of float64, shape (n_iter,)
        ``kappa``: squared distance of each table to its clustered one (k-means cost).
    resolved_excess : ndarray of float64, shape (n_iter,)
        ``a``: excess of the best codebook for these assignments.
    """

    assignments: np.ndarray = field(repr=False)
    quantization_cost: np.ndarray
    resolved_excess: np.ndarray


@dataclass(frozen=True)
class Stage:
    """A table with its loss and excess.

    Attributes
    ----------
    table : ndarray of float64, shape (d1, d2)
    loss, excess : float
    """

    table: np.ndarray = field(repr=False)
    loss: float
    excess: float


@dataclass(frozen=True)
class OneShot:
    """The stages of the one-shot pipeline.

    Attributes
    ----------
    sketched : Stage
        ``C M``: solved through the count sketch.
    clustered : Stage
        Its rows replaced by the means of their clusters.
    resolved : Stage
        ``A M'``: the codebook solved again for these assignments.
    assignments : ndarray of int32, shape (d1,)
    quantization_cost : float
        K-means cost of the clustering.
    """

    sketched: Stage
    clustered: Stage
    resolved: Stage
    assignments: np.ndarray = field(repr=False)
    quantization_cost: float


def dense_cce(
    problem: LeastSquares, k: int, n_iter: int, noise: str = "gaussian", rng: Any = 0
) -> Trajectory:
    """Dense CCE: in each round the table's columns and fresh noise span the next table.

    From ``T_0 = 0``, ``H_i = [T_{i-1} | G_i]`` with ``m = k - d2`` columns of noise,
    ``M_i = argmin ||X H_i M - Y||`` and ``T_i = H_i M_i``.

    Parameters
    ----------
    problem : LeastSquares
    k : int
        Columns of ``H``, parameters an output column; more than ``d2``.
    n_iter : int
        Rounds, at least 0.
    noise : {"gaussian", "whitened", "count-sketch"}, default "gaussian"
        Entries N(0, 1); or ``V diag(1/sigma) G``, whose image under ``X`` is isotropic; or a
        count sketch with ``m`` buckets.
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    Trajectory
        ``e_i`` never rises, up to rounding relative to ``e_{i-1}``. With Gaussian and whitened
        noise the table is that of minimum norm among those with the same ``X T``: noise outside
        the row space of ``X`` leaves no trace.

    Raises
    ------
    TypeError, ValueError
        If ``k <= d2``, ``n_iter < 0``, or ``noise`` is unknown.

    References
    ----------
    Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, Algorithm 1 and Theorem 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> p = LeastSquares(rng.standard_normal((100, 20)), rng.standard_normal((100, 2)))
    >>> r = dense_cce(p, k=10, n_iter=8, rng=0)
    >>> r.table.shape, bool((np.diff(r.excess) <= 0).all())
    ((20, 2), True)
    """
    _validate_problem(problem)
    k = _validate.integer(k, "k", low=1)
    if k <= problem.d2:
        raise ValueError(
            f"k must exceed d2 = {problem.d2}, the columns kept from the last table, got k = {k}. "
            f"Take k >= {problem.d2 + 1}, or fewer targets."
        )
    n_iter = _validate.integer(n_iter, "n_iter", low=0)
    noise = _validate.choice(noise, "noise", NOISES)
    random = generator(rng)
    m = k - problem.d2
    reduction = problem.reduction

    def fresh() -> Block:
        if noise == "gaussian":
            return reduction.gaussian(random, m)
        if noise == "whitened":
            return reduction.whitened(random, m)
        return CountSketch(problem.d1, m, random)

    with single_threaded_blas():
        state = reduction.start()
        excess = [state.excess]
        for _ in range(n_iter):
            state.fit([PREVIOUS, fresh()])
            excess.append(state.excess)
        return Trajectory(problem, np.array(excess), state.table)


def sparse_cce(problem: LeastSquares, k: int, n_iter: int, rng: Any = 0) -> SparseTrajectory:
    """Sparse CCE: in each round cluster assignments and a fresh count sketch span the table.

    The first round has nothing to cluster: ``H_1`` is a count sketch of the full width ``k``.
    After that ``H_i = [A_i | C_i]``: ``A_i`` the k-means assignments of the rows of ``T_{i-1}``
    to ``k/2`` clusters, ``C_i`` a count sketch with ``k/2`` buckets.

    Parameters
    ----------
    problem : LeastSquares
    k : int
        Even, from 2 to ``2 d1``: parameters an output column.
    n_iter : int
        Rounds, at least 0.
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    SparseTrajectory
        The excess is not monotone, and tends to 0 only if ``T*`` can be clustered.

    Raises
    ------
    TypeError, ValueError
        If ``k`` is odd or out of range, or ``n_iter < 0``.

    References
    ----------
    Tsang and Ahle, "Clustering the Sketch", NeurIPS 2023, Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> table = rng.standard_normal((4, 2))[rng.integers(0, 4, 20)]
    >>> X = rng.standard_normal((100, 20))
    >>> r = sparse_cce(LeastSquares(X, X @ table), k=16, n_iter=10, rng=0)
    >>> r.excess.shape, r.assignments.shape
    ((11,), (10, 20))
    >>> bool(r.resolved_excess[-1] < 1e-9 * r.excess[0])
    True
    """
    _validate_problem(problem)
    k = _validate.integer(k, "k", low=2)
    if k % 2:
        raise ValueError(
            f"k must be even, half for clusters and half for the sketch, got {k}. "
            f"Take {k - 1} or {k + 1}."
        )
    n_clusters = k // 2
    if n_clusters > problem.d1:
        raise ValueError(
            f"k must be at most 2 d1 = {2 * problem.d1}, got {k}: there are more clusters (k/2) "
            f"than rows to cluster."
        )
    n_iter = _validate.integer(n_iter, "n_iter", low=0)
    random = generator(rng)
    reduction = problem.reduction
    assignments = np.zeros((n_iter, problem.d1), np.int32)
    cost, resolved = np.zeros(n_iter), np.zeros(n_iter)
    clustering: Clustering | None = None
    with single_threaded_blas():
        state = reduction.start()
        excess = [state.excess]
        for i in range(n_iter):
            state = reduction.start()
            if clustering is None:
                state.fit([CountSketch(problem.d1, k, random)])
            else:
                sketch = CountSketch(problem.d1, n_clusters, random)
                state.fit([clustering.assignments, sketch])
            excess.append(state.excess)
            clustering = _cluster_rows(state.table, n_clusters, random)
            assignments[i], cost[i] = clustering.labels, clustering.cost
            codebook = reduction.start()
            codebook.fit([clustering.assignments])
            resolved[i] = codebook.excess
        return SparseTrajectory(problem, np.array(excess), state.table, assignments, cost, resolved)


def one_shot(problem: LeastSquares, k: int, n_clusters: int, rng: Any = 0) -> OneShot:
    """Sketch, solve, cluster, re-solve: the pipeline of the paper's abstract, once.

    Parameters
    ----------
    problem : LeastSquares
    k : int
        Buckets of the count sketch, at least 1.
    n_clusters : int
        Clusters of the rows of the pseudo table, from 1 to ``d1``.
    rng : int or numpy.random.Generator, default 0

    Returns
    -------
    OneShot
        ``resolved.loss <= clustered.loss`` always.

    Raises
    ------
    TypeError, ValueError
        If ``k`` or ``n_clusters`` is out of range.

    References
    ----------
    Tsang and Ahle, "Clustering Embedding Tables, Without First Learning Them", 2022.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> p = LeastSquares(rng.standard_normal((100, 20)), rng.standard_normal((100, 2)))
    >>> r = one_shot(p, k=10, n_clusters=5, rng=0)
    >>> r.resolved.excess <= r.clustered.excess
    True
    """
    _validate_problem(problem)
    k = _validate.integer(k, "k", low=1)
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=problem.d1, high_name="d1")
    random = generator(rng)
    reduction = problem.reduction

    def stage(table: np.ndarray, excess: float) -> Stage:
        return Stage(table, problem.optimal_loss + excess, excess)

    with single_threaded_blas():
        state = reduction.start()
        state.fit([CountSketch(problem.d1, k, random)])
        clustering = _cluster_rows(state.table, n_clusters, random)
        clustered = clustering.centroids[clustering.labels]
        codebook = reduction.start()
        codebook.fit([clustering.assignments])
        return OneShot(
            stage(state.table, state.excess),
            stage(clustered, reduction.excess(clustered)),
            stage(codebook.table, codebook.excess),
            clustering.labels,
            clustering.cost,
        )


def resolve(problem: LeastSquares, assignments: BucketMatrix) -> Stage:
    """The best codebook for given assignments: ``min_M ||X A M - Y||``.

    Parameters
    ----------
    problem : LeastSquares
    assignments : BucketMatrix
        ``A`` (d1 x K), from `Clustering.assignments` or any other bucket matrix.

    Returns
    -------
    Stage
        With the table ``A M``.

    Raises
    ------
    ValueError
        If ``A`` has not ``d1`` rows.

    Examples
    --------
    >>> p = LeastSquares([[1.0, 0.0], [0.0, 1.0]], [1.0, 3.0])
    >>> np.round(resolve(p, BucketMatrix([0, 0], 1)).table.ravel(), 12).tolist()
    [2.0, 2.0]
    """
    _validate_problem(problem)
    how = "Wrap labels as BucketMatrix(labels, n_clusters)."
    _validate.instance(assignments, "assignments", BucketMatrix, how)
    if assignments.d1 != problem.d1:
        raise ValueError(
            f"assignments have {assignments.d1} rows; expected one for each of the d1 = "
            f"{problem.d1} columns of X."
        )
    with single_threaded_blas():
        state = problem.reduction.start()
        state.fit([assignments])
        return Stage(state.table, problem.optimal_loss + state.excess, state.excess)


def _cluster_rows(table: np.ndarray, n_clusters: int, random: np.random.Generator) -> Clustering:
    """k-means of the rows of a pseudo table, whose range is that of ``Y`` over ``X``."""
    _validate.points(table, "the table (Y divided by X)")
    return kmeans(table, n_clusters, random)


def _validate_problem(problem: Any) -> None:
    _validate.instance(problem, "problem", LeastSquares, "Build one with LeastSquares(X, Y).")
