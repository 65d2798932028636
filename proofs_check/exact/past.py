"""What a codebook holds beside the fresh count sketch, and what the next excess is held against."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from .rational import integers, largest_eigenvalue, lower_root
from .small import SmallProblem


class Past(Protocol):
    """The columns ``P`` of a codebook ``[P | C]``, and a reference."""

    @property
    def columns(self) -> np.ndarray | None:
        """``P``, (d1, p); None if there are none."""
        ...

    def reference_in_floating_point(self, small: SmallProblem) -> float:
        """The reference, in the units of the problem."""
        ...

    def reference(self, small: SmallProblem) -> Fraction:
        """The reference or less, in the units of ``small.initial_excess``; positive."""
        ...


@dataclass(frozen=True)
class Nothing:
    """The zero table: the reference is ``e_0``."""

    @property
    def columns(self) -> None:
        """None."""
        return None

    def reference_in_floating_point(self, small: SmallProblem) -> float:
        """``e_0``."""
        _, B = small.factors
        return float((B * B).sum())

    def reference(self, small: SmallProblem) -> Fraction:
        """``e_0``."""
        return small.initial_excess


NOTHING = Nothing()


@dataclass(frozen=True)
class Table:
    """The last table: the reference is ``e_{i-1}``.

    Attributes
    ----------
    table : ndarray of float64, shape (d1, d2)
    """

    table: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """``T_{i-1}``."""
        return self.table

    def reference_in_floating_point(self, small: SmallProblem) -> float:
        """``e_{i-1}``."""
        R, B = small.factors
        return float(((R @ self.table - B) ** 2).sum())

    def reference(self, small: SmallProblem) -> Fraction:
        """``e_{i-1}``."""
        return small.excess(self.table)


@dataclass(frozen=True)
class Clusters:
    """Assignments of the rows: the reference is ``a_i``, the least excess they allow.

    Attributes
    ----------
    labels : ndarray of int, shape (d1,)
    """

    labels: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """``A_i``, without empty clusters."""
        return (self.labels[:, None] == np.unique(self.labels)).astype(float)

    def reference_in_floating_point(self, small: SmallProblem) -> float:
        """``a_i``."""
        R, B = small.factors
        basis = np.linalg.qr(R @ self.columns)[0]
        return float(((B - basis @ (basis.T @ B)) ** 2).sum())

    def reference(self, small: SmallProblem) -> Fraction:
        """``a_i``."""
        return small.excess_beside(integers(self.columns)[0].tolist())


@dataclass(frozen=True)
class ClusteredTable(Clusters):
    """Clusters of a table: the reference is ``(sqrt(e_{i-1}) + sigma_1 sqrt(kappa_i))^2``.

    Attributes
    ----------
    table : ndarray of float64, shape (d1, d2)
        ``T_{i-1}``.
    """

    table: np.ndarray

    def reference_in_floating_point(self, small: SmallProblem) -> float:
        """The square."""
        R, B = small.factors
        excess = float(((R @ self.table - B) ** 2).sum())
        A = self.columns
        means = A @ ((A.T @ self.table) / A.sum(axis=0)[:, None])
        kappa = float(((self.table - means) ** 2).sum())
        return (excess**0.5 + np.linalg.norm(R, 2) * kappa**0.5) ** 2

    def reference(self, small: SmallProblem) -> Fraction:
        """A rational just below the square."""
        excess = small.excess(self.table)
        spread = largest_eigenvalue(small.gram).lower * self._kappa() * small.table_unit**2
        return excess + spread + 2 * lower_root(excess * spread)

    def _kappa(self) -> Fraction:
        """``||T_{i-1} - Q_i||_F^2``, ``Q_i`` the cluster means."""
        kappa = Fraction(0)
        for label in np.unique(self.labels):
            for column in self.table[self.labels == label].T.tolist():
                values = [Fraction(v) for v in column]
                mean = sum(values, Fraction(0)) / len(values)
                kappa += sum(((v - mean) ** 2 for v in values), Fraction(0))
        return kappa
