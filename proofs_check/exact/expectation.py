"""Expected excesses over all count sketches, against a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from ..claim import Kind
from ..enumeration import sketch_count, sketched_excesses
from ..finding import Certainty
from .comparison import ROUNDING, Comparison
from .interval import Interval
from .past import NOTHING, Past
from .rational import exact_expected_gain, gain
from .small import SmallProblem, stage_name

Rate = Callable[[Any, int], Any]
"""Of ``rho``, a float or a Fraction, and ``m``; it does not rise with ``rho``."""


@dataclass(frozen=True)
class ExpectedExcess:
    """The expectation of the excess over all count sketches, over that of a reference.

    The reference is the excess of the zero table, or that of `Past`.

    Attributes
    ----------
    stage : str
    small : SmallProblem
    m : int
        Width of the sketch.
    bound_in_floating_point : callable
        ``bound(small) -> float``.
    bound : callable
        ``bound(small) -> Interval``.
    past : Past
    """

    stage: str
    small: SmallProblem
    m: int
    bound_in_floating_point: Callable[[SmallProblem], float]
    bound: Callable[[SmallProblem], Interval]
    past: Past = NOTHING

    def in_floating_point(self) -> Comparison:
        """By the compiled enumeration."""
        value = self.small.mean_excess(self.m, self.past.columns)
        value /= self.past.reference_in_floating_point(self.small)
        return self._comparison(
            Interval.exactly(value),
            Interval.exactly(self.bound_in_floating_point(self.small)),
            Certainty.ROUNDING,
            ROUNDING,
        )

    def in_rationals(self) -> Comparison:
        """Enclosed."""
        small = self.small
        value = small.expected_excess(self.m, self.past.columns).scaled(
            small.initial_excess / self.past.reference(small)
        )
        return self._comparison(value, self.bound(small), Certainty.PROOF, Fraction(0))

    def _comparison(
        self, value: Interval, bound: Interval, certainty: Certainty, tolerance: Fraction
    ) -> Comparison:
        return Comparison(
            stage_name(self.stage, self.small), Kind.UPPER_BOUND, value, bound, certainty,
            tolerance, sketch_count(self.small.d1, self.m), self.m,
        )  # fmt: skip


def by_rho(
    stage: str, small: SmallProblem, m: int, rate: Rate, past: Past = NOTHING
) -> ExpectedExcess:
    """An `ExpectedExcess` whose bound is a rate of ``rho``, which does not rise with ``rho``."""
    return ExpectedExcess(
        stage, small, m,
        lambda part: float(rate(part.problem.rho, m)),
        lambda part: part.rho.through_decreasing(lambda rho: rate(rho, m)),
        past,
    )  # fmt: skip


@dataclass(frozen=True)
class DiagonalLoss:
    """The expected share of the excess that is lost where ``X'X = diag(w)``, against a formula.

    Attributes
    ----------
    stage : str
    weights : list of Fraction, (d1,)
        ``w``, positive.
    optimum : list of list of Fraction, (d1, d2)
        ``T*``, not zero.
    m : int
        Buckets.
    formula : Fraction
        What is claimed.
    """

    stage: str
    weights: list[Fraction]
    optimum: list[list[Fraction]]
    m: int
    formula: Fraction

    @property
    def energies(self) -> list[Fraction]:
        """``w_i |T*_i|^2``, (d1,)."""
        squares = [sum(v * v for v in row) for row in self.optimum]
        return [w * square for w, square in zip(self.weights, squares, strict=True)]

    def in_floating_point(self) -> Comparison:
        """By the compiled enumeration."""
        roots = np.sqrt(np.array([float(w / max(self.weights)) for w in self.weights]))
        B = roots[:, None] * np.array([[float(v) for v in row] for row in self.optimum])
        value = float(sketched_excesses(np.diag(roots), B, self.m).mean() / (B * B).sum())
        return self._comparison(Interval.exactly(value), Certainty.ROUNDING, ROUNDING)

    def in_rationals(self) -> Comparison:
        """Exactly."""
        value = Interval.exactly(expected_loss(self.weights, self.optimum, self.m))
        return self._comparison(value, Certainty.PROOF, Fraction(0))

    def _comparison(self, value: Interval, certainty: Certainty, tolerance: Fraction) -> Comparison:
        return Comparison(
            self.stage, Kind.EQUALITY, value, Interval.exactly(self.formula), certainty, tolerance,
            sketch_count(len(self.weights), self.m), self.m,
        )  # fmt: skip


def expected_loss(weights: list[Fraction], optimum: list[list[Fraction]], m: int) -> Fraction:
    """``E e(C M) / e_0`` where ``X'X = diag(w)``, exactly, over all count sketches.

    Parameters
    ----------
    weights : list of Fraction, (d1,)
    optimum : list of list of Fraction, (d1, d2)
    m : int

    Returns
    -------
    Fraction

    Examples
    --------
    >>> expected_loss([Fraction(1), Fraction(1)], [[Fraction(1)], [Fraction(1)]], 2)
    Fraction(1, 4)
    """
    scale = _common_denominator(weights)
    whole = [int(w * scale) for w in weights]
    table = _common_denominator([v for row in optimum for v in row])
    moments = [[w * int(v * table) for v in row] for w, row in zip(whole, optimum, strict=True)]
    gram = [[w if i == j else 0 for j in range(len(whole))] for i, w in enumerate(whole)]
    return 1 - exact_expected_gain(gram, moments, m) / gain(gram, moments)


def _common_denominator(values: list[Fraction]) -> int:
    return lcm(*(value.denominator for value in values))


@dataclass(frozen=True)
class Exactly:
    """Two rationals that were computed exactly; in floating point they are rounded.

    Attributes
    ----------
    stage : str
    kind : Kind
    value, bound : Fraction
    cases : int
        Outcomes that the expectation is taken over.
    width : int
        ``m``, or 0.
    """

    stage: str
    kind: Kind
    value: Fraction
    bound: Fraction
    cases: int
    width: int

    def in_floating_point(self) -> Comparison:
        """Rounded."""
        value, bound = Fraction(float(self.value)), Fraction(float(self.bound))
        return self._comparison(value, bound, Certainty.ROUNDING, ROUNDING)

    def in_rationals(self) -> Comparison:
        """As they are."""
        return self._comparison(self.value, self.bound, Certainty.PROOF, Fraction(0))

    def _comparison(
        self, value: Fraction, bound: Fraction, certainty: Certainty, tolerance: Fraction
    ) -> Comparison:
        return Comparison(
            self.stage, self.kind, Interval.exactly(value), Interval.exactly(bound), certainty,
            tolerance, self.cases, self.width,
        )  # fmt: skip
