"""Small parts of an instance: a few columns of its design and a few of its targets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lsq_sketch import LeastSquares

from ..claim import HypothesisError
from ..enumeration import sketched_excesses
from ..instances import Instance
from .interval import Interval
from .rational import (
    Matrix,
    Rationals,
    expected_gain,
    gain,
    integer_product,
    integers,
    smallest_eigenvalue,
    solve,
)

COLUMNS, TARGETS, WIDTH = 6, 2, 3
"""Of the design and of the targets, at most; and buckets."""

MOST_SKETCHES = 300_000
"""A width given with an instance is used up to so many sketches."""

DEPENDENT = 1e-9
"""A column is left out if no more than this part of it is independent of those before it."""


@dataclass(frozen=True)
class SmallProblem:
    """Linearly independent columns of a design, and targets, as they are stored.

    Attributes
    ----------
    X : ndarray of float64, shape (n, d1)
    Y : ndarray of float64, shape (n, d2)
    name : str
        Which part of the instance this is.
    """

    X: np.ndarray
    Y: np.ndarray
    name: str

    @property
    def d1(self) -> int:
        """Number of columns."""
        return int(self.X.shape[1])

    # -------------------------------------------------------------- in floating point

    @cached_property
    def problem(self) -> LeastSquares:
        """The least-squares problem."""
        return LeastSquares(self.X, self.Y)

    @cached_property
    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """``R`` and ``B = Q'Y`` of ``X = QR``: ``e(T) = ||R T - B||_F^2``."""
        Q, R = np.linalg.qr(self.X)
        return R, Q.T @ self.Y

    @property
    def has_excess(self) -> bool:
        """Whether ``e_0 > 0``: by floating point where it is clear, else exactly."""
        _, B = self.factors
        clear = np.linalg.norm(B) > DEPENDENT * np.linalg.norm(self.Y)
        return bool(clear) or self.initial_excess > 0

    # -------------------------------------------------------------- exactly

    @cached_property
    def _whole(self) -> tuple[np.ndarray, Fraction, np.ndarray, Fraction]:
        return *integers(self.X), *integers(self.Y)

    @cached_property
    def gram(self) -> Matrix:
        """``X'X``, as integers times the square of a common rational."""
        X, *_ = self._whole
        return integer_product(X, X)

    @cached_property
    def moments(self) -> Matrix:
        """``X'Y``, as integers times a common rational."""
        X, _, Y, _ = self._whole
        return integer_product(X, Y)

    @cached_property
    def initial_excess(self) -> Fraction:
        """``e_0``, in the units of `moments`, squared, over those of `gram`."""
        return gain(self.gram, self.moments)

    @cached_property
    def optimum(self) -> Rationals:
        """``T*``, in the units of `moments` over those of `gram`."""
        return solve(self.gram, self.moments)

    @cached_property
    def rho(self) -> Interval:
        """``sigma_r^2 / ||X||_F^2``; no scale enters."""
        trace = sum(row[i] for i, row in enumerate(self.gram))
        return smallest_eigenvalue(self.gram).scaled(Fraction(1, trace))

    @cached_property
    def table_unit(self) -> Fraction:
        """What a table of floats is multiplied by to be in the units of `optimum`."""
        _, x, _, y = self._whole
        return x / y

    def excess(self, table: np.ndarray) -> Fraction:
        """``e(T)`` of a table of floats, in the units of `initial_excess`."""
        unit = self.table_unit
        T = [[Fraction(v) * unit for v in row] for row in table.tolist()]
        rows, columns = range(self.d1), range(len(self.moments[0]))
        linear = sum(T[j][t] * self.moments[j][t] for j in rows for t in columns)
        square = sum(
            T[j][t] * self.gram[j][k] * T[k][t] for j in rows for k in rows for t in columns
        )
        return self.initial_excess - 2 * linear + square

    def excess_beside(self, fixed: Matrix) -> Fraction:
        """The least excess of a table ``P M``, in the units of `initial_excess`."""
        P, G, F = (np.array(part, dtype=object) for part in (fixed, self.gram, self.moments))
        return self.initial_excess - gain(P.T.dot(G.dot(P)).tolist(), P.T.dot(F).tolist())

    # -------------------------------------------------------------- over all sketches

    @cached_property
    def _known(self) -> dict[tuple[str, int], Any]:
        """Expectations over plain sketches, which several stages need."""
        return {}

    def mean_excess(self, m: int, fixed: np.ndarray | None = None) -> float:
        """The expectation of ``min_M e([P | C] M)`` over all count sketches, in floating point.

        Parameters
        ----------
        m : int
            Width of ``C``.
        fixed : ndarray of float64, shape (d1, p), optional
            ``P``.

        Returns
        -------
        float
        """
        R, B = self.factors
        if fixed is not None:
            basis = np.linalg.qr(R @ fixed)[0]
            R, B = (part - basis @ (basis.T @ part) for part in (R, B))
            return float(sketched_excesses(R, B, m).mean())
        if ("mean", m) not in self._known:
            self._known["mean", m] = float(sketched_excesses(R, B, m).mean())
        return float(self._known["mean", m])

    def expected_excess(self, m: int, fixed: np.ndarray | None = None) -> Interval:
        """The same, enclosed; over ``e_0``."""
        one, equations = Interval.exactly(1), (self.gram, self.moments, m, self.initial_excess)
        if fixed is not None:
            return one - expected_gain(*equations, integers(fixed)[0].tolist())
        if ("expected", m) not in self._known:
            self._known["expected", m] = one - expected_gain(*equations)
        found: Interval = self._known["expected", m]
        return found


def draw_small(instance: Instance, rng: np.random.Generator) -> SmallProblem:
    """A random part of an instance: at most `COLUMNS` columns that are linearly independent.

    Parameters
    ----------
    instance : Instance
    rng : numpy.random.Generator

    Returns
    -------
    SmallProblem
        Without the rows where all these columns are zero; ``X`` and ``Y`` each times a power of
        two.

    Raises
    ------
    HypothesisError
        If the design is zero, or the optimum of this part is the zero table.
    """
    X, Y = instance.problem.X, instance.problem.Y
    dense = isinstance(X, np.ndarray)
    largest = abs(X).max(axis=0)
    active = np.flatnonzero(largest if dense else largest.toarray())
    if not active.size:
        raise HypothesisError("X must not be zero")
    chosen = np.sort(rng.choice(active, min(COLUMNS, active.size), replace=False))
    targets = np.sort(rng.choice(Y.shape[1], min(TARGETS, Y.shape[1]), replace=False))
    part = X[:, chosen] if isinstance(X, np.ndarray) else X[:, chosen].toarray()
    rows = part.any(axis=1)
    part, wanted = part[rows], Y[np.ix_(rows, targets)]
    independent = _independent(part)
    small = SmallProblem(
        _scaled(np.ascontiguousarray(part[:, independent])), _scaled(wanted),
        _name(chosen[independent], X.shape[1]),
    )  # fmt: skip
    if not small.has_excess:
        raise HypothesisError("the optimum must differ from the zero table (e_0 > 0)")
    return small


def stage_name(stage: str, small: SmallProblem) -> str:
    """The stage with the part of the instance it is about."""
    return f"{stage}; {small.name}"


def _scaled(values: np.ndarray) -> np.ndarray:
    """Times a power of two, exactly, so that products stay in range: no claim depends on scale."""
    return np.ldexp(values, -np.frexp(np.abs(values).max())[1])


def _independent(X: np.ndarray) -> list[int]:
    """Columns that are not in the span of those kept before them."""
    kept: list[int] = []
    basis = np.empty((len(X), 0))
    for j, column in enumerate(X.T):
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)
        if np.linalg.norm(left) > DEPENDENT * np.linalg.norm(column):
            kept.append(j)
            basis = np.column_stack([basis, left / np.linalg.norm(left)])
    return kept


def _name(columns: np.ndarray, d1: int) -> str:
    listed = ", ".join(str(column) for column in columns)
    return f"all {d1} columns" if columns.size == d1 else f"columns {listed} of {d1}"


def sketch_width(instance: Instance, d1: int, usual: int = WIDTH) -> int:
    """Buckets: the usual number, or the one given with the instance if that is not too many."""
    given = instance.given_width
    return given if given and (2 * given) ** d1 <= MOST_SKETCHES else usual
