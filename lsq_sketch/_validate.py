"""Checks of arguments: every message names the argument, what came, and what to do."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp

LARGEST = 1e120
"""Entries beyond this (or all below its inverse) would overflow or vanish when squared."""


def integer(
    value: Any, name: str, *, low: int, high: int | None = None, high_name: str = ""
) -> int:
    """``value`` as an int in ``low..high``, or a `TypeError` / `ValueError` that names it."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}.")
    value = int(value)
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}.")
    if high is not None and value > high:
        limit = f"{high_name} = {high}" if high_name else str(high)
        raise ValueError(f"{name} must be at most {limit}, got {value}.")
    return value


def check_dtype(dtype: np.dtype, name: str) -> None:
    """A `TypeError` unless the dtype is one of real numbers."""
    if dtype.kind == "c":
        raise TypeError(
            f"{name} is complex ({dtype}); expected real numbers. "
            f"Pass its real and imaginary parts as separate columns."
        )
    if dtype.kind not in "biuf":
        raise TypeError(
            f"{name} has dtype {dtype}; expected real numbers. "
            f"Encode categories as one-hot columns and convert with {name}.astype(float)."
        )


def _check_values(values: np.ndarray, name: str) -> None:
    """A `ValueError` unless values are finite and their squares in range."""
    if values.size == 0:
        return
    largest = float(max(values.max(), -values.min()))
    if not np.isfinite(largest):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise ValueError(
            f"{name} contains NaN or infinity in {bad} of {values.size} stored entries; "
            f"expected finite numbers. Drop or impute those rows."
        )
    if largest > LARGEST or 0 < largest < 1 / LARGEST:
        raise ValueError(
            f"{name} has largest magnitude {largest:.3g}, whose square leaves the range of "
            f"float64; expected between {1 / LARGEST:.0e} and {LARGEST:.0e}. Rescale {name}."
        )


def real_array(value: Any, name: str) -> np.ndarray:
    """``value`` as an array of real numbers, of any dtype and shape."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be lost; expected all values. "
            f"Pass {name}.filled(value), or drop the masked rows."
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}.") from error
    check_dtype(array.dtype, name)
    return array


def design(X: Any) -> tuple[np.ndarray | sp.csr_array, float]:
    """The design matrix as float64 (dense, or CSR), and the machine epsilon of its own dtype."""
    if sp.issparse(X):
        check_dtype(X.dtype, "X")
        if X.ndim != 2:
            raise ValueError(f"X must be two-dimensional (n x d1), got shape {X.shape}.")
        matrix: Any = sp.csr_array(X, dtype=np.float64)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        values = matrix.data
    else:
        matrix = real_array(X, "X")
        if matrix.ndim != 2:
            hint = " Use X.reshape(-1, 1) for a single column." if matrix.ndim == 1 else ""
            raise ValueError(f"X must be two-dimensional (n x d1), got shape {matrix.shape}.{hint}")
        matrix = np.asarray(matrix, dtype=np.float64)
        values = matrix
    if 0 in matrix.shape:
        raise ValueError(
            f"X is empty (shape {matrix.shape}); expected at least one row and one column."
        )
    _check_values(values, "X")
    dtype = X.dtype if hasattr(X, "dtype") else values.dtype
    eps = np.finfo(dtype if np.dtype(dtype).kind == "f" else np.float64).eps
    return matrix, max(float(eps), float(np.finfo(np.float64).eps))


def target(Y: Any, n: int) -> np.ndarray:
    """The targets as a C-ordered float64 array (n, d2)."""
    if sp.issparse(Y):
        raise TypeError("Y is sparse; expected a dense array n x d2. Pass Y.toarray().")
    array = real_array(Y, "Y")
    if array.ndim not in (1, 2):
        raise ValueError(f"Y must be one- or two-dimensional (n x d2), got shape {array.shape}.")
    array = array.reshape(len(array), -1) if array.size else array
    if array.size == 0:
        raise ValueError(f"Y is empty (shape {array.shape}); expected n x d2 with d2 >= 1.")
    if len(array) != n:
        hint = " Is Y transposed?" if n in array.shape else ""
        raise ValueError(f"Y has {len(array)} rows but X has {n}; expected one target a row.{hint}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    _check_values(array, "Y")
    return array


def table(T: Any, d1: int, d2: int, name: str = "T") -> np.ndarray:
    """A table as a C-ordered float64 array (d1, d2)."""
    array = real_array(T, name)
    if array.ndim == 1 and d2 == 1:
        array = array[:, None]
    if array.shape != (d1, d2):
        raise ValueError(
            f"{name} has shape {array.shape}; expected (d1, d2) = ({d1}, {d2}): "
            f"one row for each column of X, one column for each target."
        )
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity; expected finite numbers.")
    return array


def points(values: Any, name: str = "points") -> np.ndarray:
    """Points to cluster as a C-ordered float64 array (n, d)."""
    array = real_array(values, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be a nonempty array (n, d), got shape {array.shape}.")
    array = np.ascontiguousarray(array, dtype=np.float64)
    _check_values(array, name)
    return array


def weights(values: Any, n: int) -> np.ndarray:
    """Positive weights of points as a float64 array (n,)."""
    array = real_array(values, "weights")
    if array.shape != (n,):
        raise ValueError(f"weights have shape {array.shape}; expected ({n},): one for each point.")
    array = np.ascontiguousarray(array, dtype=np.float64)
    _check_values(array, "weights")
    if not (array > 0).all():
        raise ValueError(
            f"weights must be positive, got {array.min():.3g}; leave out points that do not count."
        )
    return array


def assignments(values: Any, name: str, shape: tuple[int, int], n_clusters: int) -> np.ndarray:
    """Codewords of IDs in each block of columns, as an int32 array (n_chunks, d1)."""
    array = real_array(values, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; expected integers, codewords of IDs.")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected (n_chunks, d1) = {shape}.")
    if array.min() < 0 or array.max() >= n_clusters:
        raise ValueError(
            f"{name} has codewords from {array.min()} to {array.max()}; expected from 0 to "
            f"n_clusters - 1 = {n_clusters - 1}."
        )
    return array.astype(np.int32)


def instance(value: Any, name: str, kind: type, how: str) -> None:
    """A `TypeError` that tells how to make one unless ``value`` is a ``kind``."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}. {how}")


def choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """One of ``choices``, or a `ValueError` that lists them."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise ValueError(f"{name} must be one of {listed}; got {value!r}.")
    return str(value)


def probability(value: Any, name: str) -> float:
    """A number strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name} must be a number strictly between 0 and 1, got {value!r}.")
    return float(value)
