"""Identities over all count sketches: two sides that are the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..claim import Kind
from ..enumeration import sketch_count
from ..finding import Certainty
from .comparison import Comparison
from .interval import Interval
from .small import SmallProblem, stage_name

ROUNDING = Fraction(1, 10**12)
"""What two sides in floating point may differ by, relative to the larger."""

Sides = Callable[[], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Identity:
    """Two arrays that a claim says are equal.

    Attributes
    ----------
    stage : str
    small : SmallProblem
        The part of the instance that they come from.
    m : int
        Buckets.
    sides_in_floating_point, sides_in_rationals : callable
        Return the two arrays, of floats and of Fractions.
    """

    stage: str
    small: SmallProblem
    m: int
    sides_in_floating_point: Sides
    sides_in_rationals: Sides

    def in_floating_point(self) -> Comparison:
        """By the compiled enumeration."""
        found, claimed = self.sides_in_floating_point()
        return self._comparison(_relative_difference(found, claimed), Certainty.ROUNDING, ROUNDING)

    def in_rationals(self) -> Comparison:
        """Exactly: one entry that differs refutes the identity."""
        found, claimed = self.sides_in_rationals()
        return self._comparison(_relative_difference(found, claimed), Certainty.PROOF, Fraction(0))

    def _comparison(
        self, difference: float | Fraction, certainty: Certainty, tolerance: Fraction
    ) -> Comparison:
        return Comparison(
            stage_name(self.stage, self.small), Kind.DETERMINISTIC,
            Interval.exactly(-difference), Interval.exactly(0), certainty, tolerance,
            sketch_count(self.small.d1, self.m), self.m,
        )  # fmt: skip


def _relative_difference(found: np.ndarray, claimed: np.ndarray) -> float | Fraction:
    difference = abs(found - claimed).max()
    scale = max(abs(claimed).max(), abs(found).max())
    return difference / scale if difference else Fraction(0)
