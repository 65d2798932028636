"""Alternating CCE: assignments taken from the loss itself, not from a pseudo table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from . import _validate
from .cce import _validate_problem
from .kernels import alternating as kernels
from .problem import LeastSquares
from .reductions.base import squared_norm
from .reductions.svd import SingularValueReduction
from .rng import generator
from .sketches import BucketMatrix, sketched_least_squares
from .solve import least_squares_step
from .threads import single_threaded_blas

INITS = ("kmeans++", "hash")


@dataclass(frozen=True)
class AlternatingTrajectory:
    """What alternating CCE found. Entry ``i`` of the lists belongs to the table ``T_{i+1}``.

    Attributes
    ----------
    loss : ndarray of float64, shape (n_iter + 1,)
        ``L(T_0), ..., L(T_n_iter)``, the first for ``T_0 = 0``; never rises.
    assignments : ndarray of int32, shape (n_iter, n_chunks, d1)
        Codeword of each ID in each block of output columns.
    codebooks : ndarray of float64, shape (n_iter, K, d2)
        Codebooks of all blocks, side by side.
    columns : tuple of slice
        Output columns of each block.
    """

    problem: LeastSquares = field(repr=False)
    loss: np.ndarray
    assignments: np.ndarray = field(repr=False)
    codebooks: np.ndarray = field(repr=False)
    columns: tuple[slice, ...] = field(repr=False)

    def table_after(self, n_iter: int) -> np.ndarray:
        """``T_n_iter``, (d1, d2); zero for 0."""
        table = np.zeros((self.problem.d1, self.problem.d2))
        if n_iter > 0:
            for chunk, columns in enumerate(self.columns):
                codebook = self.codebooks[n_iter - 1][:, columns]
                table[:, columns] = codebook[self.assignments[n_iter - 1, chunk]]
        return table

    @property
    def table(self) -> np.ndarray:
        """The last table, (d1, d2)."""
        return self.table_after(len(self.assignments))

    @cached_property
    def excess(self) -> np.ndarray:
        """``e(T_0), ..., e(T_n_iter)``, (n_iter + 1,). Factors the problem when first asked for."""
        rounds = range(len(self.assignments) + 1)
        return np.array([self.problem.excess(self.table_after(i)) for i in rounds])


def alternating_cce(
    problem: LeastSquares,
    n_clusters: int,
    n_iter: int,
    rng: Any = 0,
    n_chunks: int = 1,
    init: Any = "kmeans++",
) -> AlternatingTrajectory:
    """Alternate between the codebook and the assignments of least loss.

    From initial assignments, each round (but the first) moves every ID to the codeword that
    lowers the loss most, all else fixed, and then solves the codebook again. For a one-hot
    design of one field this is Lloyd's algorithm for k-means on the rows of ``T*`` weighted by
    the ID counts, though ``T*`` is never formed.

    A sparse ``X`` is passed over column by column, with the residual of the n rows at hand: a
    round costs ``O(nnz(X) d2 + d1 K d2)``, and neither ``X'X`` nor a factorisation is formed. A
    dense ``X`` is replaced by its ``d1 x d1`` factor first.

    Parameters
    ----------
    problem : LeastSquares
    n_clusters : int
        Codewords K in each block of columns, from 1 to ``d1``.
    n_iter : int
        Rounds, at least 0. Later rounds change nothing once the assignments stand still.
    rng : int or numpy.random.Generator, default 0
    n_chunks : int, default 1
        Blocks of output columns, each with assignments and codewords of its own; from 1 to
        ``d2``. The loss separates over them.
    init : {"kmeans++", "hash"} or array_like of int, shape (n_chunks, d1), default "kmeans++"
        D^2 seeding by loss, in K passes over ``X``; or random assignments, in none; or these
        assignments, each from 0 to K - 1.

    Returns
    -------
    AlternatingTrajectory
        The loss never rises, for any ``X``, beyond rounding of the order ``eps L(T_0)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    For one field and ``init="kmeans++"`` the expected excess after the first round is within
    ``8 (ln K + 2)`` of that of the best codebook (Arthur and Vassilvitskii 2007, weighted).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 30))
    >>> table = rng.standard_normal((4, 2))[rng.integers(0, 4, 30)]
    >>> r = alternating_cce(LeastSquares(X, X @ table), n_clusters=4, n_iter=20, rng=1)
    >>> r.loss.shape, bool((np.diff(r.loss) <= 1e-9 * r.loss[0]).all())
    ((21,), True)
    """
    _validate_problem(problem)
    n_clusters = _validate.integer(n_clusters, "n_clusters", low=1, high=problem.d1, high_name="d1")
    n_iter = _validate.integer(n_iter, "n_iter", low=0)
    n_chunks = _validate.integer(n_chunks, "n_chunks", low=1, high=problem.d2, high_name="d2")
    given = None
    if isinstance(init, str):
        _validate.choice(init, "init", INITS)
    else:
        given = _validate.assignments(init, "init", (n_chunks, problem.d1), n_clusters)
    random = generator(rng)
    bounds = np.linspace(0, problem.d2, n_chunks + 1).astype(int)
    blocks = tuple(slice(int(a), int(b)) for a, b in pairwise(bounds))

    assignments = np.zeros((n_iter, n_chunks, problem.d1), np.int32)
    codebooks = np.zeros((n_iter, n_clusters, problem.d2))
    with single_threaded_blas():
        design = _Design(problem)
        loss = np.full(n_iter + 1, design.constant)
        loss[0] += squared_norm(design.targets)
        for chunk, columns in enumerate(blocks):
            state = _Chunk(design, np.ascontiguousarray(design.targets[:, columns]), n_clusters)
            for i in range(n_iter):
                if i > 0:
                    state.move()
                elif given is not None:
                    state.labels = given[chunk].copy()
                elif init == "hash":
                    state.hash(random)
                else:
                    state.seed(random)
                state.solve()
                loss[i + 1] += squared_norm(state.residual)
                assignments[i, chunk], codebooks[i][:, columns] = state.labels, state.codebook
    return AlternatingTrajectory(problem, loss, assignments, codebooks, blocks)


class _Design:
    """The design by columns: ``X`` itself if sparse; if dense its factor ``S V'``.

    Attributes
    ----------
    by_column : csc_array
    targets : ndarray, as many rows as ``by_column``
    constant : float
        What the loss has beyond ``||by_column @ T - targets||^2``.
    """

    def __init__(self, problem: LeastSquares):
        self._factor: np.ndarray | None = None
        if not isinstance(problem.X, np.ndarray):
            self._rows = problem.X
            self.by_column, self.targets, self.constant = problem.X.tocsc(), problem.Y, 0.0
        else:
            reduction = problem.reduction
            assert isinstance(reduction, SingularValueReduction)
            self._factor = reduction.factor
            self._noise = reduction.image_noise
            self.by_column = sp.csc_array(self._factor)
            self.targets, self.constant = reduction.target, problem.optimal_loss
        self.weights = np.asarray((self.by_column * self.by_column).sum(axis=0)).ravel()

    def solve(self, A: BucketMatrix, targets: np.ndarray) -> np.ndarray:
        """The codebook of least loss for given assignments."""
        if self._factor is None:
            return sketched_least_squares(self._rows, targets, A)
        return least_squares_step(A.apply(self._factor), targets, self._noise(A))


class _Chunk:
    """Assignments and codebook of one block of output columns."""

    def __init__(self, design: _Design, targets: np.ndarray, n_clusters: int):
        self.design, self.targets = design, targets
        self.labels = np.zeros(design.weights.size, np.int32)
        self.codebook = np.zeros((n_clusters, targets.shape[1]))
        self.residual = -targets

    def hash(self, random: np.random.Generator) -> None:
        """Random assignments."""
        n_clusters = len(self.codebook)
        self.labels = random.integers(0, n_clusters, self.labels.size, dtype=np.int32)

    def seed(self, random: np.random.Generator) -> None:
        """D^2 seeding by loss: a codeword is an ID's own best row, all else fixed."""
        weights = self.design.weights
        inverse = np.divide(1.0, weights, out=np.zeros_like(weights), where=weights > 0)
        for c in range(len(self.codebook)):
            gradient = self.design.by_column.T @ self.residual
            gain = weights if c == 0 else (gradient**2).sum(axis=1) * inverse
            cumulative = np.cumsum(gain)
            if not cumulative[-1] > 0:  # the loss is as low as it can be: repeat a codeword
                self.codebook[c:] = self.codebook[0]
                return
            draw = random.random() * cumulative[-1]
            j = min(int(np.searchsorted(cumulative, draw, side="right")), gain.size - 1)
            self.codebook[c] = self.codebook[self.labels[j]] - gradient[j] * inverse[j]
            if c == 0:
                self._refresh()
            else:
                self._move(c, c + 1)

    def move(self) -> None:
        """Every ID in turn goes to its best codeword."""
        self._move(0, len(self.codebook))

    def solve(self) -> None:
        """The best codebook for the assignments; codewords of no ID stay as they are."""
        A = BucketMatrix(self.labels, len(self.codebook))
        used = np.bincount(self.labels, minlength=len(self.codebook)) > 0
        self.codebook = np.where(used[:, None], self.design.solve(A, self.targets), self.codebook)
        self._refresh()

    def _move(self, first: int, last: int) -> None:
        design = self.design.by_column
        kernels.move_ids(
            design.indptr, design.indices, design.data, self.design.weights,
            np.ascontiguousarray(self.codebook[:last].T), first, self.labels, self.residual,
        )  # fmt: skip

    def _refresh(self) -> None:
        self.residual = self.design.by_column @ self.codebook[self.labels] - self.targets
