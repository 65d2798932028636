"""Bucket matrices: the sparse choices of ``H``, with one signed 1 in each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from . import _validate
from .kernels import count_sketch as kernels
from .kernels import gram as gram_kernels
from .rng import generator
from .solve import (
    EPS,
    SAFE_CONDITION,
    cholesky_solve,
    qr_solve,
    rounding_error,
    triangular_factor,
)
from .threads import for_each, row_chunks

SIGNS = np.array([-1.0, 1.0])

DENSE_ROWS = 256
"""Rows of a C-ordered matrix that make one piece of work."""

F_BUFFER = 1 << 20
"""Partial sums (entries) that one piece of an F-ordered matrix may hold: 8 MiB."""

PAIRS = 1 << 17
"""Products listed by one chunk of `sketched_normal_equations`: small enough for the cache."""

CHUNKS_AT_ONCE = 8
PANEL_BITS = 6
QR_ROWS = 4096
"""Rows made dense at once where a sketched design is factored by QR."""

WIDE_ROW = 64
"""Rows with more nonzeros than this are summed into buckets before their products are listed."""


class BucketMatrix:
    """A matrix ``C`` (d1 x m) with one entry +1 or -1 in each row.

    The hashing trick and cluster assignments have all signs +1; `CountSketch` has random ones.

    Parameters
    ----------
    buckets : array_like of int, shape (d1,)
        Column of the nonzero of each row, in ``0..m-1``.
    m : int
        Number of columns (buckets, clusters).
    signs : array_like, shape (d1,), optional
        The nonzeros, +1 or -1. All +1 if not given.

    Attributes
    ----------
    buckets : ndarray of int32, shape (d1,)
    signs : ndarray of float64, shape (d1,)
    d1, m : int

    Raises
    ------
    TypeError, ValueError
        If an index is out of range, a sign is not +-1, or lengths differ.

    Examples
    --------
    >>> C = BucketMatrix([0, 1, 0], 2)
    >>> C.apply([[1.0, 10.0, 100.0]])
    array([[101.,  10.]])
    """

    def __init__(self, buckets: Any, m: int, signs: Any = None):
        self.m = _validate.integer(m, "m", low=1, high=2**30)
        array = np.asarray(buckets)
        if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
            raise ValueError(
                f"buckets must be a nonempty one-dimensional integer array, got shape "
                f"{array.shape} and dtype {array.dtype}."
            )
        if array.min() < 0 or array.max() >= self.m:
            raise ValueError(
                f"buckets must lie in 0..m-1 = 0..{self.m - 1}, "
                f"got values from {array.min()} to {array.max()}."
            )
        self.buckets = np.ascontiguousarray(array, dtype=np.int32)
        self.d1 = array.size
        if signs is None:
            self.signs = np.ones(self.d1)
        else:
            self.signs = np.array(_validate.real_array(signs, "signs"), dtype=np.float64)
            if self.signs.shape != (self.d1,) or not (np.abs(self.signs) == 1).all():
                raise ValueError(
                    f"signs must be {self.d1} values +1 or -1 (one a bucket), "
                    f"got shape {self.signs.shape}."
                )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(d1={self.d1}, m={self.m})"

    def without_empty_buckets(self) -> BucketMatrix:
        """The matrix without its zero columns: the same range, at most ``d1`` columns.

        Returns
        -------
        BucketMatrix
            Itself if no bucket is empty; else buckets are renumbered in order.

        Examples
        --------
        >>> BucketMatrix([5, 2, 5], 1000).without_empty_buckets().buckets
        array([1, 0, 1], dtype=int32)
        """
        used = np.bincount(self.buckets, minlength=self.m) > 0
        if used.all():
            return self
        position = np.cumsum(used) - 1
        return BucketMatrix(position[self.buckets], int(used.sum()), self.signs)

    def to_sparse(self) -> sp.csr_array:
        """The matrix itself, d1 x m.

        Returns
        -------
        scipy.sparse.csr_array of float64

        Examples
        --------
        >>> BucketMatrix([1, 0], 2).to_sparse().toarray()
        array([[0., 1.],
               [1., 0.]])
        """
        pointers = np.arange(self.d1 + 1)
        return sp.csr_array((self.signs, self.buckets, pointers), shape=(self.d1, self.m))

    def expand(self, M: Any) -> np.ndarray:
        """``C @ M``: the table that the codebook ``M`` stands for.

        Parameters
        ----------
        M : array_like, shape (m, d2) or (m,)

        Returns
        -------
        ndarray of float64, shape (d1, d2) or (d1,)
            Row ``i`` is ``signs[i] * M[buckets[i]]``; exact.

        Raises
        ------
        ValueError
            If ``M`` has not ``m`` rows.

        Examples
        --------
        >>> BucketMatrix([1, 0, 1], 2, signs=[1, 1, -1]).expand([5.0, 7.0])
        array([ 7.,  5., -7.])
        """
        codebook = np.asarray(_validate.real_array(M, "M"), dtype=np.float64)
        if codebook.ndim not in (1, 2) or len(codebook) != self.m:
            raise ValueError(
                f"M has shape {codebook.shape}; expected one row for each of the m = {self.m} "
                f"buckets."
            )
        signs = self.signs if codebook.ndim == 1 else self.signs[:, None]
        return signs * codebook[self.buckets]

    def gather(self, T: Any) -> np.ndarray:
        """``C.T @ T``: the signed sum of the rows of each bucket.

        Parameters
        ----------
        T : array_like, shape (d1, d2)

        Returns
        -------
        ndarray of float64, shape (m, d2)
            Summed in the order of the rows.

        Raises
        ------
        ValueError
            If ``T`` has not ``d1`` rows.

        Examples
        --------
        >>> BucketMatrix([1, 0, 1], 2).gather([[1.0], [10.0], [100.0]])
        array([[ 10.],
               [101.]])
        """
        rows = np.ascontiguousarray(_validate.real_array(T, "T"), dtype=np.float64)
        if rows.ndim != 2 or len(rows) != self.d1:
            raise ValueError(f"T has shape {rows.shape}; expected ({self.d1}, d2).")
        out = np.zeros((self.m, rows.shape[1]))
        gram_kernels.bucket_sums(rows, self.buckets, self.signs, out)
        return out

    def apply(self, X: Any) -> Any:
        """``X @ C`` in O(nnz(X)) operations.

        Parameters
        ----------
        X : array_like or scipy sparse, shape (n, d1)
            Dense (C- or F-ordered without a copy), or sparse (other formats than CSR and CSC
            are converted to CSR).

        Returns
        -------
        ndarray (C-ordered) or sparse of X's format and kind, shape (n, m), float64
            Each entry is summed in the order of the columns of ``X``, so that its error is at
            most ``b eps`` times the sum of magnitudes, ``b`` the size of its bucket.

        Raises
        ------
        TypeError, ValueError
            If ``X`` is not a real matrix with ``d1`` columns.

        Examples
        --------
        >>> import numpy as np
        >>> C = CountSketch(1000, 8, rng=0)
        >>> X = np.arange(2000.0).reshape(2, 1000)
        >>> np.allclose(C.apply(X), X @ C.to_sparse())
        True
        """
        if not sp.issparse(X):
            X = _validate.real_array(X, "X")
        shape = X.shape
        if len(shape) != 2 or shape[1] != self.d1:
            raise ValueError(
                f"X has shape {shape}; expected n x d1 with d1 = {self.d1} columns, "
                f"as many as the sketch has rows."
            )
        if sp.issparse(X):
            return self._apply_sparse(X)
        return self._apply_dense(X)

    def _apply_dense(self, X: np.ndarray) -> np.ndarray:
        if X.dtype not in (np.float64, np.float32):
            X = X.astype(np.float64)
        n = len(X)
        out = np.empty((n, self.m))
        if X.flags.f_contiguous and not X.flags.c_contiguous:
            kernel, rows = kernels.sketch_f_order, int(np.clip(F_BUFFER // self.m, 64, 4096))
        else:
            X = np.ascontiguousarray(X)
            kernel, rows = kernels.sketch_c_order, DENSE_ROWS
        for_each(
            lambda piece: kernel(X, self.buckets, self.signs, piece[0], piece[1], out),
            row_chunks(n, rows),
        )
        return out

    def _apply_sparse(self, X: Any) -> Any:
        _validate.check_dtype(X.dtype, "X")
        by_columns = X.format == "csc"
        matrix = X if by_columns else X.tocsr()
        data = np.ascontiguousarray(matrix.data, dtype=np.float64)
        out_indices = np.empty(data.size, matrix.indices.dtype)
        out_data = np.empty(data.size)
        if by_columns:
            order = np.argsort(self.buckets, kind="stable")
            starts = np.searchsorted(self.buckets[order], np.arange(self.m + 1))
            indptr = kernels.sketch_compressed_columns(
                matrix.indptr, matrix.indices, data, order, starts, self.signs,
                X.shape[0], out_indices, out_data,
            )  # fmt: skip
        else:
            indptr = kernels.sketch_compressed_rows(
                matrix.indptr, matrix.indices, data, self.buckets, self.signs,
                self.m, out_indices, out_data,
            )  # fmt: skip
        used = int(indptr[-1])
        parts = (out_data[:used], out_indices[:used], indptr)
        return type(matrix)(parts, shape=(X.shape[0], self.m))


class CountSketch(BucketMatrix):
    """A count sketch: each row of ``C`` (d1 x m) has one random sign in one random column.

    Buckets and signs are independent and uniform, so that ``E[C C'] = I``
    (Charikar, Chen and Farach-Colton 2002; Clarkson and Woodruff 2013).

    Parameters
    ----------
    d1 : int
        Number of rows: the columns of the design matrix it sketches.
    m : int
        Number of buckets, at least 1.
    rng : int or numpy.random.Generator, default 0

    Attributes
    ----------
    buckets : ndarray of int32, shape (d1,)
        Column of each row's nonzero.
    signs : ndarray of float64, shape (d1,)
        The nonzeros, +1.0 or -1.0.

    Raises
    ------
    TypeError, ValueError
        If ``d1`` or ``m`` is not a positive integer.

    Examples
    --------
    >>> C = CountSketch(6, 2, rng=0)
    >>> C.to_sparse().toarray().shape
    (6, 2)
    >>> (C.expand([[1.0], [2.0]])[:, 0] == C.signs * (1 + C.buckets)).all()
    np.True_
    """

    def __init__(self, d1: int, m: int, rng: Any = 0):
        d1 = _validate.integer(d1, "d1", low=1)
        m = _validate.integer(m, "m", low=1, high=2**30)
        random = generator(rng)
        buckets = random.integers(0, m, d1, dtype=np.int32)
        super().__init__(buckets, m, SIGNS[random.integers(0, 2, d1, dtype=np.int8)])


def sketched_normal_equations(X: Any, Y: Any, C: BucketMatrix) -> tuple[np.ndarray, np.ndarray]:
    """``(XC)'(XC)`` and ``(XC)'Y`` in one pass over the rows of a sparse ``X``, without ``XC``.

    Costs ``O(sum_i nnz(x_i)^2 + nnz(X) d2 + m^2)``: for a one-hot design with ``f`` fields,
    ``n f^2`` operations, whatever the number of columns.

    Parameters
    ----------
    X : scipy sparse, shape (n, d1)
    Y : array_like, shape (n, d2) or (n,)
    C : BucketMatrix or CountSketch, d1 x m

    Returns
    -------
    gram : ndarray of float64, shape (m, m)
        Exactly symmetric.
    moments : ndarray of float64, shape (m, d2)

    Raises
    ------
    TypeError, ValueError
        If ``X`` is not sparse, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> X = sp.random_array((50, 20), density=0.2, rng=0)
    >>> C = CountSketch(20, 4, rng=0)
    >>> gram, moments = sketched_normal_equations(X, np.ones(50), C)
    >>> XC = (X @ C.to_sparse()).toarray()
    >>> np.allclose(gram, XC.T @ XC) and np.allclose(moments[:, 0], XC.sum(axis=0))
    True
    """
    if not sp.issparse(X):
        raise TypeError(
            f"X must be a scipy sparse matrix or array, got {type(X).__name__}. "
            f"For a dense X use XC = C.apply(X), XC.T @ XC and XC.T @ Y."
        )
    _validate.check_dtype(X.dtype, "X")
    _validate.instance(C, "C", BucketMatrix, "Draw one with CountSketch(d1, m).")
    if X.shape[1] != C.d1:
        raise ValueError(f"X has {X.shape[1]} columns but C has {C.d1} rows; expected as many.")
    rows = X.tocsr()
    targets = _validate.target(Y, rows.shape[0])
    widths = np.diff(rows.indptr)
    if widths.size and widths.max() > WIDE_ROW:
        rows = C._apply_sparse(rows)
        C = BucketMatrix(np.arange(C.m), C.m)
    return _normal_equations(rows, targets, C)


def sketched_least_squares(X: Any, Y: Any, C: BucketMatrix) -> np.ndarray:
    """The codebook ``M`` that minimises ``||X C M - Y||_F``, for a sparse ``X``, by streaming.

    Normal equations in one pass over the rows where they are safe; otherwise QR of ``X C`` in
    row blocks, with column pivoting.

    Parameters
    ----------
    X : scipy sparse, shape (n, d1)
    Y : array_like, shape (n, d2) or (n,)
    C : BucketMatrix or CountSketch, d1 x m

    Returns
    -------
    ndarray of float64, shape (m, d2)
        Zero for buckets that no nonzero column falls into.

    Raises
    ------
    TypeError, ValueError
        If ``X`` is not sparse, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> X = sp.csr_array(np.eye(4))
    >>> sketched_least_squares(X, [1.0, 3.0, 5.0, 5.0], BucketMatrix([0, 0, 1, 1], 2)).ravel()
    array([2., 5.])
    """
    targets = _validate.target(Y, np.shape(X)[0])
    _validate.instance(C, "C", BucketMatrix, "Draw one with CountSketch(d1, m).")
    m, used = C.m, np.unique(C.buckets)
    C = C.without_empty_buckets()
    gram, moments = sketched_normal_equations(X, targets, C)
    squares = np.bincount(X.tocoo().col, X.tocoo().data ** 2, minlength=C.d1)
    before = np.bincount(C.buckets, squares, minlength=C.m)
    harmless = (gram.diagonal() >= SAFE_CONDITION * before).all()  # no bucket's columns cancelled
    found = cholesky_solve(gram, moments) if harmless else None
    if found is None:
        rows = X.tocsr()
        blocks = [
            np.hstack([C.apply(rows[a:b]).toarray(), targets[a:b]])
            for a, b in row_chunks(len(targets), max(QR_ROWS, 2 * (C.m + targets.shape[1])))
        ]
        triangle = triangular_factor(blocks)
        W = triangle[: C.m, : C.m]
        noise = np.maximum(rounding_error(W), max(X.shape) * EPS * np.sqrt(before))
        found = qr_solve(W, triangle[: C.m, C.m :], noise)
    solution = np.zeros((m, targets.shape[1]))
    solution[used] = found
    return solution


def _normal_equations(X: Any, Y: np.ndarray, C: BucketMatrix) -> tuple[np.ndarray, np.ndarray]:
    m, d2 = C.m, Y.shape[1]
    codes = (2 * C.buckets + (C.signs < 0)).astype(np.int32)
    data = np.ascontiguousarray(X.data, dtype=np.float64)
    total = gram_kernels.count_pairs(X.indptr)
    chunks = _balanced_chunks(total)
    panels = row_chunks(m, 1 << PANEL_BITS)
    most_pairs = max(int(total[stop] - total[start]) for start, stop in chunks)
    slots = min(CHUNKS_AT_ONCE, len(chunks))
    squares, moments = np.zeros((slots, m)), np.zeros((slots, m, d2))
    starts = np.empty((slots, len(panels) + 1), np.int64)
    cells, values = np.empty((slots, most_pairs), np.int32), np.empty((slots, most_pairs))
    gram = np.zeros((m, m))

    # Slot s takes the chunks s, s + slots, ...: its partial sums have a fixed order.
    for first in range(0, len(chunks), slots):
        batch = chunks[first : first + slots]

        def scatter(slot: int, batch: list[tuple[int, int]] = batch) -> None:
            gram_kernels.scatter_rows(
                X.indptr, X.indices, data, codes, Y, *batch[slot], m, PANEL_BITS,
                squares[slot], moments[slot], starts[slot], cells[slot], values[slot],
            )  # fmt: skip

        def gather(panel: int, listed: int = len(batch)) -> None:
            out = gram[slice(*panels[panel])].reshape(-1)
            for slot in range(listed):
                gram_kernels.gather_panel(panel, starts[slot], cells[slot], values[slot], out)

        for_each(scatter, range(len(batch)))
        for_each(gather, range(len(panels)))
    # Only the upper triangle was listed. A pair inside one bucket counts twice: so it does here.
    _symmetrise(gram, panels)
    gram[np.diag_indices(m)] += squares.sum(axis=0)
    return gram, moments.sum(axis=0)


def _symmetrise(upper: np.ndarray, panels: list[tuple[int, int]]) -> None:
    """``U + U'`` in place, for upper triangular ``U``: one block and its mirror at a time."""

    def mirror(panel: tuple[int, int]) -> None:
        start, stop = panel
        upper[start:stop, start:stop] += upper[start:stop, start:stop].T.copy()
        for other_start, other_stop in panels:
            if other_start >= stop:
                block = upper[start:stop, other_start:other_stop]
                upper[other_start:other_stop, start:stop] = block.T

    for_each(mirror, panels)


def _balanced_chunks(total: np.ndarray) -> list[tuple[int, int]]:
    """Consecutive chunks of rows with about ``PAIRS`` pairs each, and as many rows at most."""
    n = total.size - 1
    work = total + np.arange(n + 1)
    bounds = np.searchsorted(work, np.arange(0, work[-1], PAIRS))
    bounds = np.unique(np.append(bounds, n))
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
