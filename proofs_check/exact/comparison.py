"""Two sides of a claim, and what their comparison shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..claim import Kind
from ..finding import Certainty, Verdict
from .interval import Interval

ROUNDING = Fraction(1, 10**9)
"""What floating point may be off by: on sums over all sketches, relative to the excess."""


@dataclass(frozen=True)
class Comparison:
    """A number (or the interval it is known to lie in) and what the claim says of it.

    Attributes
    ----------
    stage : str
        What is compared, on which part of the instance.
    kind : Kind
        `UPPER_BOUND`: value <= bound. `EQUALITY`: value = bound. `DETERMINISTIC`: value, minus a
        relative difference of two sides, >= 0.
    value, bound : Interval
    certainty : Certainty
        `PROOF` if the intervals are certain, `ROUNDING` if they are floating-point numbers.
    tolerance : Fraction
        Room given to the claim: 0, or more where a number is only enclosed.
    cases : int
        Count sketches (or other outcomes) that an expectation is taken over, else 0.
    width : int
        ``m``.
    """

    stage: str
    kind: Kind
    value: Interval
    bound: Interval
    certainty: Certainty
    tolerance: Fraction = Fraction(0)
    cases: int = 0
    width: int = 0

    @property
    def slack(self) -> Interval:
        """Room left, as in `Finding`: negative if the claim fails."""
        if self.kind is Kind.UPPER_BOUND:
            return self.bound - self.value
        if self.kind is Kind.EQUALITY:
            return -abs(self.value - self.bound)
        return self.value

    def rounded(self) -> Comparison:
        """The same numbers in floating point."""
        return replace(
            self,
            value=Interval.exactly(self.value.middle),
            bound=Interval.exactly(self.bound.middle),
            certainty=Certainty.ROUNDING,
            tolerance=self.tolerance + ROUNDING,
        )


@dataclass(frozen=True)
class Judgement:
    """What a comparison shows.

    Attributes
    ----------
    verdict : Verdict
    certainty : Certainty
    tolerance : Fraction
        What the verdict allows for.
    """

    verdict: Verdict
    certainty: Certainty
    tolerance: Fraction


def judge(comparison: Comparison) -> Judgement:
    """The verdict, and how certain it is.

    Only an interval that lies wholly on one side decides with the comparison's own certainty.
    One that reaches no further than `ROUNDING` beyond the claim confirms it to rounding.

    Examples
    --------
    >>> half, third = Interval.exactly(0.5), Interval(Fraction(1, 4), Fraction(1, 3))
    >>> found = judge(Comparison("", Kind.UPPER_BOUND, third, half, Certainty.PROOF))
    >>> found.verdict.value, found.certainty.value
    ('confirmed', 'proof')
    >>> wide = Interval(Fraction(1, 4), Fraction(3, 4))
    >>> judge(Comparison("", Kind.UPPER_BOUND, wide, half, Certainty.PROOF)).verdict.value
    'undecided'
    """
    slack, tolerance = comparison.slack, comparison.tolerance
    if slack.lower >= -tolerance:
        return Judgement(Verdict.CONFIRMED, comparison.certainty, tolerance)
    if slack.upper < -tolerance:
        return Judgement(Verdict.REFUTED, comparison.certainty, tolerance)
    if slack.lower >= -(tolerance + ROUNDING):
        return Judgement(Verdict.CONFIRMED, Certainty.ROUNDING, tolerance + ROUNDING)
    return Judgement(Verdict.UNDECIDED, Certainty.ROUNDING, tolerance)


BITS = (64, 128, 256)
"""Working precisions of ball arithmetic, tried until a comparison is decided."""


def first_decided(compare: Callable[[int], Comparison], bits: Sequence[int] = BITS) -> Comparison:
    """The comparison at the least precision that decides it with certainty, else at the last.

    Parameters
    ----------
    compare : callable
        ``compare(bits)``.
    bits : sequence of int

    Returns
    -------
    Comparison
    """
    for precision in bits:
        found = compare(precision)
        if judge(found).certainty is Certainty.PROOF:
            break
    return found
